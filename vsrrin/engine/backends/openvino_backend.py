"""Backend that runs the convolutions of a network in OpenVINO on the CPU, and the rest in PyTorch.

A whole network in OpenVINO's bf16 is wrong, as coordinates become bf16 too. So the stacks of convolutions that a net
marks (:mod:`vsrrin.nets.parts.convolution_stacks`) are compiled, for any frame size at once, and its warps, flow and
blending are the very code that the other backends run.
"""

import copy
import logging
import os
from collections import OrderedDict
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import platformdirs
import torch
from torch import Tensor, nn

from vsrrin.engine.cores import cores_of, end_idle_threads
from vsrrin.errors import ArgumentError, BackendError
from vsrrin.nets.parts.convolution_stacks import Stack, stacks_of, take_levels
from vsrrin.nets.parts.frame_pool import scratch
from vsrrin.nets.spec import NetSpec

from . import processor
from .torch_backend import TorchBackend

if TYPE_CHECKING:
    from .openvino_graph import StackGraph
    from .openvino_package import ov

MISSING = "the package openvino is not installed: pip install 'vsrrin[openvino]'"
_PRECISIONS = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16"}
_CAPABILITIES = {torch.float32: "FP32", torch.bfloat16: "BF16", torch.float16: "FP16", torch.int8: "INT8"}

_WORTH_KEEPING = 2**23
"""Bytes of weights from which a compiled stack is kept on disk; smaller ones are compiled as fast as they are read."""

_SIZES = 4
"""Sizes of frames for which a small stack is kept compiled; tiles of a frame are all of one."""

_CACHE_BYTES = 2**30
"""Bytes that the folder of compiled stacks may take; those not used for longest go first."""


class OpenVinoBackend(TorchBackend):
    """Backend that runs a network's convolutions in OpenVINO, and the rest in PyTorch; for the CPU.

    Args:
        net: The net; copied, so that the caller's stays as it is.
        spec: Its description.
        device: The CPU.
        dtype: Type of the convolutions, from :func:`vsrrin.engine.backends.torch_backend.resolve_precision`.

    Raises:
        ArgumentError: Another device, or a type that OpenVINO does not compute with on this CPU.
        BackendError: OpenVINO is not installed, or cannot compile the net.
    """

    def __init__(self, net: nn.Module, spec: NetSpec, device: torch.device, dtype: torch.dtype) -> None:
        check(device, dtype)
        super().__init__(net, spec, device, torch.float32 if dtype == torch.int8 else dtype)
        self.name, self.precision = f"openvino {version()}", _CAPABILITIES[dtype].lower()
        originals = dict(copy.deepcopy(net).float().eval().requires_grad_(False).named_modules())
        for path, module in self._net.named_modules():
            for method, stack in stacks_of(module).items():
                run = compiled(originals[path], method, stack, dtype)
                setattr(module, method, run)
                if method == "forward":
                    if run.levels is not None:
                        take_levels(module, run.levels)
                    # Only their type is still asked for.
                    module.to("meta")


def compiled(module: nn.Module, method: str, stack: Stack, dtype: torch.dtype) -> "_Compiled":
    """Return a stack in OpenVINO, of float32 layers; it takes float32, or bfloat16 where it computes in that.

    In 8 bit it may take uint8 too, see `take_levels`.

    Raises:
        BackendError: OpenVINO cannot compile it.
    """
    from .openvino_graph import stack_graph

    return _Compiled(stack_graph(module, method, stack, in_8_bit=dtype == torch.int8), dtype)


