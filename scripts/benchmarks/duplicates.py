"""Repeated frames: how many are found, what else is taken for some, and what new frames in their place are worth.

    python -m scripts.benchmarks.duplicates --data DIR [DIR ...] [--special DIR] [--every N] [--picture FILE]

The videos of --data move in every frame. The first table puts them on twos and threes, with and without grain that is
new in every frame, encodes them by x264, so that copies are as unlike as in real files, and counts what the detector
says. It goes on with what must not be taken for repeats: something of 8x8 pixels, or a faint mouth, that moves in every
frame over a picture on twos; slow pans; slow fades; grain over a still. What moves no sample of the source by more than
`EQUAL` does not count, nor do repeats of the last picture. --special adds a table of clips whose repeats are known by
their names, see `PATTERNS`. The last table compares the videos on twos and so on with themselves on ones: what is shown
in place of the repeats.
"""

import argparse
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, cycle, pairwise
from pathlib import Path
from statistics import fmean

import av
import cv2
import numpy as np
import vapoursynth as vs
from PIL import Image

import vsrrin
from training.measure.metrics import psnr, ssimulacra2
from training.measure.triplets import Picture
from training.measure.vs_clips import to_picture
from vsrrin.clip.repeats import repeat_clip, run_clip, run_of, stilled
from vsrrin.clip.scene_cuts import cut_clip
from vsrrin.engine.options import Options

MOST_FRAMES = 25
EQUAL = 8
PATTERNS = {"twos_character": (1,), "twos_": (2,), "threes_": (3,), "mixed_holds_chicken": (2, 2, 3, 1, 2, 3)}
"""Frames for which each drawing is held, by the beginning of a file's name."""
UNKNOWN = ("holds_", "grain_", "telecined_", "interlaced_", "alpha_")
"""Beginnings of names of files of which nobody has said which frames repeat, or that are no plain progressive video."""

type Truth = list[bool | None]
"""Whether each frame repeats the one before; ``None`` where it does not matter."""


@dataclass(frozen=True)
class Condition:
    """What is made of a video before the detector sees it."""

    name: str
    make: Callable[[Sequence[Picture]], tuple[list[Picture], Truth]]
    crf: int
    grain: float = 0


def read(path: Path) -> list[Picture]:
    """Return the first frames of a video as RGB, with even sides."""
    with av.open(str(path)) as container:
        frames = [f for f, _ in zip(container.decode(video=0), range(MOST_FRAMES), strict=False)]
    pictures = [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in frames]
    return [picture[: picture.shape[0] & ~1, : picture.shape[1] & ~1] for picture in pictures]


def encode(path: Path, pictures: Sequence[Picture], crf: int, grain: float = 0) -> None:
    """Encode pictures by x264, with grain that no two of them share, the same in all three channels."""
    noise = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": str(crf), "preset": "medium"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            grainy = picture + noise.normal(0, grain, (*picture.shape[:2], 1))
            made = np.clip(np.rint(grainy), 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(made, format="rgb24")))
        container.mux(stream.encode(None))


def opened(path: Path) -> vs.VideoNode:
    """Return a file as a clip."""
    return vs.core.bs.VideoSource(str(path), cachemode=0)


def detected(clip: vs.VideoNode) -> list[bool]:
    """Return for each frame what the filter takes it for."""
    options = Options(duplicates="spread")
    repeats = repeat_clip(clip, options.longest_run)
    runs = run_clip(repeats, cut_clip(stilled(clip, repeats, options.longest_run), "auto"), options)
    return [run_of(frame).first < n for n, frame in enumerate(runs.frames(close=True))]


def held(step: int, pictures: Sequence[Picture]) -> tuple[list[Picture], Truth]:
    """Return every ``step``-th picture, shown for as many frames."""
    drawings = pictures[::step]
    moves = [
        True,
        *(np.abs(b.astype(int) - a).max() > EQUAL for a, b in pairwise(drawings)),
        False,  # behind the last there is nothing to move to
    ]
    truth: Truth = []
    for number in range(len(drawings)):
        sure = moves[number] and moves[number + 1]
        truth += [False if moves[number] else None, *[True if sure else None] * (step - 1)]
    return [picture for picture in drawings for _ in range(step)], [None, *truth[1:]]


