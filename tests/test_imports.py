"""What each module may import. The layers: edges know VapourSynth, the middle knows neither it nor nets nor files."""

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from vsrrin.nets import NETS

PACKAGE = Path(__file__).resolve().parents[1] / "vsrrin"

# module: (modules of vsrrin, other packages) that it may import; the standard library is always allowed.
ALLOWED: dict[str, tuple[str, str]] = {
    "vsrrin": ("errors filter", ""),  # filter on first use only
    "vsrrin.errors": ("", ""),
    # The middle: knows no net, no file, no VapourSynth.
    "vsrrin.timing": ("errors", ""),
    "vsrrin.props": ("timing", ""),
    "vsrrin.scene": ("errors", "cv2 numpy"),
    "vsrrin.padding": ("", "torch"),
    "vsrrin.tiling": ("errors", "torch"),
    "vsrrin.coarse_motion": ("", "cv2 numpy torch"),
    "vsrrin.layout": ("", "cv2 numpy torch"),
    "vsrrin.motion": ("coarse_motion layout", "cv2 numpy torch"),
    "vsrrin.background": ("", ""),
    "vsrrin.cache": ("", ""),
    "vsrrin.buffers": ("", "numpy torch"),
    "vsrrin.planning": ("errors memory options padding tiling", "torch"),
    "vsrrin.memory": ("", "psutil torch"),
    # Networks: know nothing but each other's shared pieces.
    "vsrrin.nets": ("nets.registry nets.spec", ""),
    "vsrrin.nets.spec": ("", "torch"),
    "vsrrin.nets.warp": ("layout", "cv2 numpy torch"),
    "vsrrin.nets.stacks": ("", "torch"),
    "vsrrin.nets.unet": ("errors nets.stacks", "torch"),
    "vsrrin.nets.softsplat": ("nets.warp", "torch"),
    "vsrrin.nets.residue": ("nets.unet nets.warp", "torch"),
    "vsrrin.nets.rrin": ("nets.residue nets.spec nets.unet nets.warp", "torch"),
    "vsrrin.nets.lite": ("errors nets.warp", "torch"),
    "vsrrin.nets.candidates": ("layout nets.lite nets.unet nets.warp", "torch"),
    "vsrrin.nets.rrin_lite": ("nets.candidates nets.lite nets.spec nets.stacks nets.unet nets.warp", "torch"),
    "vsrrin.nets.rrin_lite_quick": ("nets.candidates nets.lite nets.spec nets.stacks nets.unet nets.warp", "torch"),
    "vsrrin.nets.plain": ("nets.spec nets.unet nets.warp", "torch"),
    "vsrrin.nets.srrin": ("nets.residue nets.softsplat nets.spec nets.unet nets.warp", "torch"),
    "vsrrin.nets.cain": ("nets.spec nets.stacks nets.unet", "torch"),
    "vsrrin.nets.raft_corr": ("nets.warp", "torch"),
    "vsrrin.nets.raft_layers": ("nets.stacks nets.unet", "torch"),
    "vsrrin.nets.raft": ("nets.raft_corr nets.raft_layers", "torch"),
    "vsrrin.nets.raft_rrin": ("nets.raft nets.residue nets.spec nets.unet nets.warp", "torch"),
    "vsrrin.nets.bilateral": ("nets.unet nets.warp", "torch"),
    "vsrrin.nets.bmbc": ("nets.bilateral nets.spec nets.stacks nets.unet", "torch"),
    "vsrrin.nets.registry": (
        "errors nets.bmbc nets.cain nets.plain nets.raft_rrin nets.rrin nets.rrin_lite nets.rrin_lite_quick nets.spec "
        "nets.srrin",
        "torch",
    ),
    # What brings networks and devices together.
    "vsrrin.checkpoint_files": ("errors nets.registry", "safetensors torch"),
    "vsrrin.checkpoint_parts": ("checkpoint_files errors nets nets.spec", "torch"),
    "vsrrin.checkpoint": ("checkpoint_files checkpoint_parts errors nets nets.registry nets.spec", "torch"),
    "vsrrin.checkpoint_conversion": ("checkpoint errors", "torch"),
    "vsrrin.catalogue": ("checkpoint checkpoint_files errors nets nets.registry", "torch"),
    "vsrrin.backends": ("nets.spec", "torch"),
    "vsrrin.backends.torch_backend": ("errors nets.spec nets.unet", "torch"),
    "vsrrin.backends.openvino_backend": (
        "backends.openvino_graph backends.openvino_package backends.torch_backend errors nets.spec nets.stacks",
        "torch",
    ),
    "vsrrin.backends.openvino_graph": ("backends.openvino_package errors nets.stacks", "numpy torch"),
    "vsrrin.backends.openvino_package": ("", "openvino"),
    "vsrrin.backends.compiled_backend": ("backends.torch_backend errors memory nets.spec nets.stacks", "torch"),
    "vsrrin.backends.graph_backend": ("backends.torch_backend errors memory nets.spec", "torch"),
    "vsrrin.backends.choice": (
        "backends backends.compiled_backend backends.graph_backend backends.openvino_backend backends.torch_backend "
        "errors nets.spec nets.stacks",
        "torch",
    ),
    "vsrrin.ranges": ("", "torch"),
    "vsrrin.transfer": ("", "torch"),
    "vsrrin.pairs": ("motion planning transfer", "torch"),
    "vsrrin.far_motion": ("nets.warp", "torch"),
    "vsrrin.engine": (
        "backends backends.torch_backend buffers cache checkpoint errors far_motion memory motion nets.spec options "
        "pairs planning ranges tiling transfer",
        "torch",
    ),
    "vsrrin.options": ("errors motion", ""),
    "vsrrin.export": ("checkpoint errors nets.spec", "onnx onnxruntime torch"),
    "vsrrin.models": ("backends backends.choice backends.torch_backend checkpoint errors", "torch"),
    # The edges.
    "vsrrin.frames": ("errors layout", "cv2 numpy torch vapoursynth"),
    "vsrrin.cuts": ("frames props scene", "numpy vapoursynth"),
    "vsrrin.clips": ("errors frames props timing", "vapoursynth"),
    "vsrrin.filter": (
        "clips cuts engine errors frames models nets.spec pairs props scene timing",
        "vapoursynth",
    ),
    # Conversion of files.
    "vsrrin.segments": ("errors", ""),
    "vsrrin.sources": ("clips errors media.probe media.streams media.times segments", "vapoursynth"),
    "vsrrin.retiming": ("errors media.encode sources", ""),
    "vsrrin.pipeline": ("background errors media.encode media.encoders segments sources", "vapoursynth"),
    "vsrrin.preparation": (
        "checkpoint clips cuts engine errors frames media.encode media.encoders media.pixels media.streams models "
        "retiming segments sources vsrrin",
        "vapoursynth",
    ),
    "vsrrin.convert": (
        "errors media.encoders media.mux media.pixels media.streams media.verify pipeline preparation segments sources",
        "",
    ),
    "vsrrin.media": ("", ""),
    "vsrrin.media.probe": ("errors", "av"),
    "vsrrin.media.streams": ("errors media.probe", "av"),
    "vsrrin.media.sound": ("media.probe media.streams", "av numpy"),
    "vsrrin.media.captions": ("media.probe media.streams", "av"),
    "vsrrin.media.mux": ("errors media.captions media.encode media.probe media.sound media.streams", "av"),
    "vsrrin.media.verify": ("errors media.probe media.streams", "av"),
    "vsrrin.media.encode": ("errors media.encoders media.pixels", "av vapoursynth"),
    "vsrrin.media.encoders": ("errors media.pixels", "av cv2"),
    "vsrrin.media.pixels": ("", "av numpy vapoursynth"),
    "vsrrin.media.times": ("errors media.matroska media.probe", "av"),
    "vsrrin.media.matroska": ("", ""),
    # Pictures of single places, and the state of the machine.
    "vsrrin.positions": ("errors", ""),
    "vsrrin.strip": ("", "cv2 numpy"),
    "vsrrin.maps": (
        "backends.torch_backend checkpoint engine nets.candidates nets.rrin_lite nets.rrin_lite_quick nets.warp pairs",
        "numpy torch",
    ),
    "vsrrin.screen": ("frames", "numpy vapoursynth"),
    "vsrrin.preview": (
        "alpha checkpoint errors frames images maps positions props scene screen sources strip vsrrin",
        "numpy torch vapoursynth",
    ),
    "vsrrin.doctor": (
        "backends.openvino_backend backends.torch_backend checkpoint errors media.library selftest vsrrin",
        "psutil torch vapoursynth",
    ),
    "vsrrin.selftest": ("errors media.library vsrrin", "numpy torch vapoursynth"),
    "vsrrin.media.library": ("", "av numpy"),
    # Folders of images.
    "vsrrin.image_headers": ("errors", ""),
    "vsrrin.alpha": ("cuts scene", "vapoursynth"),
    "vsrrin.images": ("errors image_headers", "av cv2 numpy vapoursynth"),
    "vsrrin.image_convert": (
        "alpha background convert errors frames image_headers images preparation retiming segments sources",
        "vapoursynth",
    ),
    # The command; `vsrrin` is the package itself, for its version.
    "vsrrin.__main__": ("cli", ""),
    "vsrrin.cli": ("vsrrin cli_convert cli_doctor cli_models cli_preview errors", ""),
    "vsrrin.cli_doctor": ("doctor", ""),
    "vsrrin.cli_preview": ("catalogue checkpoint_files errors positions preview strip", ""),
    "vsrrin.cli_convert": (
        "vsrrin catalogue cli_progress convert errors image_convert positions timing",
        "vapoursynth",
    ),
    "vsrrin.cli_progress": ("errors", ""),
    "vsrrin.cli_models": ("vsrrin catalogue checkpoint checkpoint_conversion checkpoint_files export", ""),
}