class _Compiled:
    """A stack in OpenVINO: (N, C, H, W) of any type on the CPU to float32, or to several tensors.

    Thread safe; keeps nothing of a call.

    Of uint8 it takes ``levels``, if there are any, with the channels innermost in memory.

    What comes with its channels innermost in memory is run in that order, and returned in it. That is how convolutions
    read and write, and for any size at once OpenVINO would reorder what it is given and what it returns, which takes a
    third of the time; so each size is compiled by itself, at its first frame.
    """

    def __init__(self, graph: "StackGraph", dtype: torch.dtype) -> None:
        self._channels, self._scale = graph.channels, graph.scale
        # The weights of large ones are let go; they take longer to compile, too.
        self._graph = graph if graph.weight_bytes < _WORTH_KEEPING else None
        # Pictures come in bf16 where the layers are: half the memory to read.
        self._dtype = torch.bfloat16 if dtype == torch.bfloat16 else torch.float32
        self.levels = None if self._graph is None else graph.levels
        self._settings = _settings(dtype)
        self._model = _compile(graph, self._settings, self._dtype)
        self._sized: OrderedDict[tuple[tuple[int, ...], torch.dtype], ov.CompiledModel] = OrderedDict()
        self._lock = Lock()

    def __call__(self, x: Tensor) -> Any:
        if self.levels is None or x.dtype != torch.uint8:
            x = x.to(self._dtype)
        graph = self._graph if len(x) == 1 and _has_channels_innermost(x) else None
        model = self._model if graph is None else self._of_size(graph, tuple(x.shape), x.dtype)
        height, width = (int(side * self._scale) for side in x.shape[2:])
        if graph is None:
            memory = x.contiguous()
            results = [scratch.empty(len(x), channels, height, width) for channels in self._channels]
        else:
            memory = x.permute(0, 2, 3, 1)
            results = [scratch.empty(1, height, width, channels) for channels in self._channels]
        request = model.create_infer_request()
        request.set_input_tensor(0, _shared(memory))
        for number, result in enumerate(results):
            request.set_output_tensor(number, _shared(result))
        end_idle_threads()
        try:
            request.infer()
        except RuntimeError as error:
            if "bad_alloc" in str(error):
                raise MemoryError(f"OpenVINO: out of memory for {tuple(x.shape)}") from error
            raise
        if graph is not None:
            results = [result.permute(0, 3, 1, 2) for result in results]
        return results[0] if len(results) == 1 else tuple(results)

    def _of_size(self, graph: "StackGraph", shape: tuple[int, ...], dtype: torch.dtype) -> "ov.CompiledModel":
        """Return the model for one size and type, channels innermost."""
        with self._lock:
            key = shape, dtype
            if key not in self._sized:
                self._sized[key] = _compile(graph, self._settings, dtype, shape)
                while len(self._sized) > _SIZES:
                    self._sized.popitem(last=False)
            self._sized.move_to_end(key)
            return self._sized[key]

    def __deepcopy__(self, memo: dict[int, object]) -> "_Compiled":
        return self


def check(device: torch.device, dtype: torch.dtype) -> None:
    """Check whether OpenVINO can run here with a device and type.

    Raises:
        ArgumentError: Not the CPU, or a type that OpenVINO does not compute with on this CPU.
        BackendError: OpenVINO is not installed.
    """
    if device.type != "cpu":
        raise ArgumentError(f"backend 'openvino' runs on the CPU only, not on {str(device)!r}: use backend='torch'")
    if not installed():
        raise BackendError(f"backend 'openvino' is not available: {MISSING}")
    wanted, known = _CAPABILITIES[dtype].lower(), precisions()
    if wanted not in known:
        allowed = ", ".join(("auto", *known))
        raise ArgumentError(f"precision must be one of {allowed} for backend 'openvino' on this CPU, not {wanted!r}")


@cache
def installed() -> bool:
    """Return whether the package is installed."""
    try:
        return find_spec("openvino") is not None
    except ValueError:  # a module that says nothing of where it is from
        return False


def version() -> str:
    """Return OpenVINO's version, without the build."""
    from .openvino_package import ov

    return str(ov.get_version()).partition("-")[0]


def precisions() -> list[str]:
    """Return the types that OpenVINO computes with on this CPU.

    Raises:
        BackendError: It does not work.
    """
    capabilities = _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return [name.lower() for name in _CAPABILITIES.values() if name in capabilities]


