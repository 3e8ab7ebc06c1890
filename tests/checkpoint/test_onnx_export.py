"""vsrrin.checkpoint.onnx_export and `vsrrin models export`: files that other programs run with the same result."""

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from tests.nets.conftest import GAINS, SMALL, Pair, _keyed_state
from vsrrin.checkpoint import loader
from vsrrin.checkpoint.loader import Model
from vsrrin.checkpoint.onnx_export import export
from vsrrin.engine.backends.openvino_package import ov
from vsrrin.errors import ArgumentError, BackendError, ConvertError
from vsrrin.nets.registry import by_name
from vsrrin.nets.rrin_lite import RRINLite
from vsrrin.nets.rrin_lite_quick import QuickLite

ROOT = Path(__file__).resolve().parents[2]
SMALLER: Mapping[str, Callable[[], nn.Module]] = {
    **SMALL,
    "rrin_lite": lambda: RRINLite(
        refine_width=16,
        refine_blocks=1,
        choose_widths=(16, 16),
        choose_blocks=(1, 1),
        refine_context_widths=(16,),
        refine_context_blocks=(1,),
        choose_context_widths=(16,),
        choose_context_blocks=(1,),
    ),
    "rrin_lite_quick": lambda: QuickLite(widths=(16, 16), blocks=(1, 1)),
}
"""Every kind of layer once: exporters take most of their time for each node of a graph."""
CONVENTIONS = ("img0", "img1", "t", "flow")


def model(name: str) -> Model:
    """A small network of this kind, all parts of which move the result."""
    spec = by_name(name)
    net = SMALLER.get(name, spec.default)().eval().requires_grad_(False)
    net.load_state_dict(_keyed_state(net, GAINS[name]))
    return Model(
        net=net,
        spec=spec,
        arithmetic=spec.arithmetics[0],
        name=name,
        path=Path(name),
        metadata={"sha256": "0" * 64, "licence": "of the test"},
    )


def inputs(name: str, height: int, width: int, batch: int = 1) -> dict[str, Tensor]:
    flow = torch.tensor([1.5, -1.0, -1.5, 1.0]).view(1, 4, 1, 1).repeat(batch, 1, height // 2, width // 2)
    # Something that moves further than it is wide.
    flow[:, :2, 8:12, 8:12] = torch.tensor((14.0, 6.0))[:, None, None]
    flow[:, 2:, 14:18, 22:26] = -torch.tensor((14.0, 6.0))[:, None, None]
    t = torch.linspace(0.3, 0.5, batch).view(-1, 1, 1, 1)
    frames = {f"img{k}": Pair.at(k, height, width).expand(batch, -1, -1, -1).contiguous() for k in range(2)}
    return {**frames, "t": t, **({"flow": flow} if by_name(name).external_flow else {})}


def in_onnx_runtime(path: Path, given: Mapping[str, Tensor]) -> Tensor:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(["frame"], {name: x.numpy() for name, x in given.items()})[0])


def in_openvino(path: Path, given: Mapping[str, Tensor]) -> Tensor:
    compiled = ov.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled.create_infer_request().infer({name: x.numpy() for name, x in given.items()})
    return torch.from_numpy(found["frame"].copy())


