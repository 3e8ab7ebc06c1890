"""vsrrin.checkpoint.ranges: the file beside a checkpoint, and what is wrong with it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from vsrrin.checkpoint import files, loader
from vsrrin.checkpoint.ranges import ranges_path, save_ranges
from vsrrin.engine.interpolator import Interpolator
from vsrrin.engine.options import Options
from vsrrin.errors import ArgumentError
from vsrrin.nets.parts.convolution_stacks import has_ranges, hidden_convolutions, named_stacks


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A copy of bundled weights, without ranges."""
    path = tmp_path / "own.v2.safetensors"
    source = loader.bundled()["balanced"]
    for file, copy in ((source, path), (source.with_suffix(".json"), path.with_suffix(".json"))):
        shutil.copy(file, copy)
    return path


def ranges_of(path: Path) -> dict[str, list[tuple[float, float]]]:
    found = named_stacks(loader.load(path).net)
    return {name: [(-1.0, 2.0)] * len(hidden_convolutions(*each)) for name, each in found.items()}


def test_what_is_written_is_read(own: Path) -> None:
    before = files.versions(own)
    assert not has_ranges(loader.load(own).net)
    path = save_ranges(own, loader.load(own).metadata, ranges_of(own), {"measured_on": 'two "films"'})
    assert path == own.with_name("own.v2.int8.json") == ranges_path(own)
    model = loader.load(own)
    ((_, _, stack),) = named_stacks(model.net).values()
    assert stack.ranges == ((-1.0, 2.0),) * 10
    assert "ranges" not in model.metadata
    assert json.loads(path.read_text())["measured_on"] == 'two "films"'
    assert files.versions(own) != before  # so that a filter loads it again


def damaged(path: Path) -> None:
    path.write_text(path.read_text()[:-20])


def of_another(path: Path) -> None:
    path.write_text(path.read_text().replace('"sha256": "', '"sha256": "0'))


def too_few(path: Path) -> None:
    content = json.loads(path.read_text())
    content["ranges"]["weigher.forward"].pop()
    path.write_text(json.dumps(content))


def turned(path: Path) -> None:
    path.write_text(path.read_text().replace("[-1.0, 2.0]", "[2.0, -1.0]", 1))


def not_finite(path: Path) -> None:
    path.write_text(path.read_text().replace("[-1.0, 2.0]", "[-1.0, Infinity]", 1))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (damaged, "holds no ranges"),
        (of_another, "is of other weights"),
        (too_few, "does not fit"),
        (turned, "does not fit"),
        (not_finite, "does not fit"),
        (lambda path: path.write_bytes(b"\xff\xff"), "cannot be read"),
        (lambda path: path.write_text("[]"), "holds no ranges"),
        (lambda path: path.write_text("[" * 100_000), "holds no ranges"),
    ],
)
def test_ranges_that_are_no_good_are_not_used_and_named_when_asked_for(
    own: Path, spoil: Callable[[Path], object], reason: str
) -> None:
    spoil(save_ranges(own, loader.load(own).metadata, ranges_of(own), {}))
    model = loader.load(own)
    assert not has_ranges(model.net) and reason in model.metadata["ranges"]
    with pytest.raises(ArgumentError, match=f"precision 'int8' needs the ranges.*{reason}.*vsrrin models quantize"):
        Interpolator(model, Options(device="cpu", precision="int8"))
    frame = torch.rand(1, 3, 64, 64)
    Interpolator(model, Options(device="cpu")).interpolate(frame, frame, [0.5])


def test_bundled_weights_have_ranges_of_their_own() -> None:
    for name in ("rrin_lite", "balanced"):
        model = loader.load(name)
        assert has_ranges(model.net) and "ranges" not in model.metadata, model.metadata.get("ranges")
