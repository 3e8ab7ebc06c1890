"""Overlays on moving pictures: errors inside them and around them, without and with the guard.

    python -m scripts.benchmarks.overlays --data DIR [--models NAME ...] [--peers NAME ...] [--crf N] [--limit N]
                                          [--flat FILE ...] [--picture FILE] [--save DIR] [--cost]

Each triplet of `training.evaluate` gets overlays that stand still, the same on all three pictures: an opaque logo, one
of 40 % opacity, outlined subtitles, and a HUD of numbers, a frame and a crosshair. The source frames are encoded by
x264, unless --crf is negative, with the true frame in its place between them; the new frame is compared with the true
one as it was drawn. PSNR in RGB over all pixels of an overlay, and over the ring of 16 pixels around it, mean over
triplets.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import cv2
import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import vsrrin
from scripts.benchmarks.duplicates import encode, opened, printed
from training.measure.methods import make
from training.measure.triplets import Picture, Triplet, triplets
from training.measure.vs_clips import to_clip, to_picture
from vsrrin.clip.overlays import overlays_of, sketch_of

STILL, PAIRS = 7, 12
"""Pixels around a sample in which both frames are equal, and pairs of each clip, for the table of flat animation."""
SHOWN = ("bee_thistle.mp4 1+4", "subtitles"), ("sintel_alley.mp4 1+4", "subtitles"), ("selfie.mp4 1+2", "HUD")
"""Beginning of the name of a case, and overlay in the middle, for the rows of the picture."""
RING = 16
"""Pixels around an overlay in which errors are counted, too."""
HOW: tuple[Literal["off"], Literal["guard"]] = "off", "guard"
NAMES = ("opaque logo", "40 % logo", "subtitles", "HUD")

type Layer = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Colours (H, W, 3), 0 to 255, and opacity (H, W, 1), 0 to 1."""


@dataclass(frozen=True)
class Case:
    """A triplet with overlays, as drawn and as the filter gets it."""

    name: str
    t: Fraction
    truth: Picture
    left: Picture
    right: Picture
    masks: dict[str, NDArray[np.bool_]]


def layers(height: int, width: int) -> dict[str, Layer]:
    """Return the overlays for pictures of a size, which cover each other nowhere."""
    unit = 4 * height / 360  # drawn four times as large: no edge of a real overlay is a stair
    big = 4 * width, 4 * height

    def layer(draw: Callable[[ImageDraw.ImageDraw], None], opacity: float = 1) -> Layer:
        canvas = Image.new("RGBA", big)
        draw(ImageDraw.Draw(canvas))
        drawn = np.asarray(canvas, np.float32)
        shown = drawn[..., 3:] / np.float32(255)
        # Colours are multiplied by opacity before they are shrunk, or what is hidden would show at the edges.
        both = np.dstack((drawn[..., :3] * shown, shown))
        small = np.asarray(cv2.resize(both, (width, height), interpolation=cv2.INTER_AREA), np.float32)
        alpha = small[..., 3:]
        colours = small[..., :3] / np.maximum(alpha, np.float32(1e-3))
        return np.asarray(colours, np.float32), np.asarray(alpha * opacity, np.float32)

    def at(x: float, y: float) -> tuple[float, float]:
        return x * big[0], y * big[1]

    def text(draw: ImageDraw.ImageDraw, place: tuple[float, float], words: str, size: float, **more: Any) -> None:
        draw.text(place, words, font=ImageFont.load_default(size * unit), anchor="mm", **more)

    def opaque(draw: ImageDraw.ImageDraw) -> None:
        draw.circle(at(0.9, 0.14), 26 * unit, fill=(200, 30, 40))
        text(draw, at(0.9, 0.14), "TV", 26, fill="white")

    def faint(draw: ImageDraw.ImageDraw) -> None:
        draw.circle(at(0.1, 0.14), 25 * unit, outline="white", width=round(6 * unit))
        text(draw, at(0.1, 0.14), "21", 24, fill="white")

    def subtitles(draw: ImageDraw.ImageDraw) -> None:
        for line, y in (("Where the text stands still,", 0.86), ("the picture moves on.", 0.94)):
            text(draw, at(0.5, y), line, 20, fill=(245, 245, 235), stroke_width=1.5 * unit, stroke_fill="black")

    def hud(draw: ImageDraw.ImageDraw) -> None:
        green = (90, 230, 120)
        draw.rectangle((*at(0.03, 0.4), *at(0.22, 0.62)), outline=green, width=round(2 * unit))
        draw.circle(at(0.5, 0.5), 10 * unit, outline=green, width=round(1.5 * unit))
        draw.circle(at(0.5, 0.5), 1.5 * unit, fill=green)
        text(draw, at(0.11, 0.47), "HP 087", 16, fill=green)
        text(draw, at(0.11, 0.55), "12:45", 16, fill=green, stroke_width=unit, stroke_fill="black")

    return dict(zip(NAMES, (layer(opaque), layer(faint, 0.4), layer(subtitles), layer(hud)), strict=True))


