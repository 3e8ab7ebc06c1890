"""vsrrin.clip.props"""

from fractions import Fraction
from typing import Any

import pytest

from vsrrin.clip import props
from vsrrin.clip.timing import FrameTime

PAIR = FrameTime(3, 4, Fraction(1, 3))


def written(given: dict[str, Any], kind: props.Kind = "new", **options: Any) -> dict[str, Any]:
    defaults: dict[str, Any] = {"duration": None, "begins_scene": None, "ends_scene": None}
    props.write(given, PAIR, kind, **(defaults | options))
    return given


def test_new_frames_keep_what_describes_the_picture_and_lose_what_holds_for_one_frame() -> None:
    frame = written({"_Matrix": 1, "_Range": 0, "_PictType": "I", "_AbsoluteTime": 1.5, "MasteringDisplay": 7})
    assert frame == {
        "_Matrix": 1,
        "_Range": 0,
        "MasteringDisplay": 7,
        "_VSRRIN_Kind": "new",
        "_VSRRIN_Left": 3,
        "_VSRRIN_Right": 4,
        "_VSRRIN_TNum": 1,
        "_VSRRIN_TDen": 3,
    }


def test_source_frames_keep_picture_type_and_time() -> None:
    frame = written({"_PictType": "I", "_AbsoluteTime": 1.5}, "source")
    assert (frame["_PictType"], frame["_AbsoluteTime"]) == ("I", 1.5)


def test_durations_are_normalised_and_old_claims_removed() -> None:
    frame = written({"_DurationNum": 1, "_DurationDen": 24}, duration=Fraction(2, 96))
    assert (frame["_DurationNum"], frame["_DurationDen"]) == (1, 48)
    assert "_DurationNum" not in written({"_DurationNum": 1, "_DurationDen": 24})


def test_fractions_beyond_64_bit_are_rounded_to_what_a_property_can_hold() -> None:
    frame = written({}, duration=Fraction(10**19 + 1, 10**20))
    assert abs(Fraction(frame["_DurationNum"], frame["_DurationDen"]) - Fraction(1, 10)) < Fraction(1, 10**15)
    assert frame["_DurationDen"] < 2**63


def test_scene_marks_are_set_or_removed() -> None:
    frame = written({"_SceneChangePrev": 1, "_SceneChangeNext": 1}, begins_scene=False, ends_scene=True)
    assert (frame["_SceneChangePrev"], frame["_SceneChangeNext"]) == (0, 1)
    assert "_SceneChangePrev" not in written({"_SceneChangePrev": 1})


@pytest.mark.parametrize(
    ("left", "right", "cut"),
    [
        ({}, {}, None),
        ({"_SceneChangeNext": 1}, {}, True),
        ({"_SceneChangeNext": 0}, {}, False),
        ({}, {"_SceneChangePrev": 1}, True),
        ({"_SceneChangeNext": 0}, {"_SceneChangePrev": 1}, True),
        ({"_SceneChangeNext": 0}, {"_SceneChangePrev": 0}, False),
        ({"_SceneChangePrev": 1}, {"_SceneChangeNext": 1}, None),  # these speak of other pairs
    ],
)
def test_marks_of_any_detector_count(left: dict[str, int], right: dict[str, int], cut: bool | None) -> None:
    assert props.marked_cut(left, right) is cut


@pytest.mark.parametrize(
    ("given", "duration"),
    [
        ({"_DurationNum": 1001, "_DurationDen": 24000}, Fraction(1001, 24000)),
        ({}, None),
        ({"_DurationNum": 1}, None),
        ({"_DurationNum": 0, "_DurationDen": 1}, None),
        ({"_DurationNum": 1, "_DurationDen": 0}, None),
        ({"_DurationNum": 0.5, "_DurationDen": 1}, None),
    ],
)
def test_durations_are_read_if_usable(given: dict[str, Any], duration: Fraction | None) -> None:
    assert props.frame_duration(given) == duration


def test_repeats_are_said_where_somebody_looked() -> None:
    assert written({}, repeat=True)["_VSRRIN_Repeat"] == 1
    assert written({"_VSRRIN_Repeat": 1}, repeat=False)["_VSRRIN_Repeat"] == 0
    assert "_VSRRIN_Repeat" not in written({"_VSRRIN_Repeat": 1})
