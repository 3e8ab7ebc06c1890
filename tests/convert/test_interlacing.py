"""vsrrin.convert.interlacing: fields and frames of interlaced sources."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import vapoursynth as vs
from av.filter import Graph

from tests.convert.media.files import ffmpeg
from vsrrin.convert.interlacing import Deinterlace, resolve
from vsrrin.convert.media.pixels import from_av, to_av
from vsrrin.convert.prepare import Settings, prepare
from vsrrin.convert.source import open_file
from vsrrin.errors import ArgumentError, ConvertError

FRAMES = 8


def interlaced(folder: Path, *, top_first: bool = True) -> Path:
    """Fields of a moving picture, 50 a second, in 8 frames."""
    scan = f"interlace=scan={'tff' if top_first else 'bff'}"
    flags = ("-flags", "+ildct+ilme", "-top", str(int(top_first)))
    ffmpeg(folder, "-f", "lavfi", "-i", f"testsrc2=s=160x96:r=50:d={2 * FRAMES / 50}", "-vf", scan, *flags, "in.mkv")
    return folder / "in.mkv"


def in_one_graph(clip: vs.VideoNode, mode: str, order: str) -> list[list[np.ndarray]]:
    """What FFmpeg makes of the whole clip in order."""
    graph = Graph()
    start = graph.add_buffer(width=clip.width, height=clip.height, format="yuv420p", time_base=Fraction(1, 2))
    bwdif = graph.add("bwdif", mode=mode, parity=order, deint="all")
    graph.link_nodes(start, bwdif, graph.add("buffersink")).configure()
    made = []
    for number, frame in enumerate([*clip.frames(), None]):
        picture = frame and to_av(frame, "yuv420p")
        if picture is not None:
            picture.pts, picture.time_base = 2 * number, Fraction(1, 2)
        graph.vpush(picture)
        try:
            while True:
                made.append([plane.copy() for plane in from_av(graph.vpull(), clip.format)])
        except (BlockingIOError, EOFError):
            pass
    return made


@pytest.mark.parametrize(("kind", "top_first"), [("frame", True), ("field", True), ("field", False)])
def test_frames_are_those_of_bwdif_in_any_order(tmp_path: Path, kind: Deinterlace, *, top_first: bool) -> None:
    path = interlaced(tmp_path, top_first=top_first)
    expected = in_one_graph(open_file(path).clip, f"send_{kind}", "tff" if top_first else "bff")
    source = resolve(open_file(path), kind, progressive=False)
    count = 2 if kind == "field" else 1
    assert source.clip.num_frames == len(expected) == count * FRAMES
    assert source.rate == source.clip.fps == 25 * count
    assert list(source.times.starts) == [Fraction(n, 25 * count) for n in range(count * FRAMES)]
    assert source.times.end == Fraction(FRAMES, 25)
    for number in reversed(range(len(expected))):
        frame = source.clip.get_frame(number)
        assert frame.props["_FieldBased"] == 0
        assert Fraction(frame.props["_DurationNum"], frame.props["_DurationDen"]) == Fraction(1, 25 * count)
        for plane, samples in enumerate(expected[number]):
            assert np.array_equal(np.asarray(frame[plane]), samples)


def test_an_interlaced_file_needs_a_decision(tmp_path: Path) -> None:
    path = interlaced(tmp_path)
    settings = {"source": path, "target": tmp_path / "out.mkv", "model": "draft"}
    with pytest.raises(ConvertError, match=r"in\.mkv is interlaced.*deinterlace=\"field\".*progressive=True"):
        prepare(Settings(**settings))  # type: ignore[arg-type]
    taken = prepare(Settings(**settings, progressive=True))  # type: ignore[arg-type]
    assert taken.source.clip.num_frames == FRAMES
    assert taken.signature["progressive"] is True and "deinterlace" not in taken.signature


def test_part_of_an_interlaced_file_is_given_in_its_own_frames(tmp_path: Path) -> None:
    path = interlaced(tmp_path)
    source = resolve(open_file(path, start=3, end=5), "field", progressive=False)
    assert list(source.times.starts) == [Fraction(n, 50) for n in range(6, 10)]


def test_contradictions_are_mistakes_of_the_arguments(tmp_path: Path) -> None:
    source = open_file(interlaced(tmp_path))
    with pytest.raises(ArgumentError, match=r"deinterlace or progressive"):
        resolve(source, "field", progressive=True)
    with pytest.raises(ArgumentError, match=r"'frame', 'field' or None, not 'both'"):
        resolve(source, "both", progressive=False)  # type: ignore[arg-type]
