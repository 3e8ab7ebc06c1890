"""Picture of quality against speed."""

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

from .method import is_own, parse
from .results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKER = 5
"""Pixels from the middle of a point to its border."""


def draw(results: Results, path: Path, size: str, factor: int = 2) -> bool:
    """Write a PNG and return whether there was anything to show.

    Args:
        results: Results with times and quality.
        path: Path of the picture.
        size: The size whose times are shown.
        factor: The factor whose times are shown.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    points = []
    for method in results.methods:
        cell, psnr = results.cell(method, size, factor), results.psnr(method)
        if cell is not None and cell.seconds and psnr is not None:
            points.append((1 / cell.seconds, psnr, method))
    if not points:
        return False
    figure, axes = pyplot.subplots(figsize=(9, 5.5), layout="constrained")
    for speed, psnr, method in points:
        colour, marker = _style(method)
        axes.scatter(speed, psnr, c=colour, marker=marker, s=60, zorder=3)
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(ticker.LogLocator(subs=(2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")
    axes.margins(x=0.3, y=0.12)
    axes.set_xlabel(f"new frames per second, {size}, factor {factor}")
    axes.set_ylabel("PSNR, dB")
    axes.set_title("Up and to the right is better", fontsize=10)
    axes.grid(visible=True, which="both", alpha=0.3)
    figure.canvas.draw()  # now it is known where everything lies
    _name(axes, points)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return True


def _name(axes: "Axes", points: list[tuple[float, float, str]]) -> None:
    """Write the name of each point where it covers neither another point nor another name."""
    from matplotlib.transforms import Bbox

    middles = [axes.transData.transform((speed, psnr)) for speed, psnr, _ in points]
    taken = [Bbox.from_extents(x - _MARKER, y - _MARKER, x + _MARKER, y + _MARKER) for x, y in middles]
    for speed, psnr, method in sorted(points):
        for distance, side in itertools.product((4, -13, 18, -27, 32, -41), (1, -1)):
            name = axes.annotate(
                label(method),
                (speed, psnr),
                xytext=(8 * side, distance),
                textcoords="offset points",
                ha="left" if side > 0 else "right",
                fontsize=8,
            )
            box = name.get_window_extent()
            if not any(box.overlaps(other) for other in taken):
                break
            name.remove()
        else:
            continue  # no room: the table has its name
        taken.append(box)


def label(method: str) -> str:
    """Return a method's name and the values of its options."""
    name, options = parse(method)
    if name == "minterpolate":
        return f"ffmpeg {name}{', bidir' if options.get('me_mode') == 'bidir' else ''}"
    return ", ".join([name, *options.values()])


def _style(method: str) -> tuple[str, str]:
    if is_own(method):
        return "tab:blue", "o"
    return ("tab:red", "s") if parse(method)[0].startswith("rife") else ("tab:grey", "^")
