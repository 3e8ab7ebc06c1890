"""What a media file holds, by ffprobe and ffmpeg alone: nothing here knows how the converter reads files."""

import json
import subprocess
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# What a muxer writes of itself, and names that it gives to tracks without one.
OF_THE_MUXER = {
    "encoder", "duration", "major_brand", "minor_version", "compatible_brands", "vendor_id", "bps", "number_of_frames",
    "number_of_bytes", "wm/encodingsettings", "deviceconformancetemplate", "wmfsdkneeded", "wmfsdkversion", "isvbr",
}  # fmt: skip
HANDLERS = {"videohandler", "soundhandler", "subtitlehandler", "datahandler", "timecodehandler", ""}
IMPLIED = (None, "unknown", "unspecified", "tv", "left")
COLOURS = ("color_range", "color_space", "color_transfer", "color_primaries", "chroma_location")
LETTERS = {"video": "v", "audio": "a", "subtitle": "s", "attachment": "t", "data": "d"}
# Samples have several names, by the order in which they lie and by their range.
SAMPLES = {
    "nv12": "yuv420p", "nv16": "yuv422p", "uyvy422": "yuv422p", "yuyv422": "yuv422p", "yuvj420p": "yuv420p",
    "yuvj422p": "yuv422p", "yuvj444p": "yuv444p", "yuvj411p": "yuv411p", "yuvj440p": "yuv440p",
    "pal8": "gbrp", "rgb24": "gbrp", "bgr24": "gbrp", "rgb0": "gbrp", "bgr0": "gbrp", "0rgb": "gbrp", "0bgr": "gbrp",
    "rgb48le": "gbrp16le", "rgb48be": "gbrp16le", "rgba": "gbrap", "bgra": "gbrap", "argb": "gbrap", "abgr": "gbrap",
    "rgba64le": "gbrap16le", "rgba64be": "gbrap16le",
}  # fmt: skip

Inventory = dict[str, Any]
Moments = list[Fraction]