def pointed(size: int, contrast: float, pictures: Sequence[Picture]) -> tuple[list[Picture], Truth]:
    """Return pictures on twos with a square in the middle that moves by a quarter of its side in every frame.

    It is as bright as what lies below it but for the contrast, 255 from black to white.
    """
    made = []
    for n, picture in enumerate(held(2, pictures)[0]):
        y, x = picture.shape[0] // 2, picture.shape[1] // 3 + n * size // 4
        changed = picture.astype(np.float64)
        level = changed[y : y + size, x : x + size]
        level += contrast if level.mean() < 128 else -contrast
        made.append(np.clip(changed, 0, 255).astype(np.uint8))
    return made, [None, *[False] * (len(made) - 1)]


def panned(shift: float, pictures: Sequence[Picture]) -> tuple[list[Picture], Truth]:
    """Return the first picture, which moves by ``shift`` pixels a frame."""
    height, width = pictures[0].shape[:2]
    moves = [np.array([[1, 0, -n * shift], [0, 1, 0]], np.float64) for n in range(16)]
    made = [cv2.warpAffine(pictures[0], m, (width, height), flags=cv2.INTER_CUBIC) for m in moves]
    inner = [np.asarray(picture, np.uint8)[:, : width - 16] for picture in made]
    return inner, [None, *[False] * 15]


def faded(by: float, pictures: Sequence[Picture]) -> tuple[list[Picture], Truth]:
    """Return the first picture, which becomes darker by a part of its brightness in every frame."""
    made = [np.rint(pictures[0] * (1 - by * n)).astype(np.uint8) for n in range(16)]
    return made, [None, *[False] * 15]


CONDITIONS = [
    *(
        Condition(f"{name}, crf {crf}{f', grain {grain}' if grain else ''}", partial(held, step), crf, grain)
        for step, name in ((1, "on ones"), (2, "on twos"), (3, "on threes"))
        for crf, grain in ((18, 0), (30, 0), (24, 8))
    ),
    *(
        Condition(f"{name}, crf 24", make, 24)
        for name, make in (
            ("pointer of 8x8 over twos", partial(pointed, 8, 128)),
            ("faint mouth of 12x12 over twos", partial(pointed, 12, 40)),
            ("pan of 0.25 px", partial(panned, 0.25)),
            ("pan of 1 px", partial(panned, 1)),
            ("fade by 1 % a frame", partial(faded, 0.01)),
        )
    ),
    Condition("still, crf 24, grain 8", partial(panned, 0), 24, 8),
]


def table_of_conditions(paths: Sequence[Path], folder: Path) -> Iterator[list[str]]:
    """Yield the rows of the first table."""
    yield ["condition", "repeats found", "of", "others taken for repeats", "of"]
    videos = {path: read(path) for path in paths}
    for condition in CONDITIONS:
        count: Counter[tuple[bool | None, bool]] = Counter()
        for path, pictures in videos.items():
            made, truth = condition.make(pictures)
            encode(folder / "made.mkv", made, condition.crf, condition.grain)
            answers = detected(opened(folder / "made.mkv"))
            count.update(zip(truth, answers, strict=True))
            wrong = [
                n
                for n, (true, said) in enumerate(zip(truth, answers, strict=True))
                if true is not None and true != said
            ]
            if wrong:
                print(f"{condition.name}: {path.name}: {wrong}", flush=True)
        yield [condition.name, *counted(count)]


def table_of_files(folder: Path) -> Iterator[list[str]]:
    """Yield the rows of the second table."""
    yield ["file", "repeats found", "of", "others taken for repeats", "of", "share of repeats before", "after"]
    for path in sorted(chain(folder.glob("*.mp4"), folder.glob("*.mkv"))):
        if path.name.startswith(UNKNOWN[2:]):
            continue
        clip = opened(path)
        answers = detected(clip)
        pattern = next((held for name, held in PATTERNS.items() if path.name.startswith(name)), (1,))
        truth: Truth = [None]
        for length in cycle(pattern):
            truth += [True] * (length - 1) + [False]
            if len(truth) > clip.num_frames - max(pattern):
                break
        truth += [None] * (clip.num_frames - len(truth))  # behind the last there is nothing to move to
        count = Counter(zip(truth, answers, strict=True))
        cells = ["", "", "", ""] if path.name.startswith(UNKNOWN) else counted(count)
        mended = detected(vsrrin.dedup(clip, model="draft"))
        yield [path.name, *cells, *(f"{sum(said) / len(said):.0%}" for said in (answers, mended))]


