"""Spliced sequences with known cuts, damaged in ways that fool detectors of cuts."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

Frame = npt.NDArray[np.uint8]
Shot = list[Frame]
Condition = Callable[[list[Shot], np.random.Generator], "Iterator[Spliced]"]

WIDTH = 320
"""Width at which shots are worked on; larger frames only average away more noise."""


@dataclass
class Spliced:
    """Frames, the numbers k of their pairs (k, k + 1) that are cuts, and of those that count as neither."""

    frames: Shot
    cuts: set[int]
    ignored: set[int] = field(default_factory=set)


def resized(frame: Frame, width: int, height: int) -> Frame:
    """Scale a frame, averaging over areas."""
    return np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def warped(
    frame: Frame, matrix: npt.NDArray[np.integer | np.floating], width: int, height: int, inverse: bool = False
) -> Frame:
    """Move a frame by an affine matrix, reflected at its edges."""
    flags = cv2.INTER_LINEAR | (cv2.WARP_INVERSE_MAP if inverse else 0)
    moved = cv2.warpAffine(frame, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, dtype=np.uint8)


def read_shot(path: Path, cache: Path) -> Shot:
    """Read the luma planes of a video file, (H, 320) uint8 each, cached on disk as one array."""
    key = hashlib.sha256(f"{path.resolve()}:{path.stat().st_size}:{WIDTH}".encode()).hexdigest()[:16]
    stored = cache / f"{path.stem}-{key}.npy"
    if not stored.exists():
        with av.open(str(path)) as container:
            planes = [frame.to_ndarray(format="gray").astype(np.uint8) for frame in container.decode(video=0)]
        height = max(1, round(planes[0].shape[0] * WIDTH / planes[0].shape[1]))
        cache.mkdir(parents=True, exist_ok=True)
        np.save(stored, np.stack([resized(p, WIDTH, height) for p in planes]))
    return list(np.load(stored))


def read_photo(path: Path) -> Frame:
    """Read the luma plane of a photo, (H, 640) uint8."""
    photo = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), dtype=np.uint8)
    return resized(photo, 2 * WIDTH, 2 * WIDTH * photo.shape[0] // photo.shape[1])


def join(shots: Sequence[Shot]) -> Spliced:
    """Join shots one after another, scaled to the size of the first; each joint is a cut."""
    (height, width), frames, cuts = shots[0][0].shape, Shot(), set[int]()
    for shot in shots:
        if frames:
            cuts.add(len(frames) - 1)
        frames += [f if f.shape == (height, width) else resized(f, width, height) for f in shot]
    return Spliced(frames, cuts)


def excerpt(shot: Shot, rng: np.random.Generator, low: int, high: int) -> Shot:
    """Return ``low`` to ``high`` successive frames of a shot, or all of a shorter one."""
    length = min(len(shot), int(rng.integers(low, high + 1)))
    start = int(rng.integers(0, len(shot) - length + 1))
    return shot[start : start + length]


def shuffled(shots: list[Shot], rng: np.random.Generator, low: int = 10, high: int = 40, step: int = 1) -> Spliced:
    """Join all shots in random order, each cut down to ``low`` to ``high`` frames of every ``step``-th."""
    thinned = [shots[i][::step] for i in rng.permutation(len(shots))]
    return join([excerpt(s, rng, low, high) for s in thinned if len(s) > 2])


def changed(sequence: Spliced, change: Callable[[Frame], Frame]) -> Spliced:
    """Return the sequence with every frame changed."""
    return Spliced([change(f) for f in sequence.frames], sequence.cuts, sequence.ignored)


def to_bytes(values: npt.NDArray[np.floating]) -> Frame:
    """Round to 8 bits."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def plain(shots: list[Shot], rng: np.random.Generator) -> Iterator[Spliced]:
    """Make two sequences of shots as they are."""
    for _ in range(2):
        yield shuffled(shots, rng)


def neighbours(shots: list[Shot], rng: np.random.Generator) -> Iterator[Spliced]:
    """Join shots in the order of their names: neighbours are often shots of one film, place or person."""
    yield join([excerpt(s, rng, 10, 40) for s in shots])


def jumps(shots: list[Shot], rng: np.random.Generator) -> Iterator[Spliced]:
    """Make jump cuts: the first and the last frames of one shot of at least 60."""
    for shot in shots:
        if len(shot) >= 60:
            yield join([shot[:12], shot[-12:]])


