"""Labelled picture of one real frame pair through every network.

    python -m scripts.models.compare [--clip VIDEO] [--frame 20] [--gap 2] [--crop 320x240] [--nets NAME ...]
                                       [--weights NAME=PATH ...] [--output networks.png]

The cells: the left source frame, the true frame in the middle if the gap has one, each network's middle frame, the
right source frame. Weights are those given with --weights, else those that come with vsrrin, else random numbers from
a fixed seed, with the output layers scaled down; then a network that moves pixels and adds a residue has next to no
motion and no residue left, and shows little but a blend. Every label says which it is.
"""

import argparse
import sys
from collections.abc import Sequence
from itertools import batched, islice
from pathlib import Path

import av
import numpy as np
import torch
from av.video.reformatter import Colorspace

from scripts.benchmarks.clips import CLIP
from vsrrin.checkpoint import loader
from vsrrin.checkpoint.loader import Model
from vsrrin.engine.backends.torch_backend import Precision
from vsrrin.engine.interpolator import Interpolator
from vsrrin.engine.options import Options
from vsrrin.errors import VsrrinError
from vsrrin.nets import NETS, NetSpec
from vsrrin.nets.registry import by_name
from vsrrin.preview.sheet import Cell, Picture, png, sheet

from .random_weights import random_model

COLUMNS = 3
OUTPUT_SCALE = 0.02
"""Factor of the weights of random output layers."""


class CompareError(Exception):
    """The comparison cannot be made."""


def read_frames(clip: Path, first: int, gap: int) -> list[Picture]:
    """Read the frames ``first`` to ``first + gap`` of a BT.709 video.

    Raises:
        CompareError: The file is no video, or too short.
    """
    try:
        with av.open(str(clip)) as container:
            wanted = islice(container.decode(video=0), first, first + gap + 1)
            shots = [frame.reformat(format="rgb24", src_colorspace=Colorspace.ITU709) for frame in wanted]
    except (av.error.FFmpegError, OSError, IndexError) as error:
        raise CompareError(f"{clip} cannot be read as a video: {error}") from error
    if len(shots) <= gap:
        raise CompareError(f"{clip} has no frame {first + gap}; give a smaller --frame or --gap")
    return [np.asarray(frame.to_ndarray(), np.uint8) for frame in shots]


def cropped(picture: Picture, size: tuple[int, int] | None) -> Picture:
    """Return the middle of a picture, at most (width, height) of it; all of it for ``None``."""
    if size is None:
        return picture
    height, width = picture.shape[:2]
    width_kept, height_kept = min(size[0], width), min(size[1], height)
    top, left = (height - height_kept) // 2, (width - width_kept) // 2
    return picture[top : top + height_kept, left : left + width_kept]


def model_of(spec: NetSpec, given: Path | None) -> tuple[Model, str]:
    """Return a network with the best weights there are, and their kind in words.

    Raises:
        VsrrinError: The file does not load.
        CompareError: It is of another network.
    """
    if given is not None:
        model = loader.load(given)
        if model.spec is not spec:
            raise CompareError(f"--weights: {given} holds weights of {model.spec.name}, not of {spec.name}")
        return model, f"weights of {given.name}"
    for name in loader.bundled():
        model = loader.load(name)
        if model.spec is spec:
            untrained = str(model.metadata["training_data"]).lower().startswith("none")
            return model, "bundled weights, untrained" if untrained else "bundled weights"
    return random_model(spec, output_scale=OUTPUT_SCALE), "random weights"


def middle(model: Model, left: Picture, right: Picture, precision: Precision) -> Picture:
    """Return the network's frame in the middle of two."""
    img0, img1 = (torch.from_numpy(x.copy()).permute(2, 0, 1)[None].float() / 255 for x in (left, right))
    (frame,) = Interpolator(model, Options(precision=precision, backend="torch")).interpolate(img0, img1, [0.5])
    return np.asarray((frame[0].permute(1, 2, 0) * 255).round().clamp(0, 255).byte().numpy(), np.uint8)


def cells(
    shots: Sequence[Picture], first: int, specs: Sequence[NetSpec], weights: dict[str, Path], precision: Precision
) -> list[Cell]:
    """Return all cells in order."""
    left, right, gap = shots[0], shots[-1], len(shots) - 1
    found = [Cell(f"source: frame {first}", left)]
    if gap % 2 == 0:
        found.append(Cell(f"true middle: frame {first + gap // 2}", shots[gap // 2]))
    for spec in specs:
        model, kind = model_of(spec, weights.get(spec.name))
        found.append(Cell(f"{spec.name}: {kind}", middle(model, left, right, precision)))
    return [*found, Cell(f"source: frame {first + gap}", right)]


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    names = [spec.name for spec in NETS]
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clip", type=Path, default=CLIP, help="a video without a cut between the two frames")
    parser.add_argument("--frame", type=int, default=20, help="number of the left source frame")
    parser.add_argument("--gap", type=int, default=2, help="how many frames later the right one is")
    parser.add_argument("--crop", type=_size, help="WIDTHxHEIGHT in the middle of the frames, instead of all of them")
    parser.add_argument("--nets", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--weights", type=_weights, action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--precision", default="fp32", choices=("auto", "fp32", "fp16", "bf16"))
    parser.add_argument("--output", type=Path, default=Path("networks.png"))
    options = parser.parse_args(arguments)
    if options.frame < 0 or options.gap < 1:
        parser.error("--frame must be at least 0 and --gap at least 1")
    unknown = [name for name, _ in options.weights if name not in options.nets]
    if unknown:
        parser.error(f"--weights: {unknown[0]!r} is none of the networks shown: {', '.join(options.nets)}")
    return options


def _size(text: str) -> tuple[int, int]:
    width, height = map(int, text.split("x"))
    if min(width, height) < 1:
        raise ValueError(text)
    return width, height


def _weights(text: str) -> tuple[str, Path]:
    name, separator, path = text.partition("=")
    if not (separator and path):
        raise ValueError(text)
    return name, Path(path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, make the picture, say what is on it; return the exit status."""
    options = parse(arguments)
    specs = [by_name(name) for name in options.nets]
    try:
        shots = [cropped(shot, options.crop) for shot in read_frames(options.clip, options.frame, options.gap)]
        found = cells(shots, options.frame, specs, dict(options.weights), options.precision)
        try:
            options.output.write_bytes(png(sheet(list(batched(found, COLUMNS)))))
        except OSError as error:
            raise CompareError(f"{options.output} could not be written: {error}") from error
    except (CompareError, VsrrinError) as error:
        print(f"scripts.models.compare: {error}", file=sys.stderr)
        return 1
    print("\n".join((f"{options.output}:", *(f"  {cell.label}" for cell in found))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
