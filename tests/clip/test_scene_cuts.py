"""vsrrin.clip.scene_cuts: where a clip is cut, as a clip."""

import random
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs

from tests.conftest import BUNNY
from vsrrin.clip import frames, scene_score
from vsrrin.clip.frames import Colour
from vsrrin.clip.scene_cuts import SceneMode, cut_clip, is_cut

FIRST, SECOND = 6, 11
"""Last frames of the scenes of `spliced`."""
LENGTH = 18


@pytest.fixture(scope="module")
def spliced() -> vs.VideoNode:
    """Three scenes of real motion: 7, 5 and 6 frames, decoded once."""
    clip = vs.core.bs.VideoSource(str(BUNNY), cachemode=0).std.SetFrameProps(_Matrix=vs.MATRIX_BT709, _Range=0)
    clip = clip.resize.Bicubic(256, 144)
    other = clip.std.FlipHorizontal().std.FlipVertical().std.Levels(max_out=170)
    clip = clip[: FIRST + 1] + other[20:25] + clip[30:36]
    clip.std.SetVideoCache(mode=1, fixedsize=1, maxsize=LENGTH)
    return clip


def answers(
    clip: vs.VideoNode, mode: SceneMode = "auto", threshold: float = scene_score.THRESHOLD
) -> list[bool | None]:
    cuts = cut_clip(clip, mode, threshold)
    assert cuts.num_frames == clip.num_frames
    return [is_cut(frame) for frame in cuts.frames(close=True)]


def found(clip: vs.VideoNode, mode: SceneMode = "auto", threshold: float = scene_score.THRESHOLD) -> list[int]:
    """Frames after which there is a cut; every frame must have got an answer."""
    given = answers(clip, mode, threshold)
    assert None not in given
    return [n for n, cut in enumerate(given) if cut]


