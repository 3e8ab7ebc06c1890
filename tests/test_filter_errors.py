"""Wrong inputs of vsrrin.interpolate: each is a clear error while the graph is built."""

import re
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import vapoursynth as vs

import vsrrin
from tests.clip.test_clip_checks import with_durations
from vsrrin.clip import clip_checks
from vsrrin.errors import ArgumentError
from vsrrin.nets import NETS

CLIP = {"width": 256, "height": 192, "length": 4, "format": vs.YUV420P8, "keep": True}


def blank(**options: Any) -> vs.VideoNode:
    return vs.core.std.BlankClip(**(CLIP | options))


ARGUMENTS: list[tuple[dict[str, Any], str]] = [
    ({"factor": 0}, "factor must be a positive int"),
    ({"factor": -1}, "factor must be a positive int"),
    ({"factor": float("nan")}, "floats are inexact"),
    ({"factor": float("inf")}, "floats are inexact"),
    ({"factor": 2.5}, 'write "5/2" instead'),
    ({"factor": "two"}, "not 'two'"),
    ({"factor": "1/2"}, "factor must be at least 1, not 1/2"),
    ({"factor": None}, "NoneType"),
    ({"factor": 2**31}, "VapourSynth can count"),
    ({"fps": 0}, "fps must be a positive int"),
    ({"fps": 59.94}, '"60000/1001"'),
    ({"fps": 12}, "fps must be at least the clip's rate of 24, not 12"),
    ({"fps": 60, "factor": 3}, "give factor or fps, not both"),
    ({"timecodes": "times.txt"}, "timecodes needs fps=RATE"),
    ({"fps": 60, "timecodes": "no such file.txt"}, "cannot be read"),
    ({"model": "rrin_light"}, "rrin_lite"),
    ({"model": "rrin"}, "HopLee6/RRIN"),
    ({"model": 5}, "model"),
    ({"model": ""}, ""),
    ({"model": "missing.safetensors"}, "missing.safetensors"),
    ({"scene": "sometimes"}, "scene must be one of 'auto', 'props', 'detect', 'off', not 'sometimes'"),
    ({"scene": True}, "scene must be one of"),
    ({"scene_threshold": 0}, "scene_threshold must be a number above 0 and up to 1, not 0"),
    ({"scene_threshold": "high"}, "scene_threshold must be a number"),
    ({"at_cut": "morph"}, "at_cut must be one of 'hold', 'nearest', 'blend', not 'morph'"),
    ({"duplicates": "drop"}, "duplicates must be one of 'keep', 'spread', not 'drop'"),
    ({"duplicates": True}, "duplicates must be one of"),
    ({"longest_run": 1}, "longest_run must be a whole number of frames from 2 to 64, not 1"),
    ({"longest_run": 65}, "not 65"),
    ({"longest_run": 2.0}, "not 2.0"),
    ({"longest_run": True}, "not True"),
    ({"longest_run": None}, "not None"),
    ({"scale": 2}, "scale must be a number from 0.25 to 1"),
    ({"tile": 10}, "tile must be a side"),
    ({"tile": 128, "overlap": 64}, "more than twice the overlap"),
    ({"overlap": -4}, "overlap must be a number of pixels"),
    ({"device": "gpu"}, 'device must be "cpu", "cuda"'),
    ({"device": "cuda:99"}, "'cuda:99' is not available"),
    ({"device": []}, "device must be the name of a device, a list of such names, or None, not []"),
    ({"device": ["cpu", None]}, "a list of such names"),
    ({"device": ["cpu", "cuda:99"]}, "'cuda:99' is not available"),
    ({"device": {"cpu"}}, "device must be"),
    ({"precision": "fp8"}, "precision must be one of 'auto', 'fp32', 'fp16', 'bf16', 'int8', not 'fp8'"),
    ({"arithmetic": "approximate"}, "approximate"),
    ({"arithmetic": ["exact"]}, "arithmetic must be a text, not ['exact'] (list)"),
    ({"precision": []}, "precision must be one of 'auto'"),
    ({"fps": 60, "timecodes": 123}, "timecodes must be the path of a file, not 123 (int)"),
    ({"fps": 60, "timecodes": "a\0b"}, "cannot be read"),
    ({"factor": "1e5000"}, "not '1e5000'"),
    ({"factor": 10**400}, "with parts of at most 18 digits"),
    ({"factor": Fraction(10**30 + 1, 10**30)}, "with parts of at most 18 digits"),
]


@pytest.mark.parametrize(("options", "words"), ARGUMENTS, ids=lambda value: str(value)[:40])
def test_wrong_arguments(options: dict[str, Any], words: str) -> None:
    with pytest.raises(vs.Error, match=r"^vsrrin\.interpolate: ") as caught:
        vsrrin.interpolate(blank(), **options)
    assert words in str(caught.value)


def test_a_variable_format_is_refused() -> None:
    mixed = vs.core.std.Splice([blank(), blank(format=vs.YUV444P8)], mismatch=True)
    with pytest.raises(vs.Error, match=r"vsrrin\.interpolate: clip has a variable format"):
        vsrrin.interpolate(mixed)


def test_a_variable_size_is_refused() -> None:
    mixed = vs.core.std.Splice([blank(), blank(width=80)], mismatch=True)
    with pytest.raises(vs.Error, match=r"vsrrin\.interpolate: clip has a variable size"):
        vsrrin.interpolate(mixed)


