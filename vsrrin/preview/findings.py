"""What is found between two frames, in words and as pictures: names of the frames, facts, maps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vsrrin.convert.moments import written

from . import sheet
from .motion_maps import Map, Maps
from .pair import Pair, Shown
from .sheet import Picture

_DOUBT_WHITE = 4.0
_STRONGEST_GAIN = 8


@dataclass(frozen=True)
class Finding:
    """A map of a frame's size in colours.

    Attributes:
        name: What it shows.
        meaning: What its colours mean, or its largest value.
        picture: The map.
        of_flow: Whether colours are directions.
    """

    name: str
    meaning: str
    picture: Picture
    of_flow: bool = False


def findings(pair: Pair) -> Iterator[Finding]:
    """Yield the maps of a pair, as far as its network has them."""
    maps = pair.maps
    if maps.forward is not None and maps.backward is not None and maps.doubt is not None:
        full = _full_colour(maps)
        for way, flow in (("to the right frame", maps.forward), ("back to the left frame", maps.backward)):
            longest = f"{_largest(flow):.1f} px at most"
            yield Finding(f"flow {way}", longest, sheet.flow_colours(flow, full), of_flow=True)
        doubt = sheet.grey(maps.doubt, _DOUBT_WHITE)
        yield Finding("doubt", f"flow there and back misses (white: {_DOUBT_WHITE:g} px)", doubt)
    yield Finding("confidence", f"{_trust(pair)} (white: 1)", sheet.grey(maps.confidence, 1))
    if maps.share is not None:
        yield Finding("mask", f"share of the right frame at t = {pair.middle.t}", sheet.grey(maps.share, 1))
    apart = np.abs(pair.sources[0].astype(np.int16) - pair.sources[1])
    gain = int(np.clip(255 // max(float(np.percentile(apart, 99.5)), 1), 1, _STRONGEST_GAIN))
    strong = np.minimum(apart * gain, 255).astype(np.uint8)
    yield Finding("difference of the source frames", f"x{gain}", strong)


def source_name(pair: Pair, number: int) -> str:
    """Return what a source frame is called."""
    return f"source frame {number}, {written(pair.source.times.starts[number])}"


def name(pair: Pair, shown: Shown) -> str:
    """Return what a frame that is no source frame is called."""
    return f"NEW, t = {shown.t}" if shown.kind == "new" else f"t = {shown.t}: {_why_not_new(pair, shown)}"


def _why_not_new(pair: Pair, shown: Shown) -> str:
    if pair.wanted.scene == "off" or not pair.is_cut:
        if np.array_equal(*pair.sources):
            return "left frame held, as both are equal"
        return f"fallback: {shown.kind}, as the new frame cannot be trusted"
    if shown.kind == "blend":
        return "both frames blended, as a cut lies between"
    if pair.wanted.at_cut == "nearest" and 2 * shown.t >= 1:
        return "right frame held, as a cut precedes"
    return "left frame held, as a cut follows"


def facts(pairs: Sequence[Pair]) -> Iterator[tuple[str, str]]:
    """Yield what there is to say of one place with several settings, as subject and text."""
    yield from facts_of_place(pairs[0])
    for pair in pairs:
        yield from facts_of_settings(pair)
    for note in pairs[0].notes:
        yield "note", note


def facts_of_place(pair: Pair) -> Iterator[tuple[str, str]]:
    """Yield what is true whatever the settings are."""
    clip, left = pair.source.clip, pair.left
    yield "source", f"{pair.wanted.source.name}, {clip.width}x{clip.height} {clip.format.name}"
    yield "frames", f"{left} and {left + 1} of {clip.num_frames}, at {written(pair.source.times.starts[left])}"


def facts_of_settings(pair: Pair) -> Iterator[tuple[str, str]]:
    """Yield what depends on the settings."""
    maps = pair.maps
    tiles = f", {maps.tiles} tiles" if maps.tiles > 1 else ""
    yield "network", f"{pair.wanted.settings}, factor {pair.wanted.factor}{tiles}"
    if maps.forward is None or maps.backward is None:
        yield "motion", "this network makes new frames without estimating motion"
    else:
        longest = max(_largest(maps.forward), _largest(maps.backward))
        yield "motion", f"{longest:.1f} px at most; full colour from {_full_colour(maps):.1f} px"
    yield "trust", f"confidence {_trust(pair)}"
    yield "cut", _cut(pair)
    yield "repeats", _repeats(pair)


def _cut(pair: Pair) -> str:
    scene = pair.wanted.scene
    against = "from" if pair.score >= pair.threshold else "below"
    detected = f"score {pair.score:.2f}, {against} {pair.threshold}"
    by = "by vsrrin's detector"
    if scene != "detect" and (pair.marked is not None or scene == "props"):
        by = "unmarked" if pair.marked is None else "marked on the frames"
    ignored = "; no cut is acted on, as scene is 'off'" if scene == "off" else ""
    return f"{'YES' if pair.is_cut else 'none'} between these frames, {by} ({detected}){ignored}"


def _trust(pair: Pair) -> str:
    return f"{float(pair.maps.confidence.mean()):.2f} on average at t = {pair.middle.t}"


def _repeats(pair: Pair) -> str:
    first, following = pair.run
    if first == following:
        return f"no run of 2 to {pair.wanted.longest_run} equal frames here"
    equal = f"frames {first} to {following - 1} show one picture"
    if pair.wanted.duplicates == "keep":
        return f"{equal}, and stand still, as duplicates is 'keep'"
    return f"{equal}; motion is spread over them, from {first} to {following}"


def _largest(flow: Map) -> float:
    return float(np.hypot(flow[..., 0], flow[..., 1]).max())


def _full_colour(maps: Maps) -> float:
    """Return the length of motion with the full colour, in pixels.

    It is nearly the longest, as a few stray vectors would leave all else pale, and at least a pixel, as the noise of a
    still picture is no motion.
    """
    assert maps.forward is not None and maps.backward is not None
    lengths = [np.hypot(flow[..., 0], flow[..., 1]) for flow in (maps.forward, maps.backward)]
    return max(float(np.percentile(np.stack(lengths), 99)), 1.0)
