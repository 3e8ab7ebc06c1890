"""Measures the scene-cut detector on spliced sequences with known cuts, beside two simple baselines.

Shots (video files without a cut inside) are read once, joined in seeded random orders and damaged in ways that fool
detectors: darkness, noise, flashes, hand shake, dropped and repeated frames, bars, fades. For each condition the
table says how many of the cuts were found and how many pairs inside a shot were taken for a cut.

    python -m scripts.benchmarks.scenes --data DIR [--photos DIR] [--threshold 0.5] [--dump DIR]

DIR holds the shots; a folder of photos adds fast synthetic pans. ``--dump`` writes the worst false alarms and misses
of each condition as pictures: look at them before tuning, for a "shot" may itself hold a cut or a flash.
"""

import argparse
import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from vsrrin.clip import scene_score

Frame = npt.NDArray[np.uint8]
Shot = list[Frame]
Condition = Callable[[list[Shot], np.random.Generator], "Iterator[Spliced]"]

WIDTH = 320  # the shots are worked on at this width; larger frames only average away more noise


@dataclass
class Spliced:
    """Frames with the numbers k of the pairs (k, k + 1) that are cuts, and of those that count as neither."""

    frames: Shot
    cuts: set[int]
    ignored: set[int] = field(default_factory=set)


def resized(frame: Frame, width: int, height: int) -> Frame:
    return np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def warped(
    frame: Frame, matrix: npt.NDArray[np.integer | np.floating], width: int, height: int, inverse: bool = False
) -> Frame:
    flags = cv2.INTER_LINEAR | (cv2.WARP_INVERSE_MAP if inverse else 0)
    moved = cv2.warpAffine(frame, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, dtype=np.uint8)


def read_shot(path: Path, cache: Path) -> Shot:
    """The luma planes of a video file, (H, 320) uint8 each, cached on disk as one array."""
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
    photo = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), dtype=np.uint8)
    return resized(photo, 2 * WIDTH, 2 * WIDTH * photo.shape[0] // photo.shape[1])


# --- making sequences --------------------------------------------------------------------------------------------


def join(shots: Sequence[Shot]) -> Spliced:
    """Shots one after another, scaled to the size of the first; each joint is a cut."""
    (height, width), frames, cuts = shots[0][0].shape, Shot(), set[int]()
    for shot in shots:
        if frames:
            cuts.add(len(frames) - 1)
        frames += [f if f.shape == (height, width) else resized(f, width, height) for f in shot]
    return Spliced(frames, cuts)


def excerpt(shot: Shot, rng: np.random.Generator, low: int, high: int) -> Shot:
    length = min(len(shot), int(rng.integers(low, high + 1)))
    start = int(rng.integers(0, len(shot) - length + 1))
    return shot[start : start + length]


def shuffled(shots: list[Shot], rng: np.random.Generator, low: int = 10, high: int = 40, step: int = 1) -> Spliced:
    """Every shot once in random order, each cut down to `low` to `high` frames after taking every `step`-th."""
    thinned = [shots[i][::step] for i in rng.permutation(len(shots))]
    return join([excerpt(s, rng, low, high) for s in thinned if len(s) > 2])


def changed(sequence: Spliced, change: Callable[[Frame], Frame]) -> Spliced:
    return Spliced([change(f) for f in sequence.frames], sequence.cuts, sequence.ignored)


def to_bytes(values: npt.NDArray[np.floating]) -> Frame:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def plain(shots: list[Shot], rng: np.random.Generator) -> Iterator[Spliced]:
    for _ in range(2):
        yield shuffled(shots, rng)


def neighbours(shots: list[Shot], rng: np.random.Generator) -> Iterator[Spliced]:
    """In the order of the file names: neighbours are often shots of one film, place or person."""
    yield join([excerpt(s, rng, 10, 40) for s in shots])


def jumps(shots: list[Shot], rng: np.random.Generator) -> Iterator[Spliced]:
    """Jump cuts: the first and the last frames of one shot of at least 60."""
    for shot in shots:
        if len(shot) >= 60:
            yield join([shot[:12], shot[-12:]])


def dark(shots: list[Shot], rng: np.random.Generator) -> Iterator[Spliced]:
    sequence = shuffled(shots, rng)
    bounds = [0, *sorted(k + 1 for k in sequence.cuts), len(sequence.frames)]
    for start, end in pairwise(bounds):
        gain, sigma = rng.uniform(0.1, 0.25), rng.uniform(1.0, 4.0)
        for i in range(start, end):
            frame = sequence.frames[i]
            sequence.frames[i] = to_bytes(16 + (frame - 16.0) * gain + rng.normal(0, sigma, frame.shape))
    yield sequence


def grain(shots: list[Shot], rng: np.random.Generator) -> Iterator[Spliced]:
    yield changed(shuffled(shots, rng), lambda f: to_bytes(f + rng.normal(0, 15, f.shape)))


def flash(frame: Frame, rng: np.random.Generator, strength: float, blob: bool) -> Frame:
    """Brightened and bleached, everywhere or around a random point."""
    height, width = frame.shape
    amount: npt.NDArray[np.floating] | float = strength
    if blob:
        y, x = np.mgrid[:height, :width]
        cx, cy, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.25, 0.6) * width
        amount = strength * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * r * r))
    return to_bytes(frame * (1 + 2 * amount) * (1 - amount) + 255 * amount)


