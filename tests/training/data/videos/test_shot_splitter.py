"""Where shots begin and end, and which frames are left out."""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.training.video_files import pan
from training.data.videos.decoding import Frame, Picture
from training.data.videos.shot_splitter import REACH, STRETCH, Run, Splitter, mark_repeated, mark_scenes
from training.data.videos.shot_writer import ShotWriter
from training.measure.vs_clips import to_clip
from vsrrin.clip import scene_score
from vsrrin.clip.scene_cuts import cut_clip, is_cut

RATE = 25


def numbered(pictures: Iterable[Picture], times: Sequence[Fraction] | None = None) -> Iterator[Frame]:
    for number, picture in enumerate(pictures):
        yield Frame(number, times[number] if times else Fraction(number, RATE), picture)


def split(
    folder: Path, pictures: Sequence[Picture], *, least: int = 3, times: Sequence[Fraction] | None = None
) -> tuple[list[Run], dict[str, int]]:
    """The runs that have become shots, and how many frames were left out for which reason; every frame is either."""
    splitter = Splitter(lambda first: ShotWriter(folder / f"{first}.npy"), least)
    marked = mark_repeated(mark_scenes(numbered(pictures, times)))
    runs = [run for seen, repeated in marked for run in splitter.add(seen, repeated)]
    runs += splitter.end()
    for run in runs:
        run.writer.finish()
        stored = np.load(run.writer.path)
        assert len(stored) == len(run) == len(run.motion) + 1
        assert all(np.array_equal(frame, pictures[number]) for frame, number in zip(stored, run.numbers, strict=True))
    assert not list(folder.glob("*.part"))
    assert sum(len(run) for run in runs) + sum(splitter.dropped.values()) == len(pictures)
    return runs, {reason: count for reason, count in splitter.dropped.items() if count}


def numbers(runs: Iterable[Run]) -> list[list[int]]:
    return [run.numbers for run in runs]


def noisy(picture: Picture, count: int, spread: float = 5.0) -> list[Picture]:
    """The same picture with noise that differs."""
    noise = np.random.default_rng(0).normal(0, spread, (count, *picture.shape))
    return [np.clip(picture + each, 0, 255).astype(np.uint8) for each in noise]


def test_scenes_are_where_the_filter_sees_them(tmp_path: Path) -> None:
    pictures = [*pan(10), *pan(9, seed=1), *pan(11, -3, seed=2)]
    runs, dropped = split(tmp_path, pictures)
    assert numbers(runs) == [list(range(10)), list(range(10, 19)), list(range(19, 30))]
    assert dropped == {}
    cuts = cut_clip(to_clip(pictures), "detect", scene_score.THRESHOLD)
    assert [k + 1 for k in range(len(pictures)) if is_cut(cuts.get_frame(k))] == [10, 19]


def test_another_size_is_another_shot(tmp_path: Path) -> None:
    moving = pan(12)
    pictures = [*moving[:6], *(np.asarray(cv2.resize(each, (48, 32)), np.uint8) for each in moving[6:])]  # no cut
    runs, _ = split(tmp_path, pictures)
    assert numbers(runs) == [list(range(6)), list(range(6, 12))]
    assert [run.writer.size for run in runs] == [(64, 96), (32, 48)]


def test_motion_is_measured_in_pixels_of_the_frames(tmp_path: Path) -> None:
    runs, _ = split(tmp_path, pan(5, 3.0, size=(200, 512)))  # measured at half that size
    mean, high = np.mean(runs[0].motion, axis=0)
    assert mean == pytest.approx(3, abs=0.5)
    assert high == pytest.approx(3, abs=0.8)


def test_a_repeated_frame_in_motion_divides_a_shot(tmp_path: Path) -> None:
    pictures = pan(20)
    pictures.insert(10, pictures[9])
    runs, dropped = split(tmp_path, pictures)
    assert numbers(runs) == [list(range(10)), list(range(11, 21))]
    assert dropped == {"repeated": 1}


def test_noise_of_coding_does_not_hide_a_repetition(tmp_path: Path) -> None:
    pictures = pan(20, 4.0)
    pictures.insert(10, noisy(pictures[9], 1, 2.0)[0])
    assert numbers(split(tmp_path, pictures)[0]) == [list(range(10)), list(range(11, 21))]


def test_what_comes_to_rest_is_not_repeated(tmp_path: Path) -> None:
    speeds = [4.0] * 10 + [0.2] * 8
    pictures = [pan(2, place)[1] for place in np.cumsum(speeds)]
    runs, dropped = split(tmp_path, pictures)
    assert numbers(runs) == [list(range(18))]
    assert dropped == {}