def dark(shots: list[Shot], rng: np.random.Generator) -> Iterator[Spliced]:
    """Darken shots and add noise."""
    sequence = shuffled(shots, rng)
    bounds = [0, *sorted(k + 1 for k in sequence.cuts), len(sequence.frames)]
    for start, end in pairwise(bounds):
        gain, sigma = rng.uniform(0.1, 0.25), rng.uniform(1.0, 4.0)
        for i in range(start, end):
            frame = sequence.frames[i]
            sequence.frames[i] = to_bytes(16 + (frame - 16.0) * gain + rng.normal(0, sigma, frame.shape))
    yield sequence


def grain(shots: list[Shot], rng: np.random.Generator) -> Iterator[Spliced]:
    """Add strong noise."""
    yield changed(shuffled(shots, rng), lambda f: to_bytes(f + rng.normal(0, 15, f.shape)))


def flash(frame: Frame, rng: np.random.Generator, strength: float, blob: bool) -> Frame:
    """Brighten and bleach a frame, everywhere or around a random point."""
    height, width = frame.shape
    amount: npt.NDArray[np.floating] | float = strength
    if blob:
        y, x = np.mgrid[:height, :width]
        cx, cy, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.25, 0.6) * width
        amount = strength * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * r * r))
    return to_bytes(frame * (1 + 2 * amount) * (1 - amount) + 255 * amount)


def flashed(sequence: Spliced, rng: np.random.Generator, starts: Sequence[int]) -> Spliced:
    """Add flashes of one or two frames that begin at ``starts``."""
    for start in starts:
        blob, strength = bool(rng.random() < 0.5), rng.uniform(0.5, 1.0)
        for i in range(start, min(start + int(rng.integers(1, 3)), len(sequence.frames))):
            sequence.frames[i] = flash(sequence.frames[i], rng, strength, blob)
    return sequence


def flashes(shots: list[Shot], rng: np.random.Generator) -> Iterator[Spliced]:
    """Add a flash of one or two frames in the middle of each shot."""
    sequence = shuffled(shots, rng, 12, 40)
    bounds = [0, *sorted(k + 1 for k in sequence.cuts), len(sequence.frames)]
    middles = [int(rng.integers(a + 3, max(a + 4, b - 4))) for a, b in pairwise(bounds)]
    yield flashed(sequence, rng, middles)


def flash_at_cut(shots: list[Shot], rng: np.random.Generator) -> Iterator[Spliced]:
    """Add a flash of one or two frames right before or after each cut; it is judged only at the cut itself."""
    sequence = shuffled(shots, rng, 12, 40)
    for cut in sorted(sequence.cuts):
        long, after = int(rng.integers(1, 3)), bool(rng.random() < 0.5)
        blob, strength = bool(rng.random() < 0.5), rng.uniform(0.5, 0.95)
        first = cut + 1 if after else cut + 1 - long
        for i in range(first, first + long):
            sequence.frames[i] = flash(sequence.frames[i], rng, strength, blob)
        sequence.ignored |= set(range(first - 1, first + long)) - {cut}
    yield sequence


def shake(shots: list[Shot], rng: np.random.Generator) -> Iterator[Spliced]:
    """Crop frames to 80%, moved by up to 6% of the width from frame to frame, with a little zoom."""
    sequence = shuffled(shots, rng)
    height, width = sequence.frames[0].shape
    for i, frame in enumerate(sequence.frames):
        dx, dy = rng.uniform(-0.03, 0.03, 2) * width
        s = 0.8 * rng.uniform(0.99, 1.01)
        m = np.array([[s, 0, width * (1 - s) / 2 + dx], [0, s, height * (1 - s) / 2 + dy]])
        sequence.frames[i] = warped(frame, m, width, height, inverse=True)
    yield sequence


def every_2nd(shots: list[Shot], rng: np.random.Generator) -> Iterator[Spliced]:
    """Drop every 2nd frame."""
    yield shuffled(shots, rng, 6, 40, step=2)


def every_3rd(shots: list[Shot], rng: np.random.Generator) -> Iterator[Spliced]:
    """Keep every 3rd frame."""
    yield shuffled(shots, rng, 4, 40, step=3)


