"""vsrrin.engine.options"""

from fractions import Fraction

import pytest

from vsrrin.engine.options import automatic_scale, check_batch, check_overlap, check_preset, check_scale, check_tile
from vsrrin.errors import ArgumentError


@pytest.mark.parametrize("value", [0.2, 1.1, 0, -1, "half", True, float("nan")])
def test_bad_scales_are_refused(value: object) -> None:
    with pytest.raises(ArgumentError, match=r"scale must be a number from 0\.25 to 1"):
        check_scale(value)


@pytest.mark.parametrize("value", [-1, 63, (64,) * 3, (64, 32), "512", 100.0, True, (0, 128)])
def test_bad_tiles_are_refused(value: object) -> None:
    with pytest.raises(ArgumentError, match="tile must be a side"):
        check_tile(value)


def test_good_options_pass() -> None:
    assert [check_tile(v) for v in (None, 0, 512, (640, 480))] == [None, 0, 512, (640, 480)]
    assert [check_overlap(v) for v in (None, 0, 64)] == [None, 0, 64]
    assert [check_scale(v) for v in (None, 1, 0.25, Fraction(1, 2))] == [None, 1.0, 0.25, 0.5]


@pytest.mark.parametrize("value", [-1, 1.5, "64", True])
def test_bad_overlaps_are_refused(value: object) -> None:
    with pytest.raises(ArgumentError, match="overlap must be a number of pixels"):
        check_overlap(value)


def test_the_scale_is_chosen_by_the_long_side() -> None:
    sizes = {(480, 854): 1, (720, 1280): 0.5, (1920, 1080): 0.5, (2160, 3840): 0.25}
    assert {size: automatic_scale(*size) for size in sizes} == sizes


@pytest.mark.parametrize("value", [0, -1, 1.5, "2", True, None])
def test_bad_batches_are_refused(value: object) -> None:
    with pytest.raises(ArgumentError, match="batch must be a whole number from 1"):
        check_batch(value)


def test_presets_go_by_their_names() -> None:
    assert [check_preset(name) for name in ("fast", "fine")] == ["fast", "fine"]
    with pytest.raises(ArgumentError, match="preset must be one of fast, fine, not 'slow'"):
        check_preset("slow")