def counted(count: Counter[tuple[bool | None, bool]]) -> list[str]:
    """Return hits, repeats, false alarms and others as cells of a table."""
    found, missed, false, right = (count[key] for key in ((True, True), (True, False), (False, True), (False, False)))
    return [
        f"{found}" if found + missed else "",
        f"{found + missed}" if found + missed else "",
        f"{false}",
        f"{false + right}",
    ]


def table_of_quality(paths: Sequence[Path], folder: Path, steps: Sequence[int], model: str) -> Iterator[list[str]]:
    """Yield the rows of the last table."""
    yield [
        "shown for",
        "pictures",
        *(f"{what}, {how}" for what in ("PSNR", "SSIMULACRA2") for how in ("keep", "spread")),
    ]
    for step in steps:
        scores: list[list[tuple[float, float | None]]] = [[], []]
        for path in paths:
            pictures = read(path)
            encode(folder / "made.mkv", held(step, pictures)[0][: len(pictures)], 18)
            clip = opened(folder / "made.mkv")
            mended = vsrrin.dedup(clip, model=model, longest_run=max(step, 2))
            for n in range((len(pictures) - 1) // step * step):
                if n % step:
                    for found, made in zip(scores, (clip, mended), strict=True):
                        picture = to_picture(made[n].resize.Bicubic(format=vs.RGB24, matrix_in=6).get_frame(0))
                        found.append((psnr(picture, pictures[n]), ssimulacra2(picture, pictures[n])))
        means = [[fmean(values) for values in zip(*found, strict=True) if None not in values] for found in scores]
        yield [
            f"{step} frames",
            f"{len(scores[0])}",
            *(f"{mean:.2f}" for pair in zip(*means, strict=True) for mean in pair),
        ]


def strip(path: Path, first: int) -> Picture:
    """Return six frames of a clip on twos in a row, and below them what takes their place."""
    clip = opened(path)
    rows = []
    for made in (clip, vsrrin.dedup(clip)):
        cells = []
        for n in range(first, first + 6):
            frame = made[n].resize.Bicubic(format=vs.RGB24, matrix_in=1).get_frame(0)
            kind = frame.props.get("_VSRRIN_Kind", f"repeats {n - 1}" if (n - first) % 2 else "source")
            cell = cv2.resize(to_picture(frame), (220, 220 * clip.height // clip.width), interpolation=cv2.INTER_AREA)
            cell = cv2.copyMakeBorder(cell, 22, 4, 2, 2, cv2.BORDER_CONSTANT, value=(255, 255, 255))
            colour = (0, 0, 0) if kind == "source" else (190, 0, 0)
            cv2.putText(cell, f"{n}: {kind}", (6, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
            cells.append(cell)
        rows.append(np.hstack(cells))
    return np.asarray(np.vstack(rows), np.uint8)


def printed(rows: Iterator[list[str]]) -> None:
    """Print a markdown table, row by row."""
    for number, row in enumerate(rows):
        print(f"| {' | '.join(row)} |", flush=True)
        if not number:
            print("|".join(["", *["---"] * len(row), ""]), flush=True)
    print()


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, nargs="+", metavar="DIR", help="folders of videos")
    parser.add_argument("--special", type=Path, metavar="DIR", help="a folder of clips whose repeats are known")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take each N-th video only")
    parser.add_argument("--steps", default="2,3,4,5,6,8", help="frames for which pictures are held in the last table")
    parser.add_argument("--model", default="draft")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="write a strip of --special's cockatoo and stop")
    options = parser.parse_args()
    if options.picture:
        image = Image.fromarray(strip(options.special / "twos_cockatoo_on24.mp4", 4))
        image.quantize(64, dither=Image.Dither.NONE).save(options.picture, optimize=True)
        return
    paths = sorted(path for folder in options.data for path in folder.glob("*.mp4"))[:: options.every]
    with tempfile.TemporaryDirectory() as name:
        if options.special:
            printed(table_of_files(options.special))
        printed(table_of_conditions(paths, Path(name)))
        printed(table_of_quality(paths, Path(name), [int(step) for step in options.steps.split(",")], options.model))


if __name__ == "__main__":
    main()