@pytest.mark.parametrize("times", [2, 3])
def test_animation_on_twos_or_threes_is_one_shot_of_a_lower_rate(tmp_path: Path, times: int) -> None:
    drawn = pan(14)
    runs, dropped = split(tmp_path, [picture for picture in drawn for _ in range(times)], least=8)
    # At both ends a repetition cannot be told from a rest.
    assert len(runs) == 1
    assert set(np.diff(runs[0].numbers)) == {times}
    assert runs[0].step == Fraction(times, RATE)
    assert len(runs[0]) >= 12
    assert dropped["repeated"] >= 12 * (times - 1)


def test_24_frames_shown_as_30_fall_into_pieces(tmp_path: Path) -> None:
    pictures = [picture for number, picture in enumerate(pan(24)) for _ in range(2 if number % 4 == 3 else 1)]
    runs, _ = split(tmp_path, pictures, least=4)
    assert all(len(run) == 4 and set(np.diff(run.numbers)) == {1} for run in runs)
    assert len(runs) >= 5
    runs, dropped = split(tmp_path, pictures, least=8)
    assert runs == []
    assert dropped["uneven"] >= 20


def test_another_spacing_in_time_is_another_shot(tmp_path: Path) -> None:
    steps = [Fraction(1, 30)] * 9 + [Fraction(1, 15)] + [Fraction(1, 30)] * 6 + [Fraction(1, 10)] * 8
    times = [sum(steps[:number], Fraction(5)) for number in range(25)]
    runs, dropped = split(tmp_path, pan(25), times=times)
    assert numbers(runs) == [list(range(10)), list(range(10, 17)), list(range(17, 25))]
    assert [run.step for run in runs] == [Fraction(1, 30), Fraction(1, 30), Fraction(1, 10)]
    assert dropped == {}


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(60), Fraction(240)])
def test_times_rounded_to_milliseconds_are_even(tmp_path: Path, rate: Fraction) -> None:
    times = [Fraction(round(1000 * number / rate), 1000) for number in range(20)]
    runs, _ = split(tmp_path, pan(20), times=times)
    assert numbers(runs) == [list(range(20))]


def test_a_stretch_at_rest_is_left_out(tmp_path: Path) -> None:
    moving = pan(12)
    rest = noisy(moving[-1], STRETCH + 16)
    pictures = [*moving, *rest, *pan(24)[12:]]
    runs, dropped = split(tmp_path, pictures)
    assert numbers(runs) == [list(range(12)), list(range(len(pictures) - 12, len(pictures)))]
    assert dropped == {"still": STRETCH + 16}


def test_a_short_rest_stays(tmp_path: Path) -> None:
    moving = pan(24)
    pictures = [*moving[:12], *noisy(moving[11], STRETCH - 4), *moving[12:]]
    runs, dropped = split(tmp_path, pictures)
    assert numbers(runs) == [list(range(len(pictures)))]
    assert dropped == {}


def test_slow_motion_is_no_rest(tmp_path: Path) -> None:
    runs, dropped = split(tmp_path, pan(3 * STRETCH, 0.1))
    assert numbers(runs) == [list(range(3 * STRETCH))]
    assert dropped == {}


def test_nothing_is_left_of_a_still_picture(tmp_path: Path) -> None:
    runs, dropped = split(tmp_path, noisy(pan(1)[0], 3 * STRETCH))
    assert runs == []
    assert dropped == {"still": 3 * STRETCH - 1, "short": 1}


def test_a_frozen_picture_in_motion_is_left_out(tmp_path: Path) -> None:
    moving = pan(24)
    pictures = [*moving[:12], *[moving[11]] * 40, *moving[12:]]
    runs, dropped = split(tmp_path, pictures)
    assert numbers(runs) == [list(range(12)), list(range(52, 64))]
    assert sum(dropped.values()) == 40


def test_short_shots_are_left_out(tmp_path: Path) -> None:
    runs, dropped = split(tmp_path, [*pan(10), *pan(7, seed=1), *pan(10, seed=2)], least=8)
    assert numbers(runs) == [list(range(10)), list(range(17, 27))]
    assert dropped == {"short": 7}


@pytest.mark.parametrize("count", [0, 1, 2])
def test_hardly_any_frames(tmp_path: Path, count: int) -> None:
    runs, dropped = split(tmp_path, pan(count))
    assert runs == []
    assert dropped == ({"short": count} if count else {})


def test_only_a_few_frames_are_held(tmp_path: Path) -> None:
    asked = 0

    def source() -> Iterator[Frame]:
        nonlocal asked
        for frame in numbered(pan(60)):
            asked += 1
            yield frame

    ahead = [asked - seen.frame.number - 1 for seen, _ in mark_repeated(mark_scenes(source()))]
    assert max(ahead) == scene_score.RADIUS + REACH
