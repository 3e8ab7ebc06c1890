"""Damaged frames: how many the detector of `vsrrin.repair` finds, and what else it takes for some.

    python -m scripts.benchmarks.damage --data DIR [DIR ...] [--clean DIR ...] [--every N]

The videos of --data are whole. The first table counts what is reported in them as they are, and in those of --clean.
The second changes them in ways that are no damage: light, fades, edits, repeats without a loss. The third damages
frames of each, see `DAMAGE`. Of both, the first frames, shrunk to 270 lines, are encoded by x264 at a crf of 23. Damage
that changes a frame by less than `VISIBLE` does not count. The last table decodes streams of which packets were
overwritten: what counts there are frames that differ from the undamaged ones.
"""

import argparse
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import vapoursynth as vs

from scripts.benchmarks.duplicates import encode, read
from training.measure.triplets import Picture
from vsrrin.clip.damage import damage_clip, kind_of

LINES = 270
VISIBLE = 3.0
"""Mean difference of 8-bit samples."""
SPOILT = 6.0
"""The same for frames of broken streams, in the worst of their 16 parts."""

type Pictures = list[Picture]
type Made = tuple[Pictures, range]
"""Pictures, and those of them that are damaged."""


def small(path: Path) -> Pictures:
    """Return the first frames of a video, shrunk to even sides."""
    pictures = read(path)
    height = min(pictures[0].shape[0], LINES) // 2 * 2
    width = round(pictures[0].shape[1] * height / pictures[0].shape[0]) // 2 * 2
    return [_resized(each, (width, height)) for each in pictures]


def _resized(picture: Picture, size: tuple[int, int]) -> Picture:
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def lit(picture: Picture, gain: float, *, local: bool = False) -> Picture:
    """Return a picture in more light, or in a light from its upper left that reaches only a part of it."""
    height, width = picture.shape[:2]
    ys, xs = np.mgrid[0:height, 0:width]
    reach = np.exp(-(((ys / height - 0.3) / 0.3) ** 2) - ((xs / width - 0.3) / 0.3) ** 2) if local else np.ones_like(ys)
    light = (picture.astype(np.float32) + 40) * (1 + (gain - 1) * reach[..., None]) - 40
    return np.asarray(np.clip(light, 0, 255), np.uint8)


def _level(like: Picture, *colour: int) -> Picture:
    return np.full_like(like, colour)


def _changed(change: Callable[[Picture, int], Picture]) -> Callable[[Pictures, Pictures], Pictures]:
    return lambda pictures, other: [change(picture, number) for number, picture in enumerate(pictures)]


def _spliced(*between: Callable[[Picture], Picture]) -> Callable[[Pictures, Pictures], Pictures]:
    return lambda pictures, other: [*pictures[:10], *(make(pictures[0]) for make in between), *other[5:15]]


def _black(like: Picture) -> Picture:
    return _level(like, 0, 0, 0)


def _faded(picture: Picture, number: int) -> Picture:
    return (picture * min(abs(number - 12) / 6, 1.0)).astype(np.uint8)


