"""vsrrin.clip.repeats: which source frames show one picture."""

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import vapoursynth as vs

from vsrrin.clip.repeats import Run, repeat_clip, run_clip, run_of, stilled
from vsrrin.clip.scene_cuts import cut_clip
from vsrrin.engine.options import Options


def held(clip: vs.VideoNode, *lengths: int) -> vs.VideoNode:
    """The first frames of a clip, each held for a number of frames of its own."""
    return vs.core.std.Splice([clip[n] * length for n, length in enumerate(lengths)])


def grainy(clip: vs.VideoNode, strength: float = 2) -> vs.VideoNode:
    """An 8-bit clip with noise that no two frames share."""

    def add(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        noise = np.random.default_rng(n)
        for index in range(frame.format.num_planes):
            plane = np.asarray(frame[index])
            plane[:] = np.clip(np.rint(plane + noise.normal(0, strength, plane.shape)), 0, 255)
        return frame

    return clip.std.ModifyFrame(clip, add)


def made_of(clip: vs.VideoNode, options: Options) -> vs.VideoNode:
    repeats = repeat_clip(clip, options.longest_run)
    return run_clip(repeats, cut_clip(stilled(clip, repeats, options.longest_run), options.scene), options)


def runs(clip: vs.VideoNode, **options: object) -> list[Run]:
    chosen = Options(duplicates="spread", **options)  # type: ignore[arg-type]
    made = made_of(clip, chosen)
    assert made.num_frames == clip.num_frames
    return [run_of(frame) for frame in made.frames(close=True)]


def expected(*lengths: int, alone: Sequence[int] = ()) -> list[Run]:
    """The runs of `held`; the motion of those named in ``alone``, and of the last, is not spread."""
    answers, start = [], 0
    for number, length in enumerate(lengths):
        spread = length > 1 and number not in alone and number < len(lengths) - 1
        for n in range(start, start + length):
            place = (start, start + length) if spread else (n, n)
            answers.append(Run(*place))
        start += length
    return answers


def alone(length: int) -> list[Run]:
    """The runs of a clip in which nothing is spread."""
    return [Run(n, n) for n in range(length)]


@pytest.mark.parametrize("lengths", [(2,) * 8, (3,) * 8, (1, 2, 3, 1, 4, 2, 1, 1)], ids=str)
def test_copies_are_found_exact_and_grainy(small_bunny: vs.VideoNode, lengths: tuple[int, ...]) -> None:
    clip = held(small_bunny.std.FlipVertical(), *lengths)
    assert runs(clip) == expected(*lengths)
    assert runs(grainy(clip)) == expected(*lengths)


def test_what_moves_in_every_frame_repeats_nothing(small_bunny: vs.VideoNode) -> None:
    for clip in (small_bunny, grainy(small_bunny)):
        assert runs(clip) == alone(8)


@pytest.mark.parametrize("longest", [2, 3, 4, 5])
def test_runs_longer_than_the_longest_are_holds(small_bunny: vs.VideoNode, longest: int) -> None:
    lengths = (2, 4, 3, 5, 2, 1)
    holds = [number for number, length in enumerate(lengths) if length > longest]
    assert runs(held(small_bunny, *lengths), longest_run=longest) == expected(*lengths, alone=holds)


def test_no_run_crosses_a_cut(small_bunny: vs.VideoNode) -> None:
    """Neither does a run before one have anything to move to."""
    lengths = (2,) * 8
    clip = held(small_bunny, *lengths)
    clip = clip[:8].std.SetFrameProps(_SceneChangeNext=0)[:7] + clip[7].std.SetFrameProps(_SceneChangeNext=1) + clip[8:]
    assert runs(clip) == expected(*lengths, alone=[3])
    assert runs(clip, scene="off") == expected(*lengths)
    inside = clip[:4].std.SetFrameProps(_SceneChangeNext=0) + clip[4].std.SetFrameProps(_SceneChangeNext=1) + clip[5:]
    assert runs(inside)[4:6] == alone(6)[4:]


def test_a_small_thing_that_moves_is_motion(small_bunny: vs.VideoNode) -> None:
    """A picture on twos, over which something of 8x8 pixels moves in every frame."""

    def point(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        np.asarray(frame[0])[70:78, 30 + 3 * n : 38 + 3 * n] = 235
        return frame

    clip = grainy(held(small_bunny, *(2,) * 8))
    assert runs(clip.std.ModifyFrame(clip, point)) == alone(16)


def test_slow_pans_and_fades_are_no_repeats(bunny: vs.VideoNode) -> None:
    picture = bunny[0].resize.Bicubic(856, 482)
    pan = vs.core.std.Splice([picture.resize.Bicubic(428, 240, src_left=n / 2, src_width=428) for n in range(16)])
    assert runs(grainy(pan, 2)) == alone(16)
    fade = vs.core.std.Splice([picture.resize.Bicubic(428, 240).std.Levels(max_out=235 - n) for n in range(16)])
    assert runs(grainy(fade, 2)) == alone(16)


def test_a_still_picture_with_grain_is_as_it_is(small_bunny: vs.VideoNode) -> None:
    assert runs(grainy(small_bunny[3] * 12)) == alone(12)


def test_colour_alone_counts(small_bunny: vs.VideoNode) -> None:
    """Something moves in chroma, or in blue, and nowhere else."""
    for clip, plane in ((small_bunny, 1), (small_bunny.resize.Bicubic(format=vs.RGB24, matrix_in=1), 2)):

        def point(n: int, f: vs.VideoFrame, plane: int = plane) -> vs.VideoFrame:
            frame = f.copy()
            np.asarray(frame[plane])[30:38, 10 + 3 * n : 18 + 3 * n] = 250
            return frame

        twos = held(clip, *(2,) * 8)
        assert runs(twos.std.ModifyFrame(twos, point)) == alone(16)


FORMATS = [vs.GRAY8, vs.GRAY16, vs.GRAYS, vs.RGB24, vs.RGB48, vs.RGBH, vs.RGBS]
FORMATS += [vs.YUV410P8, vs.YUV420P10, vs.YUV422P12, vs.YUV444P16, vs.YUV444PH, vs.YUV444PS]


@pytest.mark.parametrize("format_id", FORMATS, ids=lambda i: vs.core.get_video_format(i).name)
def test_every_format_has_the_same_repeats(small_bunny: vs.VideoNode, format_id: int) -> None:
    lengths = (2, 3, 1, 2)
    matrix = {"matrix_in": 1} if vs.core.get_video_format(format_id).color_family == vs.RGB else {}
    clip = grainy(held(small_bunny, *lengths)).resize.Bicubic(format=format_id, **matrix)
    assert runs(clip) == expected(*lengths)


@pytest.mark.parametrize("size", [(1, 1), (17, 33), (1920, 4)])
@pytest.mark.parametrize("length", [1, 2, 5])
def test_clips_of_any_size_and_length_are_answered(
    small_bunny: vs.VideoNode, size: tuple[int, int], length: int
) -> None:
    clip = held(small_bunny, *(2,) * 8).resize.Bicubic(*size, format=vs.YUV444P8)[:length]
    assert [(a.first, a.following) for a in runs(clip[0] * length)] == [(n, n) for n in range(length)]
    assert len(runs(clip)) == length


def test_samples_that_are_no_numbers_do_no_harm(small_bunny: vs.VideoNode) -> None:
    def spoil(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        np.asarray(frame[0])[40, 20:22] = np.nan, np.inf
        return frame

    clip = held(small_bunny.resize.Bicubic(format=vs.GRAYS), *(2,) * 8)
    assert runs(clip.std.ModifyFrame(clip, spoil)) == expected(*(2,) * 8)


def test_order_and_threads_do_not_matter(small_bunny: vs.VideoNode) -> None:
    clip = grainy(held(small_bunny, 2, 3, 1, 4, 5, 2, 1, 2))
    wanted = runs(clip)
    made = made_of(clip, Options(duplicates="spread"))
    numbers = [n for n in range(clip.num_frames) for _ in range(3)]
    random.Random(3).shuffle(numbers)
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(lambda n: run_of(made.get_frame(n)), numbers)) == [wanted[n] for n in numbers]


def test_one_answer_asks_for_its_surroundings_only(
    bunny: vs.VideoNode, counted: Callable[[vs.VideoNode], tuple[vs.VideoNode, list[int]]]
) -> None:
    clip, asked = counted(bunny.resize.Bicubic(64, 48))
    made = made_of(clip, Options(duplicates="spread", longest_run=3))
    made.get_frame(25).close()
    assert set(asked) <= set(range(25 - 12, 25 + 12))