def output_of(*command: str | Path) -> str:
    """What a program writes to stdout; it must succeed."""
    done = subprocess.run([str(word) for word in command], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout.decode(errors="replace")


@cache
def probed(path: Path) -> dict[str, Any]:
    """Streams, chapters, tags and packets by ffprobe."""
    what = (
        "-show_streams",
        "-show_format",
        "-show_chapters",
        "-show_programs",
        "-show_packets",
        "-show_data_hash",
        "md5",
    )
    found: dict[str, Any] = json.loads(output_of("ffprobe", "-v", "quiet", "-of", "json", *what, path))
    return found


def moment(text: str | None) -> Fraction | None:
    """A time in seconds, or none."""
    return None if text is None or text == "N/A" else Fraction(text)


def tags(of: dict[str, Any]) -> Inventory:
    """Tags by small names, without those that a muxer writes of itself."""
    found = {key.lower(): value for key, value in of.get("tags", {}).items()}
    if found.get("handler_name", "").lower() in HANDLERS:
        found.pop("handler_name", None)
    if found.get("language") == "und":
        del found["language"]
    return {key: value for key, value in found.items() if key not in OF_THE_MUXER}


def main_video(streams: list[dict[str, Any]]) -> int | None:
    """Number of the stream that is the film: the first video that is no cover."""
    for stream in streams:
        if stream.get("codec_type") == "video" and not stream["disposition"]["attached_pic"]:
            return int(stream["index"])
    return None


def of_stream(stream: dict[str, Any], packets: list[dict[str, Any]], first: Fraction, film: bool) -> Inventory:
    """What a viewer, listener or program may want to know of a stream."""
    found: Inventory = {f"tag {key}": value for key, value in tags(stream).items()}
    on = {key for key, value in stream["disposition"].items() if value}
    found["for"] = " ".join(sorted(on))
    for piece in stream.get("side_data_list", ()):
        kind = piece["side_data_type"]
        if kind not in ("CPB properties", "Palette", "QuickTime stream ID") and "DOVI" not in kind:
            kept = {key: value for key, value in piece.items() if key != "side_data_type"}
            found[kind] = kept.get("rotation", json.dumps(kept, sort_keys=True))
    if film:
        found["size"] = (stream["width"], stream["height"])
        sar = stream.get("sample_aspect_ratio", "1:1")
        found["sar"] = "1:1" if sar in ("N/A", "0:1") else sar
        found["samples"] = SAMPLES.get(stream["pix_fmt"], stream["pix_fmt"])
        known = {key: stream.get(key) for key in COLOURS[2 * found["samples"].startswith("gb") :]}
        found |= {key: value for key, value in known.items() if value not in IMPLIED}
        return found
    found["codec"] = stream.get("codec_name", stream.get("codec_tag_string"))
    kind = stream.get("codec_type")
    if kind == "audio":
        usual = {1: "mono", 2: "stereo"}.get(stream["channels"], "")
        found["channels"] = (stream["channels"], stream.get("channel_layout", usual))
        found["rate"] = stream["sample_rate"]
    if kind == "subtitle":
        found["texts"] = [(milliseconds(moment(each.get("pts_time")), first), each["data_hash"]) for each in packets]
    if kind == "attachment" or "attached_pic" in on:
        found["bytes"] = stream.get("extradata_hash") if kind == "attachment" else packets[0]["data_hash"]
    elif kind == "video":
        found["packets"] = [each["data_hash"] for each in packets]
    return found


def milliseconds(time: Fraction | None, first: Fraction) -> int | None:
    """A time counted from the first frame, which containers round to different grids."""
    return None if time is None else round((time - first) * 1000)


def inventory(path: Path, first: Fraction) -> Inventory:
    """All that a file holds beside frames and sound, times counted from the first frame."""
    whole = probed(path)
    film = main_video(whole["streams"])
    found: Inventory = {f"tag {key}": value for key, value in tags(whole["format"]).items()}
    streams = sorted(whole["streams"], key=lambda stream: bool(stream["index"] != film))  # the film may come first
    for programme in whole["programs"][:1]:  # that of the film; its tags are those of a file without programmes
        found |= {f"tag {key}": value for key, value in tags(programme).items()}
    counts = dict.fromkeys(LETTERS.values(), 0)
    order = []
    for stream in streams:
        letter = LETTERS.get(stream.get("codec_type"), "d")
        packets = [each for each in whole["packets"] if each["stream_index"] == stream["index"]]
        own = of_stream(stream, packets, first, stream["index"] == film)
        found |= {f"{letter}{counts[letter]} {key}": value for key, value in own.items()}
        counts[letter] += 1
        order.append(letter)
    found["streams"] = "".join(order)
    for number, chapter in enumerate(whole["chapters"]):
        ends = [milliseconds(moment(chapter[key]), first) for key in ("start_time", "end_time")]
        found[f"chapter {number}"] = (*ends, chapter.get("tags", {}).get("title"))
    return found


def film_of(path: Path) -> tuple[int, str]:
    """Number of the film's stream, and its pixel format."""
    streams = probed(path)["streams"]
    film = main_video(streams)
    assert film is not None
    return film, next(stream["pix_fmt"] for stream in streams if stream["index"] == film)


def frames(path: Path, samples: str, *options: str) -> list[tuple[Fraction | None, str]]:
    """Time and hash of each frame of the film, as samples of a format; with options of ffmpeg."""
    stream, pix_fmt = film_of(path)
    same = pix_fmt.replace("yuvj", "yuv") == samples  # FFmpeg's command would change the range
    converted = () if same else ("-pix_fmt", samples)
    said = output_of(
        *("ffmpeg", "-v", "quiet", "-copyts", "-noautorotate", "-i", path, "-map", f"0:{stream}", *options),
        *("-sws_flags", "accurate_rnd+full_chroma_int", "-fps_mode", "passthrough", "-enc_time_base", "-1"),
        *(*converted, "-f", "framemd5", "-"),
    )
    lines = [[part.strip() for part in line.split(",")] for line in said.splitlines()]
    base = next(Fraction(line[0].removeprefix("#tb 0: ")) for line in lines if line[0].startswith("#tb 0:"))
    return [(int(fields[2]) * base, fields[5]) for fields in lines if not fields[0].startswith("#")]


def start(path: Path) -> Fraction:
    """The first time in a file."""
    return moment(probed(path)["format"].get("start_time")) or Fraction(0)


def sound(path: Path, number: int, *options: str) -> tuple[Fraction, "NDArray[np.float32]", int]:
    """Time of the first sample of a sound track, all samples (samples, channels), and their rate."""
    tracks = [stream for stream in probed(path)["streams"] if stream["codec_type"] == "audio"]
    track = ("-map", f"0:a:{number}", *options, "-c:a", "pcm_f32le")
    read = ("ffmpeg", "-v", "quiet", "-copyts", "-i", str(path))
    command = (*read, *track, "-f", "f32le", "pipe:1", *track, "-f", "framecrc", "pipe:2")
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    said = done.stderr.decode().splitlines()
    base = next(Fraction(line.split(":")[1].strip()) for line in said if line.startswith("#tb 0:"))
    first = next(line for line in said if not line.startswith("#"))
    samples = np.frombuffer(done.stdout, np.float32).reshape(-1, tracks[number]["channels"])
    return int(first.split(",")[2]) * base, samples, base.denominator