HARMLESS: dict[str, Callable[[Pictures, Pictures], Pictures]] = {
    "the same": _changed(lambda picture, number: picture),
    "fade to black and back, 6 frames each": _changed(_faded),
    "strobe, every 4th frame brighter by half": _changed(lambda p, n: lit(p, 1.5 if n % 4 == 0 else 1)),
    "strobe, every 5th frame black": _changed(lambda p, n: _black(p) if n % 5 == 0 else p),
    "lightning over 6 frames": _changed(lambda p, n: lit(p, {10: 2.0, 11: 1.3, 13: 1.7, 14: 1.4, 15: 1.2}.get(n, 1))),
    "one flash of a lamp on a part of the picture": _changed(lambda p, n: lit(p, 2.2 if n == 11 else 1, local=True)),
    "1 black frame between two scenes": _spliced(_black),
    "3 black frames between two scenes": _spliced(_black, _black, _black),
    "1 white frame between two scenes": _spliced(lambda like: _level(like, 255, 255, 255)),
    "every 5th frame twice, as 24 to 30 per second": lambda p, o: [p[n - n // 5] for n in range(len(p))],
    "1 frame twice, and nothing lost": lambda p, o: [*p[:11], p[10], *p[11:]],
    "on twos": lambda p, o: [p[n // 2] for n in range(len(p))],
}


def _with(pictures: Pictures, first: int, *others: Picture) -> Made:
    return [*pictures[:first], *others, *pictures[first + len(others) :]], range(first, first + len(others))


def _joined(upper: Picture, lower: Picture) -> Picture:
    row = len(upper) * 9 // 16
    return np.concatenate([upper[:row], lower[row:]])


def _blocks(picture: Picture, other: Picture) -> Picture:
    """Return a picture with 40 blocks of 16x16 of another, from elsewhere in it."""
    made, choose = picture.copy(), random.Random(0)
    for _ in range(40):
        y, x = (choose.randrange(0, side // 16 - 1) * 16 for side in made.shape[:2])
        made[y : y + 16, x : x + 16] = other[-y - 17 : -y - 1, -x - 17 : -x - 1]
    return made


def _patched(picture: Picture, colour: tuple[int, int, int]) -> Picture:
    made = picture.copy()
    made[len(made) * 3 // 5 : len(made) * 4 // 5] = colour
    return made


GREEN = (0, 77, 0)
"""RGB of samples that are all 0 in YUV of BT.709."""
DAMAGE: dict[str, Callable[[Pictures, Pictures], Made]] = {
    "black: 1 frame": lambda p, o: _with(p, 9, _black(p[0])),
    "black: 3 frames": lambda p, o: _with(p, 9, *[_black(p[0])] * 3),
    "flash: white": lambda p, o: _with(p, 9, _level(p[0], 255, 255, 255)),
    "flash: brighter by half": lambda p, o: _with(p, 9, lit(p[9], 1.5)),
    "green: whole": lambda p, o: _with(p, 9, _level(p[0], *GREEN)),
    "green: a fifth of the height": lambda p, o: _with(p, 9, _patched(p[9], GREEN)),
    "green: a fifth of the height, grey": lambda p, o: _with(p, 9, _patched(p[9], (128, 128, 128))),
    "torn: lower part of the frame before": lambda p, o: _with(p, 9, _joined(p[9], p[8])),
    "torn: upper part of the frame after": lambda p, o: _with(p, 9, _joined(p[10], p[9])),
    "torn: lower part of another scene": lambda p, o: _with(p, 9, _joined(p[9], o[9])),
    "torn: 40 blocks of another scene": lambda p, o: _with(p, 9, _blocks(p[9], o[9])),
    "frozen: 1 frame": lambda p, o: _with(p, 9, p[8]),
    "frozen: 2 frames": lambda p, o: _with(p, 9, p[8], p[8]),
}


def reported(clip: vs.VideoNode) -> dict[int, str]:
    """Return the kinds of the frames that the detector reports."""
    return {n: kind for n, frame in enumerate(damage_clip(clip).frames(close=True)) if (kind := kind_of(frame))}


def opened(path: Path) -> vs.VideoNode:
    """Return the frames of a video."""
    clip = vs.core.bs.VideoSource(str(path), cachemode=0)
    assert isinstance(clip, vs.VideoNode)
    return clip


def encoded(pictures: Sequence[Picture]) -> dict[int, str]:
    """Return what is reported in pictures once they are encoded."""
    with tempfile.TemporaryDirectory() as folder:
        encode(Path(folder) / "made.mp4", pictures, crf=23)
        return reported(opened(Path(folder) / "made.mp4"))


def decoded(pictures: Sequence[Picture], codec: str, *, breaks: bool) -> Pictures:
    """Return pictures as FFmpeg decodes a stream, also with two packets overwritten; what it lacks repeats."""
    options = {"libx264": {"crf": "23", "g": "12", "bf": "0"}, "mpeg2video": {"b": "3M", "g": "6"}}[codec]
    file = BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        frames = [av.VideoFrame.from_ndarray(picture, format="rgb24") for picture in pictures]
        packets = [packet for frame in (*frames, None) for packet in stream.encode(frame)]
        for number, packet in enumerate(packets):
            container.mux(_overwritten(packet) if breaks and number in (8, 16) else packet)
    found: dict[int, Picture] = {}
    file.seek(0)
    with av.open(file, "r") as source:
        for packet in source.demux(video=0):
            with suppress(av.error.InvalidDataError):
                for frame in packet.decode():
                    found[round(frame.time * 25)] = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    shown, last = [], pictures[0]
    for number in range(len(pictures)):
        last = found.get(number, last)
        shown.append(last)
    return shown


def _overwritten(packet: "av.Packet[Any]") -> "av.Packet[Any]":
    data = bytearray(bytes(packet))
    begin = len(data) // 3
    data[begin : begin + 40] = random.Random(len(data)).randbytes(40)
    made = av.Packet(bytes(data))
    made.stream, made.time_base, made.pts, made.dts = packet.stream, packet.time_base, packet.pts, packet.dts
    made.is_keyframe = packet.is_keyframe
    return made


def _apart(first: Picture, second: Picture) -> float:
    """Return the mean difference of two pictures in the worst of their 16 parts."""
    apart = np.abs(first.astype(np.float32) - second).mean(axis=2)
    return float(np.asarray(cv2.resize(apart, (4, 4), interpolation=cv2.INTER_AREA)).max())


def _row(name: str, *cells: object) -> None:
    print(f"| {name} | {' | '.join(map(str, cells))} |", flush=True)


def _kinds(found: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in found.items())


def clean(folders: Sequence[Path]) -> None:
    """Print the table of videos as they are."""
    print("| videos | frames | reported |\n|---|---|---|")
    for folder in folders:
        frames, found = 0, Counter[str]()
        for path in sorted(folder.glob("*.mp4")):
            clip = opened(path)
            frames += clip.num_frames
            found.update(reported(clip).values())
        _row(folder.name, frames, _kinds(found) or 0)


def scenes(paths: Sequence[Path]) -> Iterator[tuple[Pictures, Pictures]]:
    """Yield each video that is long enough, with another of the same size."""
    videos = [pictures for path in paths if len(pictures := small(path)) >= 16]
    for number, pictures in enumerate(videos):
        size = pictures[0].shape[1::-1]
        other = videos[(number + 1) % len(videos)]
        yield pictures, [_resized(each, size) for each in other]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of videos")
    parser.add_argument("--clean", type=Path, nargs="*", default=[], help="more of them, for the first table only")
    parser.add_argument("--every", type=int, default=1, help="use only every so many of the videos that are changed")
    options = parser.parse_args(arguments)
    clean([*options.data, *options.clean])
    videos = list(scenes([path for folder in options.data for path in sorted(folder.glob("*.mp4"))][:: options.every]))
    print("\n| change | frames | reported |\n|---|---|---|")
    for name, change in HARMLESS.items():
        made = [change(*video) for video in videos]
        found = Counter(kind for pictures in made for kind in encoded(pictures).values())
        _row(name, sum(map(len, made)), _kinds(found) or 0)
    print("\n| damage | found | others reported |\n|---|---|---|")
    for name, damage in DAMAGE.items():
        hits = total = others = 0
        for whole, other in videos:
            pictures, where = damage(whole, other)
            found_here = encoded(pictures)
            others += len(found_here.keys() - set(where))
            visible = [n for n in where if np.abs(pictures[n].astype(int) - whole[n]).mean() >= VISIBLE]
            hits, total = hits + len(found_here.keys() & set(visible)), total + len(visible)
        _row(name, f"{hits} of {total}", others)
    print("\n| stream | spoilt frames | found | others reported |\n|---|---|---|---|")
    for codec in ("libx264", "mpeg2video"):
        spoilt = hits = others = 0
        for whole, _ in videos:
            seen = decoded(whole, codec, breaks=True)
            pairs = zip(decoded(whole, codec, breaks=False), seen, strict=True)
            bad = {n for n, pair in enumerate(pairs) if _apart(*pair) > SPOILT}
            reports = encoded(seen).keys()
            spoilt, hits, others = spoilt + len(bad), hits + len(reports & bad), others + len(reports - bad)
        _row(codec, spoilt, hits, others)


if __name__ == "__main__":
    main()
