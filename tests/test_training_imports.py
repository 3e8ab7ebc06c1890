"""What each module of training may import. It builds on vsrrin, which knows nothing of it; commands are on top."""

import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.test_imports import imports
from tests.test_imports import modules as modules_of_vsrrin

PACKAGE = Path(__file__).resolve().parents[1] / "training"

# module: (modules of training, modules of vsrrin, other packages) that it may import; "vsrrin" is the package itself.
ALLOWED: dict[str, tuple[str, str, str]] = {
    # Ground: knows nothing of recipes, samples or files of videos.
    "training": ("", "", ""),
    "training.errors": ("", "errors", ""),
    "training.writing": ("", "", "numpy"),
    "training.fused": ("", "", "torch"),
    "training.layers": ("", "", "cv2 numpy"),
    "training.dis": ("", "motion", "cv2 numpy torch"),
    # Videos, shots and pictures on the disk.
    "training.manifest": ("errors writing", "", ""),
    "training.decoding": ("errors", "errors frames media.probe", "av cv2 numpy vapoursynth"),
    "training.origins": ("decoding errors", "images", ""),
    "training.splitting": ("decoding writing", "motion scene", "cv2 numpy"),
    "training.preparation": ("decoding errors manifest origins splitting writing", "scene", ""),
    "training.layouts": ("errors", "errors image_headers images", "cv2 numpy"),
    "training.shots": ("errors layouts manifest", "images", "numpy"),
    # Samples.
    "training.batch": ("errors", "", "numpy torch"),
    "training.augment": ("batch errors", "", "cv2 numpy torch"),
    "training.pairs": ("errors shots", "", "numpy"),
    "training.sampling": ("augment batch dis errors pairs shots", "motion", "numpy"),
    "training.synthetic": ("augment batch dis errors layers sampling", "", "cv2 numpy"),
    "training.bank_files": ("errors writing", "", "numpy"),
    "training.bank_making": ("bank_files batch dis pairs sampling shots synthetic", "motion", "cv2 numpy"),
    # Measuring.
    "training.triplets": ("errors", "", "av cv2 numpy"),
    "training.clips": ("triplets", "", "numpy vapoursynth"),
    "training.metrics": ("clips triplets", "", "cv2 numpy vapoursynth"),
    "training.methods": (
        "clips errors peers triplets",
        "backends.torch_backend checkpoint engine vsrrin",
        "numpy torch vapoursynth",
    ),
    "training.peers": ("errors", "", "torch"),
    "training.sheet": ("triplets", "strip", "cv2 numpy"),
    "training.table": ("errors triplets", "", ""),
    # Recipes and what they describe.
    "training.recipe_keys": ("errors", "", ""),
    "training.recipe": ("errors recipe_keys", "motion nets nets.registry", ""),
    "training.sources": ("bank batch errors recipe sampling shots synthetic", "", ""),
    "training.widening": ("errors", "", "torch"),
    "training.splatting": ("errors", "nets.residue nets.unet", "torch"),
    "training.start": ("errors recipe splatting widening", "checkpoint nets.registry nets.spec", "torch"),
    "training.vgg": ("errors", "", "torch"),
    "training.losses": ("batch errors fused vgg", "", "torch"),
    "training.muon": ("", "", "torch"),
    "training.optim": ("errors muon recipe", "", "torch"),
    "training.teachers": ("batch errors recipe", "backends.torch_backend checkpoint", "torch"),
    "training.aids": ("errors", "nets.unet", "torch"),
    "training.matching": ("aids errors", "nets.unet", "torch"),
    "training.steps": ("aids errors", "nets.spec nets.unet", "torch"),
    # A run.
    "training.parallel": ("errors", "backends.torch_backend", "torch"),
    "training.feed": ("batch parallel recipe", "", "cv2 torch"),
    "training.state": ("errors", "", "torch"),
    "training.logs": ("errors", "maps strip", "numpy torch tqdm"),
    "training.validation": (
        "errors metrics triplets",
        "backends.torch_backend far_motion motion nets.spec options padding",
        "numpy torch",
    ),
    "training.report": (
        "batch logs recipe start state validation",
        "backends.torch_backend checkpoint maps vsrrin",
        "torch",
    ),
    "training.trainer": (
        "aids batch errors feed losses matching optim parallel recipe report sources start state steps teachers",
        "",
        "torch",
    ),
    # Commands.
    "training.arguments": ("", "", ""),
    "training.prepare": ("arguments decoding manifest origins preparation", "errors", "tqdm"),
    "training.bank": (
        "arguments augment bank_files bank_making batch dis errors pairs shots synthetic",
        "errors motion",
        "cv2 numpy torch",
    ),
    "training.evaluate": ("errors methods metrics sheet table triplets", "checkpoint errors", "vapoursynth"),
    "training.curves": ("errors logs", "errors", "matplotlib"),
    "training.memory": ("", "", ""),
    "training.train": ("memory parallel recipe state trainer", "errors", ""),
}
COMMANDS = {"bank", "curves", "evaluate", "prepare", "train"}