def modules() -> dict[str, Path]:
    """Every module of the package by its name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(
    source: str, module: str, *, is_package: bool, known: set[str], ours: tuple[str, ...] = ("vsrrin",)
) -> set[str]:
    """Full names of all that a module imports, wherever in it: modules of ours, or top-level names of others."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = module.split(".") if is_package else module.split(".")[:-1]
            base = ".".join(parts[: len(parts) + 1 - node.level]) if node.level else ""
            origin = ".".join(filter(None, (base, node.module)))
            for alias in node.names:
                within = f"{origin}.{alias.name}"
                found.add(within if within in known else origin)
    return {name if name.partition(".")[0] in ours else name.partition(".")[0] for name in found}


def imported_by(module: str) -> tuple[set[str], set[str]]:
    """(modules of vsrrin, other packages) that a module imports."""
    known = modules()
    path = known[module]
    names = imports(path.read_text(), module, is_package=path.name == "__init__.py", known=set(known))
    ours = {name for name in names if name.partition(".")[0] == "vsrrin"}
    return ours, {name for name in names - ours if name not in sys.stdlib_module_names}


def test_every_module_is_in_the_table_and_the_other_way_round() -> None:
    assert set(modules()) == set(ALLOWED)


@pytest.mark.parametrize("module", sorted(modules()))
def test_a_module_imports_only_what_it_may(module: str) -> None:
    ours, others = imported_by(module)
    may, may_others = (set(text.split()) for text in ALLOWED[module])
    assert ours <= {name if name == "vsrrin" else f"vsrrin.{name}" for name in may}, "see ALLOWED in this file"
    assert others <= may_others, "see ALLOWED in this file"