def marked(clip: vs.VideoNode, marks: Mapping[int, Mapping[str, int]]) -> vs.VideoNode:
    """The clip with properties on some frames, as another detector would leave them."""

    def mark(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        for key, value in marks.get(n, {}).items():
            frame.props[key] = value
        return frame

    return clip.std.ModifyFrame(clip, mark)


def marked_everywhere(clip: vs.VideoNode, *cuts: int) -> vs.VideoNode:
    return marked(clip, {n: {"_SceneChangeNext": int(n in cuts)} for n in range(clip.num_frames)})


@pytest.mark.parametrize("mode", ["auto", "detect"])
def test_cuts_without_marks_are_found_and_nothing_else(spliced: vs.VideoNode, mode: SceneMode) -> None:
    assert found(spliced, mode) == [FIRST, SECOND]


@pytest.mark.parametrize("mode", ["props", "off"])
def test_without_marks_and_without_looking_nobody_knows(spliced: vs.VideoNode, mode: SceneMode) -> None:
    assert answers(spliced, mode) == [None] * (LENGTH - 1) + [False]


@pytest.mark.parametrize(
    ("mode", "expected"), [("auto", [2]), ("props", [2]), ("off", [2]), ("detect", [FIRST, SECOND])]
)
def test_marks_win_unless_only_detection_is_asked_for(
    spliced: vs.VideoNode, mode: SceneMode, expected: list[int]
) -> None:
    assert found(marked_everywhere(spliced, 2), mode) == expected


def test_where_marks_are_missing_auto_looks_for_itself(spliced: vs.VideoNode) -> None:
    """Frame FIRST says that there is no cut, frame 3 that there is one; nothing is said of the others."""
    clip = marked(spliced, {FIRST: {"_SceneChangeNext": 0}, 3: {"_SceneChangePrev": 1}})
    assert found(clip) == [2, SECOND]
    given = answers(clip, "props")
    assert [n for n, cut in enumerate(given[:-1]) if cut is not None] == [2, FIRST]
    assert (given[2], given[FIRST]) == (True, False)


@pytest.mark.parametrize(
    "marks",
    [
        {4: {"_SceneChangeNext": 1}},
        {5: {"_SceneChangePrev": 1}},
        {4: {"_SceneChangeNext": 1}, 5: {"_SceneChangePrev": 1}},
        {4: {"_SceneChangeNext": 0}, 5: {"_SceneChangePrev": 1}},
    ],
    ids=["left", "right", "both", "they disagree"],
)
def test_a_mark_on_either_side_of_the_cut_counts(spliced: vs.VideoNode, marks: Mapping[int, Mapping[str, int]]) -> None:
    assert answers(marked(spliced, marks), "props")[4] is True


def test_marks_at_the_ends_of_the_clip_make_no_cut(spliced: vs.VideoNode) -> None:
    """Detectors mark the first frame as the beginning of a scene and the last as the end of one."""
    clip = marked(spliced, {0: {"_SceneChangePrev": 1, "_SceneChangeNext": 0}, LENGTH - 1: {"_SceneChangeNext": 1}})
    given = answers(clip, "props")
    assert given[0] is False
    assert given[-1] is False


def test_the_detector_is_not_run_where_marks_tell(spliced: vs.VideoNode, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = marked_everywhere(spliced, FIRST)
    monkeypatch.setattr(scene_score, "cut_score", lambda *_: pytest.fail("looked for a cut"))
    for mode in ("auto", "props", "off"):
        assert found(clip, mode) == [FIRST]  # type: ignore[arg-type]


def test_the_threshold_decides(spliced: vs.VideoNode) -> None:
    assert found(spliced, threshold=1.0) == []
    assert set(found(spliced, threshold=1e-6)) > {FIRST, SECOND}


def test_answers_are_the_detectors_own_for_every_pair(spliced: vs.VideoNode) -> None:
    """Also at the ends, where the detector must not be shown frames that are not there."""
    colour = [Colour.of_frame(f) for f in spliced.frames()]
    pictures = [scene_score.thumbnail(frames.luma(f, c)) for f, c in zip(spliced.frames(), colour, strict=True)]

    def at(n: int) -> scene_score.Thumbnail | None:
        return pictures[n] if 0 <= n < LENGTH else None

    around = range(-scene_score.RADIUS, scene_score.RADIUS + 2)
    scores = [scene_score.cut_score([at(k + by) for by in around]) for k in range(LENGTH - 1)]
    for threshold in (0.5 * sorted(scores)[LENGTH // 2], *np.quantile(scores, [0.25, 0.5, 0.75])):
        assert found(spliced, "detect", threshold) == [k for k, score in enumerate(scores) if score >= threshold]


@pytest.mark.parametrize("length", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("mode", ["auto", "props", "detect", "off"])
def test_short_clips_have_an_answer_for_each_frame(spliced: vs.VideoNode, mode: SceneMode, length: int) -> None:
    clip = spliced[FIRST + 1 - length // 2 :][:length]
    given = answers(clip, mode)
    assert len(given) == length
    assert given[-1] is False
    if mode in ("auto", "detect") and length > 1:
        assert given[length // 2 - 1] is True


def counting(monkeypatch: pytest.MonkeyPatch, name: str) -> list[int]:
    """Counts the calls of a function of the detector; the count is the list's length."""
    calls: list[int] = []
    original: Callable[..., Any] = getattr(scene_score, name)

    def count(*arguments: Any) -> Any:
        calls.append(1)
        return original(*arguments)

    monkeypatch.setattr(scene_score, name, count)
    return calls


def test_each_frame_is_shrunk_once_and_each_pair_compared_once(
    spliced: vs.VideoNode,
    counted: Callable[[vs.VideoNode], tuple[vs.VideoNode, list[int]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clip, asked = counted(spliced)
    cuts = cut_clip(clip, "auto", scene_score.THRESHOLD)
    shrunk, compared = counting(monkeypatch, "thumbnail"), counting(monkeypatch, "change")
    given = [is_cut(cuts.get_frame(n)) for n in range(LENGTH)]
    assert [n for n, cut in enumerate(given) if cut] == [FIRST, SECOND]
    assert len(shrunk) == LENGTH
    assert len(compared) <= 2 * LENGTH  # once each, and a few more across frames that may be flashes
    assert sorted(asked) == list(range(LENGTH))
    assert [is_cut(cuts.get_frame(n)) for n in range(LENGTH)] == given
    assert len(shrunk) == LENGTH


def test_one_answer_asks_for_its_surroundings_only(
    bunny: vs.VideoNode, counted: Callable[[vs.VideoNode], tuple[vs.VideoNode, list[int]]]
) -> None:
    clip, asked = counted(bunny.resize.Bicubic(64, 48))
    cut_clip(clip, "detect", scene_score.THRESHOLD).get_frame(25).close()
    assert set(asked) <= set(range(25 - scene_score.RADIUS, 25 + scene_score.RADIUS + 3))
    asked.clear()
    cut_clip(clip, "props", scene_score.THRESHOLD).get_frame(40).close()
    assert set(asked) <= {40, 41}


def test_order_and_threads_do_not_matter(spliced: vs.VideoNode) -> None:
    expected = answers(spliced)
    cuts = cut_clip(spliced, "auto", scene_score.THRESHOLD)
    numbers = [n for n in range(LENGTH) for _ in range(3)]
    random.Random(3).shuffle(numbers)
    with ThreadPoolExecutor(6) as pool:
        given = list(pool.map(lambda n: is_cut(cuts.get_frame(n)), numbers))
    assert given == [expected[n] for n in numbers]
    backwards = cut_clip(spliced, "auto", scene_score.THRESHOLD)
    assert [is_cut(backwards.get_frame(n)) for n in reversed(range(LENGTH))] == expected[::-1]


FORMATS = [vs.GRAY8, vs.GRAY16, vs.GRAYS, vs.RGB24, vs.RGB48, vs.RGBH, vs.RGBS]
FORMATS += [vs.YUV420P10, vs.YUV422P12, vs.YUV444P16, vs.YUV444PH, vs.YUV444PS]


@pytest.mark.parametrize("format_id", FORMATS, ids=lambda i: vs.core.get_video_format(i).name)
def test_every_format_gives_the_same_cuts(spliced: vs.VideoNode, format_id: int) -> None:
    clip = spliced.resize.Bicubic(format=format_id)
    assert found(clip, "detect") == [FIRST, SECOND]


def test_full_and_limited_range_of_a_dark_clip_give_the_same_cuts(spliced: vs.VideoNode) -> None:
    for range_in in (0, 1):
        clip = spliced.std.SetFrameProps(_Range=0).resize.Bicubic(format=vs.YUV420P10, range=range_in)
        dark = clip.std.Levels(min_in=64 * (1 - range_in), max_in=1023, min_out=64 * (1 - range_in), max_out=400)
        assert found(dark, "detect") == [FIRST, SECOND]


@pytest.mark.parametrize("size", [(1, 1), (17, 33), (1920, 4)])
def test_frames_of_any_size_are_answered(spliced: vs.VideoNode, size: tuple[int, int]) -> None:
    clip = spliced.resize.Bicubic(*size, format=vs.YUV444P8)
    assert set(found(clip, "detect")) <= {FIRST, SECOND}


def test_a_still_clip_has_no_cut(spliced: vs.VideoNode) -> None:
    assert found(spliced[5] * 12, "detect", threshold=1e-6) == []


def test_the_answers_are_tiny(spliced: vs.VideoNode) -> None:
    """They are kept in memory for the length of the clip."""
    cuts = cut_clip(spliced, "auto", scene_score.THRESHOLD)
    assert (cuts.width, cuts.height, cuts.format.id) == (1, 1, vs.GRAY8)