def modules() -> dict[str, Path]:
    """Every module of training by its name."""
    return {"training" if p.stem == "__init__" else f"training.{p.stem}": p for p in sorted(PACKAGE.glob("*.py"))}


def imported_by(module: str) -> tuple[set[str], set[str], set[str]]:
    """(modules of training, modules of vsrrin, other packages) that a module imports."""
    path, known = modules()[module], {*modules(), *modules_of_vsrrin()}
    is_package = path.name == "__init__.py"
    names = imports(path.read_text(), module, is_package=is_package, known=known, ours=("training", "vsrrin"))
    own, theirs = (
        {name.removeprefix(f"{package}.") for name in names if name.partition(".")[0] == package}
        for package in ("training", "vsrrin")
    )
    others = {name for name in names if name.partition(".")[0] not in ("training", "vsrrin")}
    return own, theirs, others - set(sys.stdlib_module_names)


def test_every_module_is_in_the_table_and_the_other_way_round() -> None:
    assert set(modules()) == set(ALLOWED)
    assert not [path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE]


@pytest.mark.parametrize("module", sorted(modules()))
def test_a_module_imports_only_what_it_may(module: str) -> None:
    for found, may in zip(imported_by(module), ALLOWED[module], strict=True):
        assert found <= set(may.split()), "see ALLOWED in this file"


def test_vsrrin_knows_nothing_of_training() -> None:
    known = set(modules_of_vsrrin())
    for module, path in modules_of_vsrrin().items():
        is_package = path.name == "__init__.py"
        assert "training" not in imports(path.read_text(), module, is_package=is_package, known=known), module


def test_nothing_imports_in_a_circle_and_nothing_imports_the_trainer_but_its_command() -> None:
    graph = {module: {f"training.{name}" for name in imported_by(module)[0]} for module in modules()}
    order = list(TopologicalSorter(graph).static_order())
    assert order.index("training.recipe") < order.index("training.trainer") < order.index("training.train")
    importers = {name: {module for module, found in graph.items() if f"training.{name}" in found} for name in COMMANDS}
    assert importers.pop("bank") == {"training.sources"}  # the source of samples of a bank is beside its command
    assert not any(importers.values())
    assert [module for module, found in graph.items() if "training.trainer" in found] == ["training.train"]


def test_the_table_keeps_packages_where_they_belong() -> None:
    def may_import(package: str) -> set[str]:
        return {module.removeprefix("training.") for module, (*_, names) in ALLOWED.items() if package in names.split()}

    assert may_import("av") == {"decoding", "triplets"}
    assert may_import("matplotlib") == {"curves"}
    assert may_import("vapoursynth") == {"clips", "decoding", "evaluate", "methods", "metrics"}
    assert not may_import("torch") & {"manifest", "recipe", "recipe_keys", "shots", "splitting", "table", "train"}