@pytest.mark.parametrize("name", ["rrin_lite", "plain", "cain"])
def test_one_file_for_all_sizes(name: str, tmp_path: Path) -> None:
    made = model(name)
    done = export(made, tmp_path / "net.onnx")
    assert done.difference is not None and done.difference[0] < 1e-5
    assert [given for given, _ in done.inputs] == [x for x in CONVENTIONS if x != "flow" or made.spec.external_flow]
    assert dict(done.inputs)["img0"] == "Nx3xHxW"
    for height, width, batch in ((64, 96, 1), (144, 112, 2)):
        given = inputs(name, height, width, batch)
        with torch.no_grad():
            expected = made.net(*given.values())
        for run in (in_onnx_runtime, in_openvino):
            torch.testing.assert_close(run(tmp_path / "net.onnx", given), expected, atol=2e-3, rtol=0)
            assert (run(tmp_path / "net.onnx", given) - expected).abs().mean() < 1e-4


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for pictures of 96x64."""
    path = tmp_path_factory.mktemp("fixed") / "net.onnx"
    done = export(model("rrin_lite_quick"), path, size=(96, 64), opset=20)
    assert dict(done.inputs) == {"img0": "1x3x64x96", "img1": "1x3x64x96", "t": "1x1x1x1", "flow": "1x4x32x48"}
    return path


def test_a_file_for_one_size(fixed: Path) -> None:
    given = inputs("rrin_lite_quick", 64, 96)
    with torch.no_grad():
        expected = model("rrin_lite_quick").net(*given.values())
    for run in (in_onnx_runtime, in_openvino):
        assert (run(fixed, given) - expected).abs().mean() < 1e-4
    assert [x.version for x in onnx.load(fixed).opset_import if not x.domain] == [20]


def test_a_file_says_what_it_is(fixed: Path) -> None:
    facts = {fact.key: fact.value for fact in onnx.load(fixed).metadata_props}
    assert facts["network"] == "rrin_lite_quick"
    assert facts["size_multiple"] == "16"
    assert facts["weights_licence"] == "of the test"
    assert "(dx, dy) in pixels of that size" in facts["convention"]
    assert "RGB in [0, 1]" in facts["convention"]


# What is refused


def test_nothing_is_left_of_what_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(*_: object, **__: object) -> tuple[float, float]:
        return 0.5, 1.0

    monkeypatch.setattr("vsrrin.checkpoint.onnx_export._difference", damaged)
    with pytest.raises(ConvertError, match=r"is not written: ONNX Runtime's frame differs from PyTorch's by 0\.5"):
        export(model("cain"), tmp_path / "net.onnx", size=(64, 64))
    assert not list(tmp_path.iterdir())


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_text("mine")
    with pytest.raises(ConvertError, match="exists: name another file, or give overwrite=True"):
        export(model("cain"), path, size=(64, 64))
    assert path.read_text() == "mine"
    export(model("cain"), path, size=(64, 64), overwrite=True)
    assert len(onnx.load(path).graph.node) > 10
    assert [file.name for file in tmp_path.iterdir()] == ["net.onnx"]


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"size": (100, 64)}, ArgumentError, "width and height must be multiples of 16 for rrin_lite, not 100x64"),
        ({"size": (0, 64)}, ArgumentError, "not 0x64"),
        ({"opset": 9}, ArgumentError, "opset must be from 18 to"),
        ({"path": "net.pth"}, ArgumentError, r"must end with \.onnx, not net\.pth"),
        ({"path": "no/net.onnx"}, ConvertError, "there is no folder"),
    ],
)
def test_wrong_arguments(tmp_path: Path, options: dict[str, object], kind: type[Exception], text: str) -> None:
    path = tmp_path / str(options.pop("path", "net.onnx"))
    with pytest.raises(kind, match=text):
        export(model("rrin_lite"), path, **options)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnx" else found(name))
    with pytest.raises(BackendError, match=r"onnx is not installed: pip install 'vsrrin\[export\]'"):
        export(model("cain"), tmp_path / "net.onnx")


def test_a_network_that_cannot_be_exported_says_why(tmp_path: Path) -> None:
    made = model("cain")

    class Asking(type(made.net)):  # type: ignore[misc]
        def forward(self, img0: Tensor, img1: Tensor, t: Tensor) -> Tensor:
            """Look at values, as no graph can."""
            return img0 if img0.mean() > img1.mean() else img1

    made.net.__class__ = Asking
    with pytest.raises(ConvertError, match=r"cain cannot be exported so: .*one size may work, given as size"):
        export(replace(made), tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


# The command


def test_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vsrrin", "models", "export", "balanced", "net.onnx", "--size", "64x64"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("net.onnx: rrin_lite_quick, opset 18, ")
    assert lines[1] == (
        "inputs: img0 1x3x64x64, img1 1x3x64x64, t 1x1x1x1, flow 1x4x32x32; H and W multiples of 16; output: frame"
    )
    assert lines[2].startswith("compared in ONNX Runtime: differs from PyTorch by ")
    facts = {fact.key: fact.value for fact in onnx.load(tmp_path / "net.onnx").metadata_props}
    assert facts["weights_sha256"] == loader.load("balanced").metadata["sha256"]