@cache
def _core() -> "ov.Core":
    try:
        from .openvino_package import ov

        return ov.Core()
    except (ImportError, OSError, RuntimeError) as error:
        raise BackendError(f"OpenVINO is installed but cannot be used: {error}") from error


def _settings(dtype: torch.dtype) -> dict[str, Any]:
    threads = torch.get_num_threads()
    streams = max(cores_of("cpu").count // threads, 1)  # one for each pair that is worked on at once
    return {
        "INFERENCE_PRECISION_HINT": _PRECISIONS[_floating(dtype)],
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": streams * threads,
        # Pinned threads and PyTorch's would share some cores and leave others idle.
        "ENABLE_CPU_PINNING": False,
    }


def _floating(dtype: torch.dtype) -> torch.dtype:
    """Return the type of what is not in 8 bit, such as output layers, where the convolutions are of this type."""
    if dtype != torch.int8:
        return dtype
    return torch.bfloat16 if processor.multiplies_bf16() and "bf16" in precisions() else torch.float32


def _compile(
    graph: "StackGraph", settings: dict[str, Any], input_dtype: torch.dtype, shape: tuple[int, ...] | None = None
) -> "ov.CompiledModel":
    """Compile a graph for any size; or for one shape (1, C, H, W), which comes and returns as (1, H, W, C)."""
    from .openvino_package import PrePostProcessor, ov

    model = graph.of_levels() if input_dtype == torch.uint8 else graph.model.clone()
    if shape is not None:
        model.reshape(list(shape))
    steps = PrePostProcessor(model)
    if (given := {torch.bfloat16: ov.Type.bf16, torch.uint8: ov.Type.u8}.get(input_dtype)) is not None:
        steps.input().tensor().set_element_type(given)
    if shape is not None:
        for end in (steps.input(), *(steps.output(number) for number in range(len(model.outputs)))):
            end.tensor().set_layout(ov.Layout("NHWC"))
            end.model().set_layout(ov.Layout("NCHW"))
    model = steps.build()
    # The names that OpenVINO gives count up within a process, and what is kept on disk goes by names too.
    for number, result in enumerate(model.outputs):
        result.get_tensor().set_names({f"y{number}"})
    for number, node in enumerate(model.get_ordered_ops()):
        node.set_friendly_name(f"{node.get_type_name()}_{number}")
    folder = _cache_folder() if graph.weight_bytes >= _WORTH_KEEPING else None
    if folder is not None:
        try:
            return _core().compile_model(model, "CPU", {**settings, "CACHE_DIR": str(folder)})
        except RuntimeError as error:
            logging.getLogger("vsrrin").info("%s is of no use to OpenVINO: %s", folder, error)
    try:
        return _core().compile_model(model, "CPU", settings)
    except RuntimeError as error:
        raise BackendError(f"OpenVINO cannot compile {model.get_friendly_name()}: {error}") from error


def _cache_folder() -> Path | None:
    """Return the folder for compiled stacks, made and tidied; ``None`` if it cannot be written."""
    folder = platformdirs.user_cache_path("vsrrin", appauthor=False, opinion=False) / "openvino"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            return None
        files = sorted(((file.stat(), file) for file in folder.iterdir()), key=lambda found: found[0].st_atime)
        excess = sum(found.st_size for found, _ in files) - _CACHE_BYTES
        for found, file in files:
            if excess > 0:
                file.unlink()
                excess -= found.st_size
    except OSError:
        return None
    return folder


def _has_channels_innermost(x: Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def _shared(x: Tensor) -> "ov.Tensor":
    """A tensor of OpenVINO in the same memory."""
    from .openvino_package import ov

    if x.dtype == torch.bfloat16:  # NumPy has no such type
        return ov.Tensor(x.view(torch.int16).numpy(), list(x.shape), ov.Type.bf16)
    return ov.Tensor(x.numpy(), shared_memory=True)
