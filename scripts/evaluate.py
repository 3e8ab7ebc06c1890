"""Measures the quality of new frames against true ones, through the filter, beside two baselines.

    python scripts/evaluate.py --data DIR [--model NAME|PATH ...] [--format YUV420P8] [--limit N] [--csv FILE]

DIR holds video files without cuts. A triplet is two source frames and a true frame between them, at 1/2 or 1/4 of the
way. Which triplets there are follows from the length and the motion of each shot, see `spans` and `chosen`. Motion is
taken from DIR/manifest.json ("clips": a list of objects with "file" and "motion_mean_px", pixels of the original
picture a frame) or, for files that are not in it, from DIS optical flow.

The baselines are a frame blend and plain DIS: the bidirectional flow projected linearly, two backward warps, a blend
by t, written here in NumPy and OpenCV alone, so that it also checks the filter's own arithmetic. The methods take
turns, in another order for each triplet. The table goes to stdout, progress to stderr.
"""

import argparse
import csv
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import islice
from pathlib import Path
from statistics import fmean, median

import av
import cv2
import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray

import vsrrin

type Picture = NDArray[np.uint8]
"""(H, W, 3), RGB."""
type Method = Callable[[Picture, Picture, Fraction], Picture]
"""The frame at t, 0 < t < 1, between two frames."""

LONG_EDGE = 640
"""Larger pictures are scaled down to this many pixels on the long edge."""
MOST_FRAMES = 300
"""Frames read of a longer file."""
FIRST, STEP = 1, 10
"""First and distance of the starts of triplets in a shot."""
SLOW = 1.5
"""Pixels a frame, at the size measured, below which a shot also gives triplets with a wide gap."""
BUCKETS = ("slow", "medium", "fast")
NO_ERROR = 100.0
"""dB, PSNR of equal pictures."""
SUFFIXES = (".mp4", ".mkv", ".mov", ".webm", ".avi", ".y4m")


@dataclass(frozen=True)
class Span:
    """Where a triplet lies: number of the left frame, frames from left to right, place of the true frame."""

    start: int
    gap: int
    t: Fraction


@dataclass(frozen=True)
class Triplet:
    """Two source frames and the true frame between them."""

    clip: str
    span: Span
    left: Picture
    truth: Picture
    right: Picture

    @cached_property
    def motion(self) -> float:
        """Mean length of DIS flow from left to right, in pixels."""
        return mean_flow(self.left, self.right)

    @property
    def bucket(self) -> str:
        """By motion: "slow" below 3 px, "fast" above 10 px, otherwise "medium"."""
        return "slow" if self.motion < 3 else "fast" if self.motion > 10 else "medium"


@dataclass(frozen=True)
class Score:
    """One method on one triplet. ``ssimulacra2`` is ``None`` where it was not measured."""

    method: str
    clip: str
    span: Span
    motion: float
    bucket: str
    psnr: float
    ssim: float
    ssimulacra2: float | None
    seconds: float


# --- triplets ----------------------------------------------------------------------------------------------------


def target_size(width: int, height: int) -> tuple[int, int]:
    """(width, height) at most `LONG_EDGE` on the long edge, even."""
    ratio = min(1.0, LONG_EDGE / max(width, height))
    return max(2, 2 * round(width * ratio / 2)), max(2, 2 * round(height * ratio / 2))


def read_frames(path: Path) -> list[Picture]:
    """The first `MOST_FRAMES` frames of a file, scaled down."""
    with av.open(str(path)) as container:
        return [_scaled(frame) for frame in islice(container.decode(video=0), MOST_FRAMES)]


def _scaled(frame: av.VideoFrame) -> Picture:
    size = target_size(frame.width, frame.height)
    return np.asarray(cv2.resize(frame.to_ndarray(format="rgb24"), size, interpolation=cv2.INTER_AREA), np.uint8)


def read_motion(folder: Path) -> dict[str, float]:
    """Pixels a frame at the size measured, by file name, from the folder's manifest; empty if there is none."""
    path = folder / "manifest.json"
    clips = json.loads(path.read_text("utf-8"))["clips"] if path.is_file() else []
    return {c["file"]: float(c["motion_mean_px"]) * min(1.0, LONG_EDGE / max(c["w"], c["h"])) for c in clips}