def may_import(package: str) -> set[str]:
    """Modules whose line in the table names a package."""
    return {module.removeprefix("vsrrin.") for module, (_, others) in ALLOWED.items() if package in others.split()}


def test_the_table_keeps_the_layers() -> None:
    assert may_import("vapoursynth") == {
        "alpha",
        "cli_convert",
        "clips",
        "cuts",
        "doctor",
        "filter",
        "frames",
        "image_convert",
        "images",
        "media.encode",
        "media.pixels",
        "pipeline",
        "preparation",
        "preview",
        "screen",
        "selftest",
        "sources",
    }
    assert may_import("cv2") == {
        "coarse_motion",
        "frames",
        "images",
        "layout",
        "media.encoders",
        "motion",
        "nets.warp",
        "scene",
        "strip",
    }
    assert may_import("safetensors") == {"checkpoint_files"}
    assert may_import("openvino") == {"backends.openvino_package"}
    assert may_import("psutil") == {"doctor", "memory"}
    assert may_import("av") == {
        "images",
        "media.captions",
        "media.encode",
        "media.encoders",
        "media.library",
        "media.mux",
        "media.pixels",
        "media.probe",
        "media.sound",
        "media.streams",
        "media.times",
        "media.verify",
    }
    assert not may_import("torch") & {"errors", "timing", "props", "scene", "cache", "cuts"}
    everything = {"av", "cv2", "numpy", "psutil", "safetensors", "torch", "vapoursynth"}
    everything |= {"onnx", "onnxruntime", "openvino"}  # extras: imported where they are used
    assert {name for _, others in ALLOWED.values() for name in others.split()} == everything