def with_overlays(picture: Picture, overlays: dict[str, Layer]) -> Picture:
    """Return a picture with overlays on it."""
    result = picture.astype(np.float32)
    for colours, opacity in overlays.values():
        result += (colours - result) * opacity
    return np.clip(np.rint(result), 0, 255).astype(np.uint8)


def cases(found: Sequence[Triplet], crf: int, folder: Path) -> Iterator[Case]:
    """Yield triplets with overlays."""
    for triplet in found:
        overlays = layers(*triplet.left.shape[:2])
        pictures = [with_overlays(picture, overlays) for picture in (triplet.left, triplet.truth, triplet.right)]
        left, truth, right = pictures
        if crf >= 0:
            encode(folder / "made.mkv", pictures, crf)
            clip = opened(folder / "made.mkv").resize.Bicubic(format=vs.RGB24, matrix_in=6)
            left, _, right = (to_picture(frame) for frame in clip.frames())
        masks = {name: (opacity[..., 0] > 0.02) for name, (_, opacity) in overlays.items()}
        name = f"{triplet.clip} {triplet.span}"
        yield Case(name=name, t=triplet.span.t, truth=truth, left=left, right=right, masks=masks)


def guarded(model: str, overlays: Literal["guard", "off"]) -> Callable[[Picture, Picture, Fraction], Picture]:
    """Return the filter as a function of two pictures and a time."""

    def run(left: Picture, right: Picture, t: Fraction) -> Picture:
        clip = to_clip([left, right]).std.SetFrameProps(_Matrix=0)
        new = vsrrin.interpolate(clip, t.denominator, model, scene="off", overlays=overlays)
        return to_picture(new.get_frame(t.numerator))

    return run


def psnr_in(picture: Picture, truth: Picture, where: NDArray[np.bool_]) -> float:
    """Return the PSNR over a part of a picture, at most 60 dB."""
    error = np.square(picture[where].astype(np.float64) - truth[where]).mean()
    return float(10 * np.log10(255**2 / max(error, 255**2 / 1e6)))