def mean_flow(left: Picture, right: Picture) -> float:
    """Mean length of DIS flow, in pixels."""
    return float(np.linalg.norm(dis_flow(grey(left), grey(right)), axis=-1).mean())


def measure_motion(frames: Sequence[Picture], pairs: int = 8) -> float:
    """Pixels a frame, from some neighbouring frames spread over the shot; 0 for fewer than two frames."""
    starts = sorted({int(start) for start in np.linspace(0, len(frames) - 2, pairs)}) if len(frames) > 1 else []
    return fmean(mean_flow(frames[i], frames[i + 1]) for i in starts) if starts else 0.0


def spans(frames: int, motion: float) -> list[list[Span]]:
    """The triplets of a shot, in three lists.

    Pairs with one frame between them at t = 1/2 and with three frames between them at t = 1/4, and, below 1.5 px a
    frame, with five frames between them at t = 1/2. The starts are frames 1, 11, 21, ...

    Args:
        frames: Length of the shot.
        motion: Pixels a frame at the size measured.
    """
    kinds = [(2, Fraction(1, 2), True), (4, Fraction(1, 4), True), (6, Fraction(1, 2), motion < SLOW)]
    return [
        [Span(start, gap, t) for start in range(FIRST, frames - gap, STEP)] if used else [] for gap, t, used in kinds
    ]


def chosen(shots: dict[str, tuple[int, float]]) -> dict[str, list[Span]]:
    """Every second triplet of all shots, listed by kind, then by file name, then by start.

    Args:
        shots: Length and motion by file name.
    """
    found = {name: spans(*shots[name]) for name in sorted(shots)}
    listed = [(name, span) for kind in range(3) for name in found for span in found[name][kind]]
    return {name: [span for owner, span in listed[::2] if owner == name] for name in found}


def triplets(folder: Path) -> Iterator[Triplet]:
    """The chosen triplets of a folder's files, file by file; each file is read twice, so that one is held at a time."""
    known = read_motion(folder)
    shots: dict[str, tuple[int, float]] = {}
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES):
        frames = read_frames(path)
        shots[path.name] = len(frames), known[path.name] if path.name in known else measure_motion(frames)
    for name, places in chosen(shots).items():
        frames = read_frames(folder / name) if places else []
        for span in places:
            left, truth, right = (frames[span.start + at] for at in (0, int(span.gap * span.t), span.gap))
            yield Triplet(name, span, left, truth, right)


# --- methods -----------------------------------------------------------------------------------------------------


def to_bytes(values: NDArray[np.floating]) -> Picture:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def blend(left: Picture, right: Picture, t: Fraction) -> Picture:
    """(1 - t) left + t right."""
    return to_bytes(left.astype(np.float32) * np.float32(1 - t) + right.astype(np.float32) * np.float32(t))


def grey(picture: Picture) -> Picture:
    """Mean of the channels, (H, W), cut to 8 bit."""
    return picture.mean(axis=2, dtype=np.float32).astype(np.uint8)


