"""Export of networks as ONNX files, for OpenVINO, ONNX Runtime, TensorRT and others.

A file holds the whole network in float32: ``frame`` (N, 3, H, W) from ``img0`` and ``img1`` (N, 3, H, W) in [0, 1],
``t`` (N, 1, 1, 1) and, for networks that take it from outside, ``flow`` (N, 4, H/2, W/2). In half precision such a
graph is wrong, since its coordinates would be half precision, too: keep them in float32 wherever it is run.
"""

import copy
import importlib.util
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vsrrin.errors import ArgumentError, BackendError, ConvertError
from vsrrin.files import replacing
from vsrrin.nets.parts.tracing import tracing
from vsrrin.nets.spec import NetSpec

from .loader import Model

DEFAULT_OPSET = 18
OPSETS = range(18, 24)
"""Below, networks lack operations; above, PyTorch cannot write them."""

_LEAST_SIDE, _LARGEST_SIDE, _LARGEST_BATCH = 64, 2**14, 64
_TOLERANCE = 1e-4
"""Mean difference from PyTorch from which a file is wrong; sums in another order give 1e-6."""
_CONTRACT = (
    "img0, img1: RGB in [0, 1]; t: in (0, 1), 0 at img0; frame: RGB in [0, 1]; keep float32 where it is run, or "
    "coordinates become wrong"
)
_FLOW = "flow: (N, 4, H/2, W/2), (dx, dy) in pixels of that size of img0 -> img1, then of img1 -> img0"


@dataclass(frozen=True)
class Exported:
    """Facts about a file that has been written.

    Attributes:
        inputs: (name, shape in words) of each input.
        difference: Mean and largest difference from PyTorch in ONNX Runtime; ``None`` if it is not installed.
    """

    inputs: tuple[tuple[str, str], ...]
    difference: tuple[float, float] | None


def export(
    model: Model,
    path: Path,
    *,
    size: tuple[int, int] | None = None,
    opset: int = DEFAULT_OPSET,
    overwrite: bool = False,
) -> Exported:
    """Write a network as an ONNX file, once ONNX Runtime has made the same frame from it as PyTorch.

    Args:
        model: A loaded checkpoint.
        path: The file to write, ending with .onnx.
        size: (width, height) of the only pictures it takes, one pair at a time; ``None`` for any.
        opset: Version of ONNX's operations.
        overwrite: Whether to replace an existing file.

    Raises:
        ArgumentError: The size is no multiple of what the network needs, or no such version.
        BackendError: onnx is not installed.
        ConvertError: The file exists or cannot be written, or the network cannot be exported so.
    """
    _check(model.spec, path, size, opset, overwrite=overwrite)
    dynamic = size is None
    net = _Whole(model)
    example = _example(
        model.spec, size or _example_size(model.spec), batch=2 if dynamic and not model.spec.one_pair_in_graphs else 1
    )
    with replacing(path, overwrite=overwrite) as written:
        _write(net, model, example, written, dynamic=dynamic, opset=opset)
        _check_model(written)
        difference = _difference(net, model.spec, written, example, dynamic=dynamic)
        if difference is not None and not difference[0] < _TOLERANCE:
            raise ConvertError(
                f"{path} is not written: ONNX Runtime's frame differs from PyTorch's by {difference[0]:.2g} on average"
            )
    inputs = tuple((name, _shape(tensor, dynamic=dynamic)) for name, tensor in example.items())
    return Exported(inputs, difference)


