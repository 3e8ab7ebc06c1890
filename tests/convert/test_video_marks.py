"""Colours, HDR and metadata of whole conversions, where encoder or container have ways of their own."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import vapoursynth as vs

from tests.convert.media.files import ffmpeg, ffprobe
from tests.convert.test_video import BUNNY_INPUT, HDR, SMALL, F, video
from vsrrin.convert import video as convert_module
from vsrrin.convert.video import convert

Settings = partial(convert_module.Settings, model="draft")


@pytest.mark.parametrize("target", ["out.mov", "out.mkv"])
def test_colours_of_prores_are_told_by_its_pictures(tmp_path: Path, target: str) -> None:
    colours = "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc:range=tv"
    ffmpeg(tmp_path, *BUNNY_INPUT, *video("-c:v", "ffv1", scale=f"{SMALL},format=yuv422p10le,{colours}"), "in.mkv")
    assert convert(Settings(tmp_path / "in.mkv", tmp_path / target, codec="prores")).notes == ()
    stream = ffprobe(tmp_path / target, "-show_streams")["streams"][0]
    found = (stream["color_primaries"], stream["color_transfer"], stream["color_space"])
    assert found == ("bt2020", "smpte2084", "bt2020nc")


def test_full_range_becomes_limited_for_prores(tmp_path: Path) -> None:
    full = f"{SMALL},scale=out_range=pc,format=yuv422p10le,setparams=range=pc"
    ffmpeg(tmp_path, *BUNNY_INPUT, *video("-c:v", "ffv1", scale=full, frames=2), "in.mkv")
    done = convert(Settings(tmp_path / "in.mkv", tmp_path / "out.mov", codec="prores"))
    assert done.notes == ("samples of full range become limited ones: ProRes holds no others",)
    before, after = (
        np.asarray(vs.core.bs.VideoSource(str(tmp_path / name), cachemode=0).get_frame(0)[0]).astype(float)
        for name in ("in.mkv", "out.mov")
    )
    assert before.min() < 40 and np.abs(64 + before * 876 / 1023 - after).mean() < 4


def test_hdr_metadata_is_kept_by_the_container_where_the_encoder_holds_none(tmp_path: Path) -> None:
    coded = ("-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-x265-params", HDR)
    ffmpeg(tmp_path, *BUNNY_INPUT, *video(*coded, frames=4), "hdr.mkv")
    done = convert(Settings(tmp_path / "hdr.mkv", tmp_path / "out.webm", codec="vp9", pix_fmt="yuv420p"))
    assert not any("HDR" in note for note in done.notes)
    stream = ffprobe(tmp_path / "out.webm", "-show_streams")["streams"][0]
    kept = {key: value for entry in stream["side_data_list"] for key, value in entry.items()}
    assert (kept["max_content"], kept["max_average"]) == (1000, 400)
    assert F(kept["max_luminance"]) == 1000 and abs(F(kept["red_x"]) - F(34, 50)) < F(1, 1000)


@pytest.mark.parametrize("target", ["out.mov", "out.mp4", "out.mkv"])
def test_metadata_of_phones_is_kept(tmp_path: Path, target: str) -> None:
    facts = {"com.apple.quicktime.make": "Maker", "title": "My clip", "comment": "hello", "date": "2024"}
    tags = [word for key, value in facts.items() for word in ("-metadata", f"{key}={value}")]
    moment = ("-metadata", "creation_time=2024-05-06T07:08:09Z", "-movflags", "use_metadata_tags")
    ffmpeg(tmp_path, *BUNNY_INPUT, *video(frames=2), *tags, *moment, "in.mov")
    convert(Settings(tmp_path / "in.mov", tmp_path / target))
    found = ffprobe(tmp_path / target, "-show_format")["format"]["tags"]
    assert facts.items() <= {key.lower(): value for key, value in found.items()}.items()
    assert {key.lower(): value for key, value in found.items()}["creation_time"].startswith("2024-05-06T07:08:09")