def flashed(sequence: Spliced, rng: np.random.Generator, starts: Sequence[int]) -> Spliced:
    for start in starts:
        blob, strength = bool(rng.random() < 0.5), rng.uniform(0.5, 1.0)
        for i in range(start, min(start + int(rng.integers(1, 3)), len(sequence.frames))):
            sequence.frames[i] = flash(sequence.frames[i], rng, strength, blob)
    return sequence


def flashes(shots: list[Shot], rng: np.random.Generator) -> Iterator[Spliced]:
    """One flash of one or two frames in the middle of each shot."""
    sequence = shuffled(shots, rng, 12, 40)
    bounds = [0, *sorted(k + 1 for k in sequence.cuts), len(sequence.frames)]
    middles = [int(rng.integers(a + 3, max(a + 4, b - 4))) for a, b in pairwise(bounds)]
    yield flashed(sequence, rng, middles)


def flash_at_cut(shots: list[Shot], rng: np.random.Generator) -> Iterator[Spliced]:
    """A flash of one or two frames right before or right after each cut; only at the cut itself is it judged."""
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
    """Each frame is a crop of 80%, moved by up to 6% of the width from frame to frame, with a little zoom."""
    sequence = shuffled(shots, rng)
    height, width = sequence.frames[0].shape
    for i, frame in enumerate(sequence.frames):
        dx, dy = rng.uniform(-0.03, 0.03, 2) * width
        s = 0.8 * rng.uniform(0.99, 1.01)
        m = np.array([[s, 0, width * (1 - s) / 2 + dx], [0, s, height * (1 - s) / 2 + dy]])
        sequence.frames[i] = warped(frame, m, width, height, inverse=True)
    yield sequence


def every_2nd(shots: list[Shot], rng: np.random.Generator) -> Iterator[Spliced]:
    yield shuffled(shots, rng, 6, 40, step=2)


def every_3rd(shots: list[Shot], rng: np.random.Generator) -> Iterator[Spliced]:
    yield shuffled(shots, rng, 4, 40, step=3)


def repeated(sequence: Spliced, counts: Sequence[int]) -> Spliced:
    frames, cuts = Shot(), set[int]()
    for i, (frame, count) in enumerate(zip(sequence.frames, counts, strict=True)):
        frames += [frame] * count
        if i in sequence.cuts:
            cuts.add(len(frames) - 1)
    return Spliced(frames, cuts)