def test_the_table_keeps_networks_apart() -> None:
    nets = {module for module in ALLOWED if module.startswith("vsrrin.nets.")}
    shared = {
        "nets.bilateral",
        "nets.candidates",
        "nets.lite",
        "nets.raft",
        "nets.raft_corr",
        "nets.raft_layers",
        "nets.residue",
        "nets.softsplat",
        "nets.spec",
        "nets.stacks",
        "nets.unet",
        "nets.warp",
    }
    for module in nets - {"vsrrin.nets.registry"}:
        assert set(ALLOWED[module][0].split()) <= shared | {"errors", "layout"}, module
    named = {module.removeprefix("vsrrin.") for module in nets} - shared - {"nets.registry"}
    assert named == {f"nets.{spec.name}" for spec in NETS}
    users = [module for module, (ours, _) in ALLOWED.items() if named & set(ours.split())]
    assert users == ["vsrrin.nets.registry", "vsrrin.maps"]  # the latter shows what is inside of some


def test_only_the_package_itself_imports_the_filter() -> None:
    assert [module for module, (ours, _) in ALLOWED.items() if "filter" in ours.split()] == ["vsrrin"]


def test_nothing_imports_in_a_circle() -> None:
    graph = {module: imported_by(module)[0] for module in modules() if module != "vsrrin"}
    order = list(TopologicalSorter(graph).static_order())
    assert order.index("vsrrin.errors") < order.index("vsrrin.engine") < order.index("vsrrin.filter")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import os, torch.nn.functional as F", {"os", "torch"}),
        ("from . import unet, NETS", {"vsrrin.nets.unet", "vsrrin.nets"}),
        ("from .unet import UNet", {"vsrrin.nets.unet"}),
        ("from .. import filter", {"vsrrin.filter"}),
        ("from ..errors import VsrrinError", {"vsrrin.errors"}),
        ("from vsrrin.nets import unet", {"vsrrin.nets.unet"}),
        ("import vsrrin.engine", {"vsrrin.engine"}),
        ("def late():\n    import vapoursynth\n", {"vapoursynth"}),
        ("try:\n    from scripts import evaluate\nexcept ImportError:\n    pass\n", {"scripts"}),
    ],
)
def test_imports_of_every_form_are_seen(source: str, expected: set[str]) -> None:
    known = set(modules())
    assert imports(source, "vsrrin.nets.rrin", is_package=False, known=known) == expected
    if source.startswith("from ."):  # from a package's own file, dots count from the package itself
        assert imports(source, "vsrrin.nets", is_package=True, known=known) == expected