def dis_flow(source: Picture, target: Picture) -> NDArray[np.float32]:
    """DIS flow, medium preset, of two grey pictures (H, W): (H, W, 2), (dx, dy) in pixels."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.asarray(dis.calc(source, target, None), np.float32)  # type: ignore[call-overload]


def backward_warp(picture: Picture, flow: NDArray[np.float32]) -> NDArray[np.float32]:
    """``picture`` sampled at x + flow(x), bilinear, in exact float arithmetic, border repeated: (H, W, 3).

    OpenCV's remap would round the coordinates to 1/32 of a pixel.
    """
    height, width = picture.shape[:2]
    x = np.clip(np.arange(width, dtype=np.float32) + flow[..., 0], 0, width - 1)
    y = np.clip(np.arange(height, dtype=np.float32)[:, None] + flow[..., 1], 0, height - 1)
    x0, y0 = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
    x1, y1 = np.minimum(x0 + 1, width - 1), np.minimum(y0 + 1, height - 1)
    fx, fy = (x - x0).astype(np.float32)[..., None], (y - y0).astype(np.float32)[..., None]
    upper = picture[y0, x0] * (1 - fx) + picture[y0, x1] * fx
    lower = picture[y1, x0] * (1 - fx) + picture[y1, x1] * fx
    warped: NDArray[np.float32] = upper * (1 - fy) + lower * fy
    return warped


def plain_dis(left: Picture, right: Picture, t: Fraction) -> Picture:
    """Flow in both directions, projected linearly to t (Super SloMo, equation 4), two backward warps blended by t."""
    grey_left, grey_right = grey(left), grey(right)
    forth, back = dis_flow(grey_left, grey_right), dis_flow(grey_right, grey_left)
    u = np.float32(t)
    from_left = backward_warp(left, -(1 - u) * u * forth + u * u * back)
    from_right = backward_warp(right, (1 - u) * (1 - u) * forth - u * (1 - u) * back)
    return to_bytes((1 - u) * from_left + u * from_right)


def to_clip(pictures: Sequence[Picture]) -> vs.VideoNode:
    """An RGB24 clip of the pictures, which are of one size."""
    height, width = pictures[0].shape[:2]
    blank = vs.core.std.BlankClip(format=vs.RGB24, width=width, height=height, length=len(pictures), keep=True)

    def write(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        for channel in range(3):
            np.copyto(np.asarray(frame[channel]), pictures[n][..., channel])
        return frame

    return blank.std.ModifyFrame(blank, write)


def to_picture(frame: vs.VideoFrame) -> Picture:
    """An RGB24 frame as an array."""
    return np.stack([np.asarray(frame[channel]) for channel in range(3)], axis=-1)


def filtered(model: str, format_name: str = "RGB24") -> Method:
    """`vsrrin.interpolate` on a clip of the two frames; the conversion to its format and back is part of it."""
    wanted = vs.PresetVideoFormat[format_name]

    def method(left: Picture, right: Picture, t: Fraction) -> Picture:
        clip = to_clip((left, right))
        if wanted != vs.RGB24:
            is_rgb = vs.core.get_video_format(wanted).color_family == vs.RGB
            clip = clip.resize.Bicubic(format=wanted, matrix=vs.MATRIX_RGB if is_rgb else vs.MATRIX_BT709)
        clip = vsrrin.interpolate(clip, t.denominator, model, scene="off")
        if wanted != vs.RGB24:
            clip = clip.resize.Bicubic(format=vs.RGB24)
        with clip.get_frame(t.numerator) as frame:
            return to_picture(frame)

    return method


# --- metrics -----------------------------------------------------------------------------------------------------


def psnr(picture: Picture, truth: Picture) -> float:
    """dB over all samples of 8-bit RGB; `NO_ERROR` for equal pictures."""
    error = np.mean(np.square(picture.astype(np.float64) - truth))
    return NO_ERROR if error == 0 else float(min(NO_ERROR, 10 * math.log10(255**2 / error)))


def ssim(picture: Picture, truth: Picture) -> float:
    """Mean SSIM over the three channels (Wang et al. 2004).

    Gaussian window of 11x11 with sigma 1.5, K = (0.01, 0.03), peak 255, picture mirrored at its border.
    """
    a, b = picture.astype(np.float64), truth.astype(np.float64)
    mean_a, mean_b = _window(a), _window(b)
    var_a, var_b = _window(a * a) - mean_a * mean_a, _window(b * b) - mean_b * mean_b
    covariance = _window(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similarity = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return float((similarity / ((mean_a * mean_a + mean_b * mean_b + c1) * (var_a + var_b + c2))).mean())


def _window(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(cv2.GaussianBlur(x, (11, 11), 1.5, borderType=cv2.BORDER_REFLECT), np.float64)


def ssimulacra2(picture: Picture, truth: Picture) -> float | None:
    """SSIMULACRA2 by the plugin vszip; ``None`` where it is not installed."""
    if not hasattr(vs.core, "vszip"):
        return None
    with vs.core.vszip.SSIMULACRA2(to_clip([truth]), to_clip([picture])).get_frame(0) as frame:
        return float(frame.props["SSIMULACRA2"])


# --- run and report ----------------------------------------------------------------------------------------------


def measure(methods: dict[str, Method], sources: Iterator[Triplet], log: Callable[[str], None]) -> list[Score]:
    """Runs every method on every triplet."""
    scores: list[Score] = []
    for number, triplet in enumerate(sources):
        if number == 0:
            for method in methods.values():  # loading and first-call costs are not a frame's time
                method(triplet.left, triplet.right, triplet.span.t)
        order = list(methods)
        turn = number % len(order)
        found = {name: score(name, methods[name], triplet) for name in order[turn:] + order[:turn]}
        scores += [found[name] for name in order]
        span, line = triplet.span, "  ".join(f"{name} {found[name].psnr:.2f}" for name in order)
        log(f"{number + 1:3} {triplet.clip} {span.start}+{span.gap} t={span.t} {triplet.bucket}: {line}")
    return scores


def score(name: str, method: Method, triplet: Triplet) -> Score:
    began = time.perf_counter()
    picture = method(triplet.left, triplet.right, triplet.span.t)
    seconds = time.perf_counter() - began
    qualities = psnr(picture, triplet.truth), ssim(picture, triplet.truth), ssimulacra2(picture, triplet.truth)
    return Score(name, triplet.clip, triplet.span, triplet.motion, triplet.bucket, *qualities, seconds)


def table(scores: Sequence[Score]) -> str:
    """A markdown table: one line for each method, means over the triplets, PSNR also by bucket, median seconds."""
    counts = {b: len({(s.clip, s.span) for s in scores if s.bucket == b}) for b in BUCKETS}
    head = ["method", "PSNR dB", "SSIM", "SSIMULACRA2", *(f"{b} ({counts[b]})" for b in BUCKETS), "s per frame"]
    lines = [head, ["---"] * len(head)]
    for name in dict.fromkeys(s.method for s in scores):
        own = [s for s in scores if s.method == name]
        third = [s.ssimulacra2 for s in own if s.ssimulacra2 is not None]
        line = [name, _mean([s.psnr for s in own], 2), _mean([s.ssim for s in own], 4)]
        line += [_mean(third, 1) if len(third) == len(own) else "-"]
        line += [_mean([s.psnr for s in own if s.bucket == bucket], 2) for bucket in BUCKETS]
        lines.append([*line, f"{median(s.seconds for s in own):.3f}"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _mean(values: Sequence[float], digits: int) -> str:
    return f"{fmean(values):.{digits}f}" if values else "-"


def write_csv(path: Path, scores: Sequence[Score]) -> None:
    """One line for each method and triplet."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["method", "clip", "start", "gap", "t", "motion", "bucket", "psnr", "ssim", "ssimulacra2", "seconds"]
        )
        for s in scores:
            span = s.span.start, s.span.gap, s.span.t
            writer.writerow([s.method, s.clip, *span, s.motion, s.bucket, s.psnr, s.ssim, s.ssimulacra2, s.seconds])


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of video files")
    parser.add_argument("--model", nargs="+", default=["rrin_lite"], help="bundled names or paths of checkpoints")
    parser.add_argument("--format", nargs="+", default=["RGB24"], help="formats the filter is given, e.g. YUV420P8")
    parser.add_argument("--limit", type=int, help="stop after this many triplets")
    parser.add_argument("--csv", type=Path, help="where to write every single result")
    options = parser.parse_args(arguments)
    if not options.data.is_dir():
        parser.error(f"--data: {options.data} is not a folder")
    if options.limit is not None and options.limit < 1:
        parser.error(f"--limit must be at least 1, not {options.limit}")
    for name in options.format:
        if name not in vs.PresetVideoFormat.__members__ or name == "NONE":
            parser.error(f"--format: {name} is not a format of VapourSynth, such as RGB24, YUV420P8 or YUV444P16")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    methods: dict[str, Method] = {"frame blend": blend, "plain DIS": plain_dis}
    for model in options.model:
        for name in options.format:
            methods[f"vsrrin {model}{'' if name == 'RGB24' else f' {name}'}"] = filtered(model, name)
    try:
        sources = islice(triplets(options.data), options.limit)
        scores = measure(methods, sources, lambda line: print(line, file=sys.stderr, flush=True))
    except vs.Error as error:  # a wrong --model, as a rule
        print(f"evaluate: {error}", file=sys.stderr)
        return 1
    if not scores:
        print(f"evaluate: {options.data} has no video file of {FIRST + 3} or more frames", file=sys.stderr)
        return 1
    print(table(scores))
    if options.csv:
        write_csv(options.csv, scores)
    return 0


if __name__ == "__main__":
    sys.exit(main())