def on_twos(shots: list[Shot], rng: np.random.Generator) -> Iterator[Spliced]:
    """Every 2nd frame shown twice: the pan of animation on twos."""
    sequence = shuffled(shots, rng, 6, 20, step=2)
    yield repeated(sequence, [2] * len(sequence.frames))


def on_threes(shots: list[Shot], rng: np.random.Generator) -> Iterator[Spliced]:
    """Every 2nd frame shown three times, with the noise of a codec, so that repetitions are not exact."""
    sequence = shuffled(shots, rng, 6, 20, step=2)
    yield changed(repeated(sequence, [3] * len(sequence.frames)), lambda f: to_bytes(f + rng.normal(0, 2, f.shape)))


def random_repeats(shots: list[Shot], rng: np.random.Generator) -> Iterator[Spliced]:
    sequence = shuffled(shots, rng, 6, 30)
    yield repeated(sequence, [int(n) for n in rng.integers(1, 4, len(sequence.frames))])


def short_shots(shots: list[Shot], rng: np.random.Generator) -> Iterator[Spliced]:
    """Bursts of shots of one to three frames between longer ones."""
    order = rng.permutation(len(shots))
    yield join([excerpt(shots[i], rng, *((8, 15) if n % 4 == 0 else (1, 3))) for n, i in enumerate(order)])


def bars(shots: list[Shot], rng: np.random.Generator) -> Iterator[Spliced]:
    def boxed(frame: Frame) -> Frame:
        bar = frame.shape[0] // 6
        frame = frame.copy()
        frame[:bar] = frame[-bar:] = 16
        return frame

    yield changed(shuffled(shots, rng), boxed)


def fades(shots: list[Shot], rng: np.random.Generator) -> Iterator[Spliced]:
    """Dissolves of 8 to 16 frames instead of cuts, every other one through black: no cut at all is right."""
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
    """Pans over photos by 2 to 12% of the width per frame, with turning and zooming; no picture turns back."""
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


# --- detectors and figures ---------------------------------------------------------------------------------------


def window(thumbs: Sequence[scene_score.Thumbnail], k: int) -> list[scene_score.Thumbnail | None]:
    numbers = range(k - scene_score.RADIUS, k + scene_score.RADIUS + 2)
    return [thumbs[i] if 0 <= i < len(thumbs) else None for i in numbers]


def scores(frames: Shot) -> list[float]:
    thumbs = [scene_score.thumbnail(frame) for frame in frames]
    return [scene_score.cut_score(window(thumbs, k)) for k in range(len(frames) - 1)]


def luma_differences(frames: Shot) -> list[float]:
    """Baseline 1: mean absolute difference of luma, as PlaneStatsDiff (a cut above 0.1 in vs-jetpack)."""
    return [float(cv2.absdiff(a, b).mean()) / 255 for a, b in pairwise(frames)]