class _Whole(nn.Module):
    """Network as one function of named tensors."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        # Any: nets have methods of their own, which nn.Module's types do not know.
        self.net: Any = copy.deepcopy(model.net).float().cpu().eval().requires_grad_(False)

    def forward(self, img0: Tensor, img1: Tensor, t: Tensor, flow: Tensor | None = None) -> Tensor:
        """Map (N, 3, H, W) twice, (N, 1, 1, 1) and, for some, (N, 4, H/2, W/2) to (N, 3, H, W)."""
        given = (img0, img1, t) if flow is None else (img0, img1, t, flow)
        frame: Tensor = self.net(*given)
        return frame


def _check(spec: NetSpec, path: Path, size: tuple[int, int] | None, opset: int, *, overwrite: bool) -> None:
    for package in ("onnx", "onnxscript"):
        if importlib.util.find_spec(package) is None:
            raise BackendError(f"the package {package} is not installed: pip install 'vsrrin[export]'")
    if path.suffix.lower() != ".onnx":
        raise ArgumentError(f"the file to write must end with .onnx, not {path.name}")
    if opset not in OPSETS:
        raise ArgumentError(f"opset must be from {OPSETS[0]} to {OPSETS[-1]}, not {opset}")
    if size is not None and (min(size) < 1 or any(side % spec.size_multiple for side in size)):
        raise ArgumentError(
            f"width and height must be multiples of {spec.size_multiple} for {spec.name}, not {size[0]}x{size[1]}"
        )
    if not path.parent.is_dir():
        raise ConvertError(f"there is no folder {path.parent} to write {path.name} into: make it first")
    if path.exists() and not (overwrite and path.is_file()):
        raise ConvertError(f"{path} exists: name another file, or give overwrite=True to replace it")


def _example_size(spec: NetSpec) -> tuple[int, int]:
    """(width, height), different from each other and no special case."""
    return 12 * max(spec.size_multiple, 16), 10 * max(spec.size_multiple, 16)


def _example(spec: NetSpec, size: tuple[int, int], *, batch: int) -> dict[str, Tensor]:
    """Return inputs by name: smooth pictures that move by a few pixels."""
    width, height = size
    y, x = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")

    def picture(shift: float) -> Tensor:
        channels = [torch.sin(0.11 * (x - shift) + k) + torch.cos(0.07 * (y + shift) - k) for k in range(3)]
        return (0.5 + 0.2 * torch.stack(channels)).expand(batch, -1, -1, -1).contiguous()

    example = {"img0": picture(0), "img1": picture(3), "t": torch.full((batch, 1, 1, 1), 0.5)}
    if spec.external_flow:
        motion = torch.tensor([1.5, -1.5, -1.5, 1.5]).view(1, 4, 1, 1)
        example["flow"] = motion.expand(batch, 4, height // 2, width // 2).contiguous()
    return example


def _write(net: _Whole, model: Model, example: Mapping[str, Tensor], path: Path, *, dynamic: bool, opset: int) -> None:
    with _quietly(), tracing():
        try:
            program = torch.export.export(
                net,
                (),
                dict(example),
                dynamic_shapes=_dynamic_shapes(model.spec, example) if dynamic else None,
                strict=False,
                prefer_deferred_runtime_asserts_over_guards=True,
            )
            written = torch.onnx.export(program, opset_version=opset, output_names=["frame"], verbose=False)
            assert written is not None
            written.model.metadata_props.update(_metadata(model))
            written.save(path, external_data=False)
        except Exception as error:  # whatever PyTorch's exporter fails with
            reason = str(error).strip().partition("\n")[0]
            fixed = "; one size may work, given as size" if dynamic else ""
            raise ConvertError(f"{model.spec.name} cannot be exported so: {reason}{fixed}") from error


def _dynamic_shapes(spec: NetSpec, example: Mapping[str, Tensor]) -> dict[str, dict[int, Any]]:
    multiple = spec.size_multiple
    batch = {0: torch.export.Dim("N", min=1, max=_LARGEST_BATCH)} if not spec.one_pair_in_graphs else {}
    most = _LARGEST_SIDE // multiple
    # Below, some networks take another way.
    least = 1 if multiple > 2 else _LEAST_SIDE // multiple
    height, width = (torch.export.Dim(name, min=least, max=most) for name in ("H", "W"))
    sizes: dict[str, dict[int, Any]] = {
        "img0": {**batch, 2: multiple * height, 3: multiple * width},
        "img1": {**batch, 2: multiple * height, 3: multiple * width},
        "t": dict(batch),
    }
    if "flow" in example:
        sizes["flow"] = {**batch, 2: multiple // 2 * height, 3: multiple // 2 * width}
    return sizes


def _metadata(model: Model) -> dict[str, str]:
    spec = model.spec
    return {
        "network": spec.name,
        "arithmetic": model.arithmetic,
        "weights": model.name,
        "weights_sha256": str(model.metadata.get("sha256", "")),
        "weights_licence": str(model.metadata.get("licence", spec.weights_licence)),
        "size_multiple": str(spec.size_multiple),
        "arbitrary_t": str(spec.arbitrary_t).lower(),
        "convention": f"{_CONTRACT}; {_FLOW}" if spec.external_flow else _CONTRACT,
        "created_with": f"vsrrin, torch {torch.__version__}",
    }


def _check_model(path: Path) -> None:
    import onnx

    onnx.checker.check_model(str(path), full_check=True)


def _difference(
    net: _Whole, spec: NetSpec, path: Path, example: Mapping[str, Tensor], *, dynamic: bool
) -> tuple[float, float] | None:
    """Return mean and largest difference from PyTorch in ONNX Runtime; None if it is not installed.

    Compared are the example's size and, if the file takes any, another one.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    cases = [example]
    if dynamic:
        width, height = _example_size(spec)
        cases.append(_example(spec, (height, width + 4 * spec.size_multiple), batch=1))
    mean = largest = 0.0
    for case in cases:
        with torch.no_grad(), tracing():
            expected = net(**case)
        (found,) = session.run(None, {name: tensor.numpy() for name, tensor in case.items()})
        apart = (torch.from_numpy(found) - expected).abs()
        mean, largest = max(mean, float(apart.mean())), max(largest, float(apart.max()))
    return mean, largest


def _shape(tensor: Tensor, *, dynamic: bool) -> str:
    if not dynamic:
        return "x".join(map(str, tensor.shape))
    return (
        "Nx1x1x1" if tensor.shape[1] == 1 else f"Nx{tensor.shape[1]}x" + ("HxW" if tensor.shape[1] == 3 else "H/2xW/2")
    )


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep messages of PyTorch's exporter about itself from the user."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "torch.fx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