def ring(mask: NDArray[np.bool_], others: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return what lies around an overlay and in no other."""
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * RING + 1, 2 * RING + 1))
    return (cv2.dilate(mask.astype(np.uint8), disk) > 0) & ~others


def table(found: Sequence[Case], models: Sequence[str], peers: Sequence[str], save: Path | None) -> Iterator[list[str]]:
    """Yield the rows of the table."""
    methods = {f"{model}, {how}": guarded(model, how) for model in models for how in HOW}
    methods |= {name: make(name, None) for name in peers}
    yield ["method", *(f"{name}, {where}" for name in NAMES for where in ("inside", "ring")), "whole"]
    for name, method in methods.items():
        scores: dict[tuple[str, str], list[float]] = {}
        for case in found:
            picture = method(case.left, case.right, case.t)
            if save:
                Image.fromarray(picture).save(save / f"{case.name} {name}.png".replace("/", "-"))
            every = np.logical_or.reduce(list(case.masks.values()))
            for overlay, mask in case.masks.items():
                scores.setdefault((overlay, "inside"), []).append(psnr_in(picture, case.truth, mask))
                scores.setdefault((overlay, "ring"), []).append(psnr_in(picture, case.truth, ring(mask, every)))
            scores.setdefault(("", "whole"), []).append(psnr_in(picture, case.truth, np.ones_like(every)))
        yield [name, *(f"{fmean(values):.2f}" for values in scores.values())]


def table_of_flats(paths: Sequence[Path], models: Sequence[str]) -> Iterator[list[str]]:
    """Yield the rows of a table of what is changed where both frames of a pair are equal within `STILL` pixels."""
    yield ["model", *(f"{what}, {how}" for how in HOW for what in ("changed", "by more than 12 levels"))]
    for model in models:
        cells = []
        for how in HOW:
            still, changed, much = 0, 0, 0
            for path in paths:
                clip = opened(path)[: PAIRS + 1]
                new = vsrrin.interpolate(clip, 2, model, overlays=how)
                for n in range(clip.num_frames - 1):
                    left, right = (np.asarray(clip.get_frame(k)[0]) for k in (n, n + 1))
                    if np.array_equal(left, right):
                        continue
                    side = 2 * STILL + 1
                    where = cv2.erode((left == right).astype(np.uint8), np.ones((side, side), np.uint8)) > 0
                    apart = cv2.absdiff(np.asarray(new.get_frame(2 * n + 1)[0]), left)[where]
                    still += apart.size
                    changed += int(np.count_nonzero(apart))
                    much += int(np.count_nonzero(apart > 12))
            cells += [f"{changed / still:.4%}", f"{much / still:.4%}"]
        yield [model, *cells]


def table_of_costs(found: Sequence[Triplet]) -> Iterator[list[str]]:
    """Yield the rows of a table of the CPU time of the search, with what it needs of one frame, on 854x480."""
    yield ["overlays", "pairs", "found in", "ms a pair", "ms a pair where found"]
    drawn = layers(480, 854)
    for name, chosen in {"none": [], "subtitles": ["subtitles"], "all": list(NAMES)}.items():
        times, hits = [], []
        for triplet in found:
            large = (cv2.resize(picture, (854, 480)) for picture in (triplet.left, triplet.right))
            pictures = [with_overlays(np.asarray(x, np.uint8), {key: drawn[key] for key in chosen}) for x in large]
            clip = to_clip(pictures).resize.Bicubic(format=vs.YUV420P8, matrix=1)
            left, right = clip.get_frame(0), clip.get_frame(1)
            before, first = least(partial(sketch_of, left))
            spent, overlays = least(partial(overlays_of, left, right, (first, sketch_of(right))))
            times.append(1000 * (before + spent))
            hits.append(bool(overlays.regions))
        where = [spent for spent, hit in zip(times, hits, strict=True) if hit]
        yield [name, str(len(times)), str(len(where)), f"{fmean(times):.1f}", f"{fmean(where):.1f}" if where else "-"]


def least[T](run: Callable[[], T], rounds: int = 5) -> tuple[float, T]:
    """Return the least CPU time of several calls, in seconds, and what the first returns."""
    spent = []
    results = []
    for _ in range(rounds):
        start = time.process_time()
        results.append(run())
        spent.append(time.process_time() - start)
    return min(spent), results[0]


def strip(found: Sequence[Case], model: str) -> Picture:
    """Return parts of three cases, enlarged: a source frame, without the guard, with it."""
    rows: list[NDArray[Any]] = []
    for name, overlay in SHOWN:
        case = next(case for case in found if case.name.startswith(name))
        y, x = (int(values.mean()) for values in np.nonzero(case.masks[overlay]))
        top, left = max(min(y - 40, case.left.shape[0] - 80), 0), max(min(x - 64, case.left.shape[1] - 128), 0)
        cells = [("source", case.left)]
        cells += [(f'overlays="{how}"', guarded(model, how)(case.left, case.right, case.t)) for how in HOW]
        pictures = []
        for text, picture in cells:
            part = picture[top : top + 80, left : left + 128]
            cell = cv2.resize(part, None, fx=2.5, fy=2.5, interpolation=cv2.INTER_CUBIC)
            cell = cv2.copyMakeBorder(cell, 0 if rows else 20, 4, 2, 2, cv2.BORDER_CONSTANT, value=(255, 255, 255))
            if not rows:
                cv2.putText(cell, text, (6, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
            pictures.append(cell)
        rows.append(np.hstack(pictures))
    return np.asarray(np.vstack(rows), np.uint8)


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of video files without cuts")
    parser.add_argument("--models", nargs="*", default=["draft"])
    parser.add_argument("--peers", nargs="*", default=[], help="methods of training.evaluate")
    parser.add_argument("--crf", type=int, default=18, help="of x264; negative: the pictures as they are drawn")
    parser.add_argument("--limit", type=int)
    parser.add_argument(
        "--flat", type=Path, nargs="*", default=[], metavar="FILE", help="flat animation, another table"
    )
    parser.add_argument("--picture", type=Path, metavar="FILE", help="write a strip of --data and stop")
    parser.add_argument("--cost", action="store_true", help="print the CPU time of the search and stop")
    parser.add_argument("--save", type=Path, metavar="DIR", help="write all new frames there")
    options = parser.parse_args()
    if options.cost:
        cv2.setNumThreads(1)
        printed(
            table_of_costs([x for x in triplets(options.data, limit=options.limit) if x.left.shape == (360, 640, 3)])
        )
        return
    with tempfile.TemporaryDirectory() as name:
        found = list(cases(triplets(options.data, limit=options.limit), options.crf, Path(name)))
    if options.picture:
        Image.fromarray(strip(found, options.models[0])).save(options.picture, quality=90)
        return
    printed(table(found, options.models, options.peers, options.save))
    if options.flat:
        printed(table_of_flats(options.flat, options.models))


if __name__ == "__main__":
    main()
