"""Sources: frames that cannot be read, what changes midway, what is left out."""

import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import vapoursynth as vs

from tests.convert.media.files import ffmpeg
from tests.convert.test_video import BUNNY_INPUT, SMALL, video
from vsrrin import ConvertError
from vsrrin.convert import video as convert_module
from vsrrin.convert.image_folder import Images, convert_to_folder
from vsrrin.convert.moments import parse_position
from vsrrin.convert.source import ClipSource
from vsrrin.convert.video import convert

Settings = partial(convert_module.Settings, model="draft")


@pytest.mark.parametrize("target", ["out.mkv", "out"])
@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (
            range(30, 31),
            "the frame at 1.200 s (number 30 of those used) cannot be read: a packet is damaged. Convert the part "
            'before (end="1.200") and what comes after (start="1.240"), or repair the file first',
        ),
        (
            range(25, 28),
            "the frames from 1.000 to 1.080 s (numbers 25 to 27 of those used) cannot be read: a packet is damaged. "
            'Convert the part before (end="1.000") and what comes after (start="1.120"), or repair the file first',
        ),
        (
            range(36, 40),
            "the frames from 1.440 to 1.560 s (numbers 36 to 39 of those used) cannot be read: a packet is damaged. "
            'Convert the part before (end="1.440"), or repair the file first',
        ),
    ],
    ids=["one", "several", "the last"],
)
def test_source_frames_that_cannot_be_read_are_named_with_their_times(
    bad: range, said: str, target: str, tmp_path: Path
) -> None:
    clip = vs.core.std.BlankClip(width=64, height=48, format=vs.YUV420P8, length=40, fpsnum=25, fpsden=1)

    def read(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        if n in bad:
            raise vs.Error("a packet is damaged")
        return f

    source = ClipSource(lambda: clip.std.ModifyFrame(clip, read), {})

    def run(settings: Settings) -> None:
        if target == "out":
            convert_to_folder(settings, Images(source, None))
        else:
            convert(settings, source=source)

    settings = Settings(Path("in.mkv"), tmp_path / target)
    with pytest.raises(ConvertError) as caught:
        run(settings)
    assert str(caught.value) == f"in.mkv: {said}"
    settings = replace(settings, overwrite=True)  # the advice holds
    for bound in re.findall(r'(start|end)="([^"]*)"', said):
        run(replace(settings, **{bound[0]: parse_position(bound[1], bound[0])}))


@pytest.mark.parametrize(("change", "what"), [("scale=96:64", "size"), ("format=yuv444p", "pixel format")])
def test_a_source_that_changes_midway_is_refused_with_a_way_that_helps(tmp_path: Path, change: str, what: str) -> None:
    for number, filters in enumerate((SMALL, f"{SMALL},{change}")):
        ffmpeg(tmp_path, *BUNNY_INPUT, *video(scale=filters, frames=5), f"{number}.ts")
    (tmp_path / "in.ts").write_bytes((tmp_path / "0.ts").read_bytes() + (tmp_path / "1.ts").read_bytes())
    with pytest.raises(ConvertError, match=rf"the {what} of .*in\.ts changes midway: .*-c:v ffv1 NEW\.mkv"):
        convert(Settings(tmp_path / "in.ts", tmp_path / "out.mkv"))
    ffmpeg(tmp_path, "-i", "in.ts", "-map", "0", "-c", "copy", "-c:v", "ffv1", "NEW.mkv")
    assert convert(Settings(tmp_path / "NEW.mkv", tmp_path / "out.mkv")).frames == 20


def test_what_the_decoder_leaves_out_is_said(tmp_path: Path) -> None:
    webm = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8")
    ffmpeg(tmp_path, *BUNNY_INPUT, *video(*webm, scale="scale=161:91,format=yuv420p", frames=3), "in.webm")
    notes = "; ".join(convert(Settings(tmp_path / "in.webm", tmp_path / "out.mkv")).notes)
    assert "161x91 is cut to 160x90" in notes
