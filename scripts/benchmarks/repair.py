"""Frames taken out of videos, and what `vsrrin.repair` puts in their place, beside holding and blending.

    python -m scripts.benchmarks.repair --data DIR [DIR ...] [--videos N] [--model NAME]

Of each video, shrunk to at most 480 lines, a single frame, two and three frames in a row are taken out, so that six of
its frames are compared with the true ones: PSNR in RGB, mean over frames, with its standard error in the differences.
"""

import argparse
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from statistics import fmean, stdev

import vapoursynth as vs

import vsrrin
from training.measure.metrics import psnr
from training.measure.vs_clips import to_picture
from vsrrin.clip import frames

RUNS = {1: (2, 2), 2: (5, 6), 3: (9, 11)}
"""First and last frame taken out, by the length of the run."""


def opened(path: Path) -> vs.VideoNode:
    """Return the first 13 frames of a video as RGB."""
    clip = vs.core.bs.VideoSource(str(path))[:13]
    height = min(clip.height, 480) // 2 * 2
    width = round(clip.width * height / clip.height) // 2 * 2
    matrix = None if clip.get_frame(0).props.get("_Matrix", 2) != 2 else 1
    return clip.resize.Spline36(width, height, format=vs.RGB24, matrix_in=matrix)


def measured(clip: vs.VideoNode, model: str) -> dict[int, list[tuple[float, float, float]]]:
    """Return PSNR of holding, blending and repairing for each frame taken out, by the length of its run."""
    mended = vsrrin.repair(clip, list(RUNS.values()), model)
    found: dict[int, list[tuple[float, float, float]]] = {}
    for length, (first, last) in RUNS.items():
        left, right = clip.get_frame(first - 1), clip.get_frame(last + 1)
        for number in range(first, last + 1):
            t = float(Fraction(number - first + 1, length + 1))
            shown = (left if t < 0.5 else right, frames.blend(left, right, t, vs.core.core), mended.get_frame(number))
            truth = to_picture(clip.get_frame(number))
            hold, blend, repair = (psnr(to_picture(frame), truth) for frame in shown)
            found.setdefault(length, []).append((hold, blend, repair))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of videos")
    parser.add_argument("--videos", type=int, default=10, help="number of videos, spread over all")
    parser.add_argument("--model", default="rrin_lite")
    options = parser.parse_args(arguments)
    paths = sorted(path for folder in options.data for path in folder.glob("*.mp4"))
    paths = [path for path in paths if opened(path).num_frames == 13]
    results: dict[int, list[tuple[float, float, float]]] = {}
    for path in paths[:: max(len(paths) // options.videos, 1)][: options.videos]:
        for length, values in measured(opened(path), options.model).items():
            results.setdefault(length, []).extend(values)
    print("| in a row | frames | held | blended | repaired | repaired - blended |\n|---|---|---|---|---|---|")
    for length, values in results.items():
        means = (f"{fmean(column):.2f}" for column in zip(*values, strict=True))
        gains = [repair - blend for _, blend, repair in values]
        error = stdev(gains) / len(gains) ** 0.5
        print(f"| {length} | {len(values)} | {' | '.join(means)} | {fmean(gains):+.2f} ± {error:.2f} |")


if __name__ == "__main__":
    main()