@pytest.mark.parametrize("field", [1, 2])
def test_interlaced_clips_are_refused(field: int) -> None:
    with pytest.raises(vs.Error, match=r"vsrrin\.interpolate: clip is interlaced .*SetFieldBased"):
        vsrrin.interpolate(blank().std.SetFrameProps(_FieldBased=field))
    assert vsrrin.interpolate(blank().std.SetFrameProps(_FieldBased=0)).num_frames == 8


def test_frames_in_gpu_memory_are_refused() -> None:
    """No machine without Vulkan can make such a clip; the check itself is run on what it reads."""
    clip = blank()
    with pytest.raises(ArgumentError, match=r"GPU memory: use clip\.std\.GPUDownload\(\) first"):
        clip_checks.check_not_on_gpu(SimpleNamespace(gpu_resident=True))
    clip_checks.check_not_on_gpu(clip)
    clip_checks.check_not_on_gpu(SimpleNamespace())  # VapourSynth before R80


@pytest.mark.parametrize("value", ["text", [1, 9], 0.5])
def test_properties_of_the_wrong_kind_count_as_unspecified(value: Any) -> None:
    clip = blank()

    def spoil(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        for key in ("_FieldBased", "_DurationNum", "_SceneChangeNext"):
            frame.props[key] = value if key != "_SceneChangeNext" else 0
        return frame

    output = vsrrin.interpolate(clip.std.ModifyFrame(clip, spoil))
    assert output.get_frame(1).props["_VSRRIN_Left"] == 0


def test_interlaced_frames_later_on_are_warned_of(log_messages: list[str]) -> None:
    clip = blank()
    output = vsrrin.interpolate(clip[:2] + clip.std.SetFrameProps(_FieldBased=2)[2:])
    output.get_frame(5)
    assert any("source frame 2 is interlaced" in text for text in log_messages)


@pytest.mark.parametrize("clip", [None, 5, "video.mkv", []], ids=str)
def test_what_is_no_clip_is_refused(clip: Any) -> None:
    with pytest.raises(vs.Error, match=r"vsrrin\.interpolate: clip must be a video node, not"):
        vsrrin.interpolate(clip)


def test_an_audio_clip_is_refused() -> None:
    with pytest.raises(vs.Error, match=r"vsrrin\.interpolate: clip must be a video node, not .*AudioNode"):
        vsrrin.interpolate(vs.core.std.BlankAudio())


@pytest.mark.parametrize("bits", [32, 24])
def test_integer_formats_beyond_16_bit_are_refused(bits: int) -> None:
    video_format = vs.core.query_video_format(vs.GRAY, vs.INTEGER, bits, 0, 0)
    with pytest.raises(vs.Error, match=r"8 to 16 bit, half or float are allowed"):
        vsrrin.interpolate(blank(format=video_format.id))


def test_a_fractional_factor_for_a_variable_rate_is_refused() -> None:
    with pytest.raises(vs.Error, match=r"needs a constant frame rate, but the clip's varies"):
        vsrrin.interpolate(blank(fpsnum=0, fpsden=1), "5/2")


def test_fps_for_a_variable_rate_without_durations_is_refused() -> None:
    clip = blank(fpsnum=0, fpsden=1).std.RemoveFrameProps(["_DurationNum", "_DurationDen"])
    with pytest.raises(vs.Error, match=r"source frame 0 has no _DurationNum"):
        vsrrin.interpolate(clip, fps=60)


def test_fps_below_the_average_of_a_variable_rate_is_refused() -> None:
    clip = with_durations(blank(), [Fraction(1, 30), Fraction(1, 60)] * 2)
    with pytest.raises(vs.Error, match=r"fps must be at least the clip's average rate of 40\.000, not 30"):
        vsrrin.interpolate(clip, fps=30)


@pytest.mark.parametrize("name", ["cut.safetensors", "cut.pth", "cut.tar"])
def test_truncated_checkpoints_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith(".safetensors"):
        path.write_bytes((Path(vsrrin.__file__).parent / "weights" / "rrin_lite.safetensors").read_bytes()[:-1000])
    else:
        torch.save({"model": {"x": torch.zeros(1000)}}, path)
        path.write_bytes(path.read_bytes()[:-700])
    with pytest.raises(vs.Error, match=rf"^vsrrin\.interpolate: .*{re.escape(name)}"):
        vsrrin.interpolate(blank(), model=path)


def test_a_checkpoint_of_an_unknown_network_is_refused(tmp_path: Path) -> None:
    torch.save({"conv.weight": torch.zeros(3, 3)}, tmp_path / "other.pth")
    with pytest.raises(vs.Error, match=r"^vsrrin\.interpolate: .*other\.pth"):
        vsrrin.interpolate(blank(), model=tmp_path / "other.pth")


def test_a_checkpoint_with_a_missing_layer_is_refused(tmp_path: Path) -> None:
    spec = next(spec for spec in NETS if spec.name == "rrin_lite")
    state = spec.default().state_dict()
    del state["refine.body.1.conv.weight"]
    torch.save(state, tmp_path / "holed.pth")
    with pytest.raises(vs.Error, match=r"refine\.body\.1\.conv\.weight"):
        vsrrin.interpolate(blank(), model=tmp_path / "holed.pth")


def test_a_directory_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(vs.Error, match=r"^vsrrin\.interpolate: "):
        vsrrin.interpolate(blank(), model=tmp_path)


def test_an_error_in_the_source_reaches_the_user() -> None:
    def fail(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        if n == 20:
            raise ValueError("the disk is on fire")
        return f

    clip = blank(length=30)
    output = vsrrin.interpolate(clip.std.ModifyFrame(clip, fail))
    assert output.get_frame(3).width == 256
    with pytest.raises(vs.Error, match="the disk is on fire"):
        output.get_frame(39)
