"""The scene-cut detector on made pictures: textures with large and fine structure, moved by fractions of a pixel."""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from vsrrin.clip import scene_score
from vsrrin.errors import ArgumentError

Plane = npt.NDArray[np.float32]

HEIGHT, WIDTH = 180, 320


@cache
def texture(seed: int, height: int = 3 * HEIGHT, width: int = 3 * WIDTH) -> Plane:
    """A picture with structure from a few pixels to half a frame, mean about 0.45, values within 0.05 to 0.95."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width), np.float32)
    for sigma in (3, 10, 30, 80):
        layer = cv2.GaussianBlur(rng.standard_normal((height, width)).astype(np.float32), (0, 0), sigma)
        total += layer / layer.std() * sigma**0.35
    picture = np.asarray(np.clip(0.45 + 0.16 * total / total.std(), 0.05, 0.95), dtype=np.float32)
    picture.flags.writeable = False
    return picture


def view(picture: Plane, x: float, y: float, zoom: float = 1.0) -> Plane:
    """The frame whose upper left corner lies at (x, y) of the picture."""
    matrix = np.array([[zoom, 0, x], [0, zoom, y]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(picture, matrix, (WIDTH, HEIGHT), flags=flags, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, dtype=np.float32)


def shot(seed: int, length: int, dx: float = 1.3, dy: float = 0.4) -> list[Plane]:
    """A pan by (dx, dy) pixels per frame."""
    picture = texture(seed)
    return [view(picture, 300 + dx * i, 150 + dy * i) for i in range(length)]


def noisy(frames: Sequence[Plane], sigma: float, seed: int = 1) -> list[Plane]:
    """With noise and rounded to 8 bits, clipped to black and white."""
    rng = np.random.default_rng(seed)
    values = (255 * (f + rng.normal(0, sigma, f.shape)) for f in frames)
    return [(np.clip(np.rint(v), 0, 255) / 255).astype(np.float32) for v in values]


def flash(frame: Plane, strength: float, *, partial: bool = False) -> Plane:
    amount = np.full(frame.shape, strength, np.float32)
    if partial:
        y, x = np.mgrid[:HEIGHT, :WIDTH]
        amount *= np.exp(-((x - 100) ** 2 + (y - 60) ** 2) / (2 * 110**2)).astype(np.float32)
    return np.asarray(np.clip(frame * (1 + 2 * amount) * (1 - amount) + amount, 0, 1), dtype=np.float32)


def scores(frames: Sequence[npt.NDArray[np.floating] | npt.NDArray[np.uint8]]) -> list[float]:
    thumbs = [scene_score.thumbnail(frame) for frame in frames]
    return [scene_score.cut_score(window(thumbs, k)) for k in range(len(thumbs) - 1)]


def window(thumbs: Sequence[scene_score.Thumbnail], k: int) -> list[scene_score.Thumbnail | None]:
    numbers = range(k - scene_score.RADIUS, k + scene_score.RADIUS + 2)
    return [thumbs[i] if 0 <= i < len(thumbs) else None for i in numbers]


def cuts(frames: Sequence[npt.NDArray[np.floating]]) -> set[int]:
    return {k for k, score in enumerate(scores(frames)) if score >= scene_score.THRESHOLD}


# --- thumbnails ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (7, 5), (36, 64), (180, 320), (640, 90), (97, 1031)])
def test_thumbnail_has_one_shape_and_keeps_the_mean(size: tuple[int, int]) -> None:
    luma = np.random.default_rng(3).random(size, dtype=np.float32)
    small = scene_score.thumbnail(luma)
    assert small.shape == (36, 64)
    assert small.dtype == np.float32
    assert float(small.mean()) == pytest.approx(float(luma.mean()), abs=0.06)


def test_thumbnail_averages_areas() -> None:
    luma = np.zeros((72, 128), np.float32)
    luma[::2] = 1.0
    assert scene_score.thumbnail(luma) == pytest.approx(np.full((36, 64), 0.5))


def test_thumbnail_of_bytes_equals_that_of_their_fractions() -> None:
    luma = np.random.default_rng(4).integers(0, 256, (90, 160), dtype=np.uint8)
    assert scene_score.thumbnail(luma) == pytest.approx(scene_score.thumbnail(luma / 255.0), abs=1e-6)


def test_thumbnail_accepts_half_and_double_precision_and_strides() -> None:
    luma = np.random.default_rng(4).random((90, 320)).astype(np.float16)
    assert scene_score.thumbnail(luma[:, ::2]) == pytest.approx(
        scene_score.thumbnail(luma[:, ::2].astype(np.float64)), abs=1e-6
    )


def test_thumbnail_is_finite_for_any_input() -> None:
    luma = np.full((40, 70), np.nan, np.float32)
    luma[20:] = np.inf
    luma[30:] = -1e30
    small = scene_score.thumbnail(luma)
    assert np.isfinite(small).all()
    assert np.abs(small).max() <= 2.0


@pytest.mark.parametrize("shape", [(3, 4, 3), (0, 5), (5,)])
def test_thumbnail_refuses_what_is_not_a_plane(shape: tuple[int, ...]) -> None:
    with pytest.raises(ArgumentError, match=r"thumbnail: luma must be one plane of shape \(height, width\), not"):
        scene_score.thumbnail(np.zeros(shape, np.float32))


def test_thumbnail_refuses_other_integers() -> None:
    with pytest.raises(ArgumentError, match=r"thumbnail: luma must be uint8, .* not uint16"):
        scene_score.thumbnail(np.zeros((4, 4), np.uint16))  # type: ignore[arg-type]


# --- the arguments of cut_score ------------------------------------------------------------------------------------


def test_cut_score_refuses_a_wrong_window() -> None:
    thumb = scene_score.thumbnail(texture(1))
    with pytest.raises(ArgumentError, match=r"cut_score: thumbnails must be 8, .* not 3"):
        scene_score.cut_score([thumb] * 3)


@pytest.mark.parametrize("missing", [scene_score.RADIUS, scene_score.RADIUS + 1])
def test_cut_score_refuses_a_pair_without_a_frame(missing: int) -> None:
    thumbs: list[scene_score.Thumbnail | None] = [scene_score.thumbnail(texture(1))] * (2 * scene_score.RADIUS + 2)
    thumbs[missing] = None
    with pytest.raises(ArgumentError, match="cut_score: thumbnails must not be None for the pair"):
        scene_score.cut_score(thumbs)


def test_cut_score_refuses_a_wrong_number_of_changes() -> None:
    thumbs = [scene_score.thumbnail(texture(1))] * (2 * scene_score.RADIUS + 2)
    with pytest.raises(ArgumentError, match=r"cut_score: changes must be 7, .* not 2"):
        scene_score.cut_score(thumbs, [scene_score.Change(0.1, 0.1)] * 2)


def test_known_changes_do_not_alter_the_score() -> None:
    thumbs = [scene_score.thumbnail(f) for f in shot(1, 4) + shot(2, 4)]
    changes = [scene_score.change(a, b) for a, b in pairwise(thumbs)]
    expected = scene_score.cut_score(list(thumbs))
    assert scene_score.cut_score(list(thumbs), changes) == expected
    some: list[scene_score.Change | None] = [c if i % 2 else None for i, c in enumerate(changes)]
    assert scene_score.cut_score(list(thumbs), some) == expected


def test_known_changes_are_used() -> None:
    thumbs = [scene_score.thumbnail(f) for f in shot(1, 8)]
    calm = scene_score.cut_score(list(thumbs))
    assert (
        scene_score.cut_score(list(thumbs), [None, None, None, scene_score.Change(0.8, 0.3), None, None, None])
        > scene_score.THRESHOLD
        > calm
    )


def test_scores_are_deterministic_and_leave_the_thumbnails_alone() -> None:
    thumbs = [scene_score.thumbnail(f) for f in shot(1, 4) + shot(2, 4)]
    copies = [t.copy() for t in thumbs]
    assert scene_score.cut_score(list(thumbs)) == scene_score.cut_score(copies)
    assert all(np.array_equal(a, b) for a, b in zip(thumbs, copies, strict=True))


# --- what is a cut and what is not ----------------------------------------------------------------------------------


def test_a_cut_is_found_and_stands_out() -> None:
    result = scores(shot(1, 8) + shot(2, 8))
    assert result[7] > 0.6
    assert max(result[:7] + result[8:]) < 0.35
    assert all(0 <= score <= 1 for score in result)


def test_equal_frames_score_zero() -> None:
    assert scores([texture(1)] * 9) == [0.0] * 8


def test_change_grows_with_the_share_of_the_picture_that_is_new() -> None:
    old, new = view(texture(1), 300, 150), view(texture(2), 300, 150)
    values = []
    for share in (0.0, 0.25, 0.5, 1.0):
        mixed = old.copy()
        mixed[:, : int(share * WIDTH)] = new[:, : int(share * WIDTH)]
        values.append(scene_score.change(scene_score.thumbnail(old), scene_score.thumbnail(mixed)).size)
    assert values == sorted(values)
    assert values[-1] > 10 * values[0]


@pytest.mark.parametrize("before", [1, 2, 3])
def test_a_cut_at_the_start_or_end_of_the_clip(before: int) -> None:
    assert cuts(shot(1, before) + shot(2, 8)) == {before - 1}
    assert cuts(shot(1, 8) + shot(2, before)) == {7}


def test_clips_of_two_frames() -> None:
    assert cuts(shot(1, 2)) == set()
    assert cuts(shot(1, 1) + shot(2, 1)) == {0}


@pytest.mark.parametrize("length", [1, 2, 3])
def test_cuts_close_to_each_other(length: int) -> None:
    frames = shot(1, 8) + shot(2, length) + shot(3, 8)
    assert cuts(frames) == {7, 7 + length}


@pytest.mark.parametrize("speed", [4, 12, 30, 45])
def test_a_fast_pan_is_no_cut(speed: int) -> None:
    assert cuts(shot(1, 10, dx=speed, dy=speed / 5)) == set()


@pytest.mark.parametrize("speed", [4, 20])
def test_a_cut_between_fast_pans_is_found(speed: int) -> None:
    assert cuts(shot(1, 8, dx=speed) + shot(2, 8, dx=-speed)) == {7}


def test_hand_shake_is_no_cut() -> None:
    rng = np.random.default_rng(5)
    picture = texture(6)

    def held(picture: Plane) -> Plane:
        x, y = 300 + rng.uniform(-12, 12, 2)
        return view(picture, x, y, rng.uniform(0.98, 1.02))

    frames = [held(picture) for _ in range(24)]
    assert cuts(frames) == set()
    other = texture(7)
    assert cuts(frames + [held(other) for _ in range(8)]) == {23}


def test_a_sudden_jerk_in_a_calm_shot_is_no_cut() -> None:
    picture = texture(8)
    frames = [view(picture, 300 + (25 if i >= 6 else 0) + 0.2 * i, 200) for i in range(12)]
    assert cuts(frames) == set()


@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize("strength", [0.3, 0.6, 0.9, 1.0])
@pytest.mark.parametrize("length", [1, 2])
def test_a_flash_is_no_cut(length: int, strength: float, partial: bool) -> None:
    frames = shot(1, 14)
    for i in range(6, 6 + length):
        frames[i] = flash(frames[i], strength, partial=partial)
    assert cuts(frames) == set()


@pytest.mark.parametrize(("first", "length"), [(7, 1), (6, 2), (8, 1), (8, 2)])
@pytest.mark.parametrize("strength", [0.2, 0.7])
def test_a_cut_beside_a_flash_is_found(first: int, length: int, strength: float) -> None:
    """A weak flash is seen through; a strong one, half of it white, may count as a shot of its own."""
    frames = shot(1, 8) + shot(2, 8)
    for i in range(first, first + length):
        frames[i] = flash(frames[i], strength)
    edges = {first - 1, first + length - 1} if strength > 0.5 else set[int]()
    assert {7} <= cuts(frames) <= {7} | edges


def test_a_cut_some_frames_from_a_flash_is_found() -> None:
    for first in (3, 4, 5, 10, 11):
        frames = shot(1, 8) + shot(2, 8)
        frames[first] = flash(frames[first], 0.7)
        assert cuts(frames) == {7}, first


@pytest.mark.parametrize("gain", [0.3, 0.6, 1.5])
def test_a_lasting_change_of_brightness_is_no_cut(gain: float) -> None:
    frames = shot(1, 12)
    frames[6:] = [np.asarray(np.clip(gain * f, 0, 1), dtype=np.float32) for f in frames[6:]]
    assert cuts(frames) == set()


@pytest.mark.parametrize("gain", [0.1, 0.25])
def test_dark_shots(gain: float) -> None:
    one, two = ([gain * f for f in shot(seed, 10)] for seed in (1, 2))
    assert cuts(noisy(one + two, 4 / 255)) == {9}


@pytest.mark.parametrize("sigma", [2 / 255, 8 / 255, 20 / 255])
@pytest.mark.parametrize("level", [0.0, 0.02, 0.3])
def test_noise_alone_is_no_cut(level: float, sigma: float) -> None:
    flat = [np.full((HEIGHT, WIDTH), level, np.float32)] * 12
    assert cuts(noisy(flat, sigma)) == set()


def test_noise_that_the_thumbnail_does_not_average_is_no_cut() -> None:
    small = [cv2.resize(f, (64, 36), interpolation=cv2.INTER_AREA) for f in shot(1, 12) + shot(2, 12)]
    frames = [np.asarray(f, dtype=np.float32) for f in small]
    assert cuts(noisy(frames, 8 / 255)) == {11}


def test_a_dissolve_is_no_cut() -> None:
    one, two = shot(1, 24), shot(2, 24)
    weights = np.clip((np.arange(24) - 5) / 12, 0, 1)
    frames = [((1 - w) * a + w * b).astype(np.float32) for w, a, b in zip(weights, one, two, strict=True)]
    assert cuts(frames) == set()


def test_a_fade_through_black_is_no_cut() -> None:
    frames = shot(1, 12) + shot(2, 12)
    weights = np.clip(np.abs(np.arange(24) - 11.5) / 10, 0, 1)
    assert cuts([(w * f).astype(np.float32) for w, f in zip(weights, frames, strict=True)]) == set()


@pytest.mark.parametrize("times", [2, 3])
@pytest.mark.parametrize("noise", [0.0, 1.5 / 255])
def test_repeated_frames(times: int, noise: float) -> None:
    frames = [f for f in shot(1, 5, dx=9) + shot(2, 5, dx=9) for _ in range(times)]
    assert cuts(noisy(frames, noise)) == {5 * times - 1}


def test_a_cut_between_stills_is_found() -> None:
    one, two = view(texture(1), 300, 150), view(texture(2), 300, 150)
    assert cuts([one] * 6 + [two] * 6) == {5}
    assert cuts(noisy([one] * 6 + [two] * 6, 3 / 255)) == {5}


def test_a_cut_within_one_place_is_found() -> None:
    """The background stays, a third of the picture changes."""
    one, two = view(texture(1), 300, 150), view(texture(1), 300, 150)
    two[40:, 100:210] = view(texture(2), 300, 150)[40:, 100:210]
    assert cuts(noisy([one] * 6 + [two] * 6, 3 / 255)) == {5}


@pytest.mark.parametrize("sides", [False, True])
def test_bars_around_the_picture(sides: bool) -> None:
    frames = shot(1, 8, dx=6) + shot(2, 8, dx=6)
    for frame in frames:
        if sides:
            frame[:, :60] = frame[:, -60:] = 0.06
        else:
            frame[:30] = frame[-30:] = 0.06
    assert cuts(frames) == {7}


@pytest.mark.parametrize("size", [(180, 40), (40, 320), (24, 24), (9, 16), (4, 4)])
def test_any_size_and_shape(size: tuple[int, int]) -> None:
    frames = [cv2.resize(f, size[::-1], interpolation=cv2.INTER_AREA) for f in shot(1, 8) + shot(2, 8)]
    assert cuts([np.asarray(f, dtype=np.float32) for f in frames]) == {7}


def test_frames_of_one_pixel() -> None:
    frames = [np.full((1, 1), v, np.float32) for v in (0.2, 0.2, 0.2, 0.9, 0.9, 0.9)]
    assert scores(frames) == [0.0] * 5


def test_bytes_and_fractions_give_the_same_cuts() -> None:
    frames = noisy(shot(1, 6) + shot(2, 6), 0.01)
    as_bytes = [np.rint(f * 255).astype(np.uint8) for f in frames]
    assert scores(as_bytes) == pytest.approx(scores(frames), abs=1e-4)


# --- one frame ahead -----------------------------------------------------------------------------------------------


def early_cuts(frames: Sequence[npt.NDArray[np.floating]]) -> set[int]:
    thumbs = [scene_score.thumbnail(frame) for frame in frames]
    seen = [window(thumbs, k)[: scene_score.RADIUS + 3] for k in range(len(thumbs) - 1)]
    return {k for k, around in enumerate(seen) if scene_score.early_cut_score(around) >= scene_score.THRESHOLD}


@pytest.mark.parametrize("before", [1, 2, 3, 7])
def test_a_cut_is_found_from_one_frame_after_it(before: int) -> None:
    assert early_cuts(shot(1, before) + shot(2, 8)) == {before - 1}
    assert early_cuts(shot(1, 8) + shot(2, before)) == {7}


@pytest.mark.parametrize("strength", [0.3, 0.6, 0.9, 1.0])
def test_a_flash_of_one_frame_is_no_cut_from_one_frame_after_it(strength: float) -> None:
    frames = shot(1, 14)
    frames[6] = flash(frames[6], strength)
    assert early_cuts(frames) == set()


def test_repeats_after_a_pair_tell_no_motion() -> None:
    """A fast zoom on threes; repeats differ by noise. Before the first step nothing tells that there is motion."""
    steps = [view(texture(1), 300 - 20 * i, 150 - 10 * i, 1 + 0.2 * i) for i in range(6) for _ in range(3)]
    assert early_cuts(noisy(steps, 0.004)) <= {2}