def repeated(sequence: Spliced, counts: Sequence[int]) -> Spliced:
    """Show each frame so many times."""
    frames, cuts = Shot(), set[int]()
    for i, (frame, count) in enumerate(zip(sequence.frames, counts, strict=True)):
        frames += [frame] * count
        if i in sequence.cuts:
            cuts.add(len(frames) - 1)
    return Spliced(frames, cuts)


def on_twos(shots: list[Shot], rng: np.random.Generator) -> Iterator[Spliced]:
    """Show every 2nd frame twice: the pan of animation on twos."""
    sequence = shuffled(shots, rng, 6, 20, step=2)
    yield repeated(sequence, [2] * len(sequence.frames))


def on_threes(shots: list[Shot], rng: np.random.Generator) -> Iterator[Spliced]:
    """Show every 2nd frame three times, with the noise of a codec, so that repetitions are not exact."""
    sequence = shuffled(shots, rng, 6, 20, step=2)
    yield changed(repeated(sequence, [3] * len(sequence.frames)), lambda f: to_bytes(f + rng.normal(0, 2, f.shape)))


def random_repeats(shots: list[Shot], rng: np.random.Generator) -> Iterator[Spliced]:
    """Show each frame one to three times."""
    sequence = shuffled(shots, rng, 6, 30)
    yield repeated(sequence, [int(n) for n in rng.integers(1, 4, len(sequence.frames))])


def short_shots(shots: list[Shot], rng: np.random.Generator) -> Iterator[Spliced]:
    """Put bursts of shots of one to three frames between longer ones."""
    order = rng.permutation(len(shots))
    yield join([excerpt(shots[i], rng, *((8, 15) if n % 4 == 0 else (1, 3))) for n, i in enumerate(order)])


def bars(shots: list[Shot], rng: np.random.Generator) -> Iterator[Spliced]:
    """Add black bars above and below."""

    def boxed(frame: Frame) -> Frame:
        bar = frame.shape[0] // 6
        frame = frame.copy()
        frame[:bar] = frame[-bar:] = 16
        return frame

    yield changed(shuffled(shots, rng), boxed)


def fades(shots: list[Shot], rng: np.random.Generator) -> Iterator[Spliced]:
    """Replace cuts by dissolves of 8 to 16 frames, every other one through black: no cut at all is right."""
    frames: Shot = []
    for n, i in enumerate(rng.permutation(len(shots))):
        shot = excerpt(shots[i], rng, 12, 40)
        length = min(int(rng.integers(8, 17)), len(frames), len(shot) - 1)
        height, width = frames[0].shape if frames else shot[0].shape
        shot = [resized(f, width, height) for f in shot]
        for j in range(length):
            a = (j + 1) / (length + 1)
            w0, w1 = (max(0.0, 1 - 2 * a), max(0.0, 2 * a - 1)) if n % 2 else (1 - a, a)
            at = len(frames) - length + j
            frames[at] = to_bytes(16 + (frames[at] - 16.0) * w0 + (shot[j] - 16.0) * w1)
        frames += shot[length:]
    yield Spliced(frames, set())


def photo_pans(photos: list[Frame], rng: np.random.Generator) -> Iterator[Spliced]:
    """Pan over photos by 2 to 12% of the width per frame, with turning and zooming, never back."""
    width, height = WIDTH, WIDTH * 9 // 16
    runs = []
    for i in rng.permutation(len(photos))[:60]:
        photo = photos[i]
        speed, angle = rng.uniform(0.02, 0.12), rng.uniform(0, 2 * np.pi)
        vx, vy = speed * width * np.cos(angle), speed * width * np.sin(angle) * 0.5
        turn, zoom, shot = rng.uniform(-2, 2), rng.uniform(0.98, 1.02), []
        for t in np.arange(10) - 4.5:
            m = cv2.getRotationMatrix2D((photo.shape[1] / 2, photo.shape[0] / 2), turn * t, 0.6 * zoom**t)
            m[:, 2] += np.array([width - photo.shape[1], height - photo.shape[0]]) / 2 + np.array([vx, vy]) * t
            shot.append(warped(photo, m, width, height))
        runs.append(shot)
    yield join(runs)


CONDITIONS: tuple[Condition, ...] = (
    plain, neighbours, jumps, dark, grain, flashes, flash_at_cut, shake, every_2nd, every_3rd, on_twos,
    on_threes, random_repeats, short_shots, bars, fades,
)  # fmt: skip