def ssim_losses(frames: Shot) -> list[float]:
    """Baseline 2: 1 - SSIM of thumbnails of 32x32 (a cut where the SSIM is below 0.3 in cccv)."""
    thumbs = [cv2.resize(f, (32, 32), interpolation=cv2.INTER_LINEAR).astype(np.float64) / 255 for f in frames]

    def blur(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(cv2.GaussianBlur(x, (11, 11), 1.5), dtype=np.float64)

    def loss(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
        ma, mb = blur(a), blur(b)
        va, vb, cov = blur(a * a) - ma * ma, blur(b * b) - mb * mb, blur(a * b) - ma * mb
        ssim = (2 * ma * mb + 1e-4) * (2 * cov + 9e-4) / ((ma * ma + mb * mb + 1e-4) * (va + vb + 9e-4))
        return 1 - float(ssim.mean())

    return [loss(a, b) for a, b in pairwise(thumbs)]


@dataclass
class Tally:
    cuts: int = 0
    found: int = 0
    false: int = 0
    pairs: int = 0

    def add(self, values: Sequence[float], sequence: Spliced, threshold: float) -> None:
        for k, value in enumerate(values):
            if k in sequence.cuts:
                self.cuts, self.found = self.cuts + 1, self.found + (value >= threshold)
            elif k not in sequence.ignored:
                self.pairs, self.false = self.pairs + 1, self.false + (value >= threshold)

    def __str__(self) -> str:
        recall = self.found / self.cuts if self.cuts else 1.0
        precision = self.found / (self.found + self.false) if self.found + self.false else 1.0
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        rate = 1000 * self.false / self.pairs if self.pairs else 0.0
        return f"{self.found:5d} {self.false:5d} {rate:7.2f} {precision:6.3f} {recall:6.3f} {f1:6.3f}"


def dump(name: str, judged: list[tuple[Spliced, list[float]]], threshold: float, folder: Path) -> None:
    """Writes the worst false alarms and misses, four frames each, as one picture."""
    wrong = []
    for sequence, values in judged:
        for k, value in enumerate(values):
            if k not in sequence.ignored and (k in sequence.cuts) != (value >= threshold):
                wrong.append((abs(value - threshold), "miss" if k in sequence.cuts else "false", value, k, sequence))
    rows = []
    for _, kind, value, k, sequence in sorted(wrong, key=lambda entry: -entry[0])[:16]:
        numbers = [min(max(k + i, 0), len(sequence.frames) - 1) for i in (-1, 0, 1, 2)]
        row = np.hstack([cv2.resize(sequence.frames[i], (240, 135)) for i in numbers])
        rows.append(cv2.putText(row, f"{kind} {value:.2f} at {k}", (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255))
    if rows:
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{name}.png"), np.vstack(rows))


def evaluate(name: str, sequences: Iterator[Spliced], threshold: float, folder: Path | None) -> list[Tally]:
    """Prints one line of the table and returns the tallies of the three detectors."""
    tallies, judged = [Tally(), Tally(), Tally()], []
    for sequence in sequences:
        ours = scores(sequence.frames)
        judged.append((sequence, ours))
        tallies[0].add(ours, sequence, threshold)
        tallies[1].add(luma_differences(sequence.frames), sequence, 0.1)
        tallies[2].add(ssim_losses(sequence.frames), sequence, 0.7)
    if folder is not None:
        dump(name, judged, threshold, folder)
    print_line(name, tallies)
    return tallies


def print_line(name: str, tallies: list[Tally]) -> None:
    print(f"{name:15s} {tallies[0].cuts:5d} {tallies[0].pairs:6d} | " + " | ".join(map(str, tallies)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of shots (*.mp4, *.mkv, *.webm)")
    parser.add_argument("--photos", type=Path, help="folder of *.jpg for synthetic pans")
    parser.add_argument("--threshold", type=float, default=scene_score.THRESHOLD)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "vsrrin-scenes")
    parser.add_argument("--dump", type=Path, help="folder for pictures of the worst errors")
    options = parser.parse_args()
    paths = sorted(p for p in options.data.iterdir() if p.suffix in {".mp4", ".mkv", ".webm"})
    shots = [read_shot(path, options.cache) for path in paths]
    columns = "found false per1000  prec. recall     F1"
    print(f"{'':28s} | {'ours':40s}| {'luma difference > 0.1':40s}| SSIM of 32x32 < 0.3")
    print(f"{'condition':15s} {'cuts':>5s} {'pairs':>6s} | {columns} | {columns} | {columns}")
    runs = {c.__name__: c(shots, np.random.default_rng([options.seed, n])) for n, c in enumerate(CONDITIONS)}
    if options.photos:
        photos = [read_photo(path) for path in sorted(options.photos.glob("*.jpg"))]
        runs["photo_pans"] = photo_pans(photos, np.random.default_rng(options.seed))
    totals = [Tally(), Tally(), Tally()]
    for name, sequences in runs.items():
        for total, tally in zip(totals, evaluate(name, sequences, options.threshold, options.dump), strict=True):
            for key, value in vars(tally).items():
                setattr(total, key, getattr(total, key) + value)
    print_line("all", totals)


if __name__ == "__main__":
    main()
