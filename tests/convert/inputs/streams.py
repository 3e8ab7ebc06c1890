"""Sound, subtitles, chapters, attachments, tags: everything beside the film."""

from hashlib import md5
from pathlib import Path
from typing import Any

from PIL import Image

from tests.convert.inputs.table import row

SRT = "1\n00:00:00,040 --> 00:00:00,120\nGrüße <i>aus</i> 東京 🎬\n\n2\n00:00:00,200 --> 00:00:00,320\ntwo\nlines\n\n"
CHAPTERS = (
    ";FFMETADATA1\ntitle=Ein Titel; mit \\= und 東京\nartist=Ä B\n"
    "[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=160\ntitle=Erstes\n"
    "[CHAPTER]\nTIMEBASE=1/1000\nSTART=160\nEND=400\ntitle=第二 & last\n"
)
SOUNDS = "{pic} {tone} {x264}"


def files(folder: Path) -> None:
    """Subtitles, chapters, and things to attach."""
    (folder / "a.srt").write_text(SRT)
    (folder / "chapters.txt").write_text(CHAPTERS)
    Image.new("RGB", (16, 16), "red").save(folder / "cover.png")
    (folder / "font.ttf").write_bytes(bytes(range(256)) * 4)


TEXTS = ("Grüße <i>aus</i> 東京 🎬", "two\nlines")


def stored(*texts: str) -> list[tuple[int, str]]:
    """The texts as the inventory has them, at the times of the file."""
    return [(at, f"MD5:{md5(text.encode()).hexdigest()}") for at, text in zip((40, 200), texts, strict=True)]


def anew(codec: str, **others: object) -> dict[str, Any]:
    """What a row says of a track of sound that is encoded anew."""
    lossless = codec in ("flac", "pcm_s16le")
    changed = {"a0 codec": codec, **others}
    return {
        "changed": changed,
        "says": (f"becomes {'FLAC' if lossless else 'Opus'}",),
        "anew": () if lossless else (0,),
    }


ONE_FILM = {"says": ("is left out: only the first video is converted",)}
# A tag in Matroska, where it counts frames of the new rate.
TIMECODE = {
    **dict.fromkeys(("d0 codec", "d0 for", "d0 tag language", "d0 tag timecode")),
    "streams": "v",
    "v0 tag timecode": "01:02:03:08",
}
COVER = {"v1 tag filename": "cover.png", "v1 tag mimetype": "image/png"}

ROWS = (
    row("truehd 5.1", SOUNDS + " -ac 6 -c:a truehd -strict -2 in.mkv"),
    row("dts 5.1", SOUNDS + " -ac 6 -c:a dca -strict -2 in.mkv"),
    row("eac3 5.1", SOUNDS + " -ac 6 -c:a eac3 in.mkv"),
    row("flac 7.1", SOUNDS + " -ac 8 -c:a flac in.mkv"),
    row("opus 7.1", SOUNDS + " -ac 8 -c:a libopus -mapping_family 1 in.mkv"),
    row("aac 7.1", SOUNDS + " -ac 8 -c:a aac in.mkv"),
    row("alac", SOUNDS + " -c:a alac in.mov"),
    row("pcm f32", SOUNDS + " -c:a pcm_f32le in.mkv"),
    row("pcm u8", "{pic} {tone} -c:v mjpeg -c:a pcm_u8 in.avi"),
    row("pcm s24be mov", SOUNDS + " -c:a pcm_s24be in.mov"),
    row("pcm s32 mov to mov", SOUNDS + " -c:a pcm_s32le in.mov", to="out.mov", settings={"crf": 0}),
    row("pcm bluray", SOUNDS + " -c:a pcm_bluray -ar 48000 -ac 2 in.m2ts", **anew("flac")),
    row("pcm dvd", "{pic} {tone} -c:v mpeg2video -c:a pcm_dvd -ar 48000 -ac 2 in.vob", **anew("flac")),
    row("alaw mov", SOUNDS + " -c:a pcm_alaw -ar 8000 in.mov", **anew("flac")),
    row("adpcm ms", "{pic} {tone} -c:v mjpeg -c:a adpcm_ms in.avi", **anew("opus")),
    row("adpcm ima", "{pic} {tone} -c:v mjpeg -c:a adpcm_ima_wav in.avi", **anew("opus")),
    row(
        "adpcm swf flv",
        "{pic} {tone2} -c:v flv -c:a adpcm_swf -ar 22050 in.flv",
        **anew("opus", **{"a0 rate": "48000"}),
    ),
    row("speex", "{pic} {tone} -c:v libtheora -c:a libspeex -ar 16000 in.ogv", **anew("opus", **{"a0 rate": "48000"})),
    row("wavpack", SOUNDS + " -c:a wavpack in.mkv"),
    row("mp2 in mov", SOUNDS + " -c:a mp2 in.mov"),
    row("8 kHz mono mp3", SOUNDS + " -c:a libmp3lame -ar 8000 in.mkv"),
    row("96 kHz flac", SOUNDS + " -c:a flac -ar 96000 in.mkv"),
    row(
        "two tracks",
        "{pic} {tone} {tone2} -map 0 -map 1 -map 2 {x264} -c:a:0 aac -c:a:1 flac -metadata:s:a:0 "
        "language=deu -metadata:s:a:1 language=jpn -metadata:s:a:1 title=Kommentar -disposition:a:0 0 "
        "-disposition:a:1 default+comment in.mkv",
    ),
    row("sound before the film", "{tone} {pic} -map 0 -map 1 {x264} -c:a flac in.mkv"),
    row("srt", files, "{pic} -i a.srt {x264} -c:s srt -metadata:s:s:0 language=ger in.mkv"),
    row("srt forced", files, "{pic} -i a.srt {x264} -c:s srt -disposition:s:0 forced+hearing_impaired in.mkv"),
    row("ass", files, "{pic} -i a.srt {x264} -c:s ass in.mkv"),
    row("webvtt", files, "{pic} -i a.srt -c:v libvpx-vp9 -deadline realtime -c:s webvtt in.webm"),
    row(
        "mov_text to mp4",
        files,
        "{pic} -i a.srt {x264} -c:s mov_text -metadata:s:s:0 language=fra in.mp4",
        to="out.mp4",
        settings={"crf": 0},
    ),
    row(
        "mov_text",
        files,
        "{pic} -i a.srt {x264} -c:s mov_text in.mp4",
        says=("becomes SubRip",),
        changed={"s0 codec": "subrip", "s0 texts": stored(*TEXTS)},
    ),
    row("chapters and title", files, "{pic} -i chapters.txt -map_metadata 1 -map_chapters 1 {x264} in.mkv"),
    row(
        "chapters mp4 to mp4",
        files,
        "{pic} -i chapters.txt -map_metadata 1 -map_chapters 1 {x264} in.mp4",
        to="out.mp4",
        settings={"crf": 0},
    ),
    row(
        "attachment", files, "{pic} {x264} -attach font.ttf -metadata:s:t:0 mimetype=application/x-truetype-font in.mkv"
    ),
    row("cover mkv", files, "{pic} {x264} -attach cover.png -metadata:s:t:0 mimetype=image/png in.mkv"),
    row(
        "cover mp4",
        files,
        "{pic} {tone} -i cover.png -map 0 -map 1 -map 2 {x264} -c:v:1 copy -c:a aac "
        "-disposition:v:1 attached_pic in.mp4",
        changed=COVER,
    ),
    row(
        "cover first",
        files,
        "-i cover.png {pic} -map 0 -map 1 -c:v:0 copy -disposition:v:0 attached_pic "
        "-c:v:1 libx264 -preset ultrafast in.mp4",
        changed=COVER,
    ),
    row(
        "two videos",
        "{pic} {pic2} -map 0 -map 1 {x264} in.mkv",
        **ONE_FILM,
        changed={"v1 codec": None, "v1 for": None, "v1 packets": None, "streams": "v"},
    ),
    row(
        "two programs",
        "{pic} {pic2} {tone} -map 0 -map 1 -map 2 {x264} -c:a mp2 -program title=eins:st=0:st=2 "
        "-program title=zwei:st=1 in.ts",
        says=("belongs to another programme",),
        changed={"v1 codec": None, "v1 for": None, "v1 packets": None, "streams": "va"},
    ),
    row(
        "timecode track",
        "{pic} {x264} -timecode 01:02:03:04 in.mov",
        changed=TIMECODE,
    ),
    row("timecode mp4", "{pic} {x264} -timecode 01:02:03:04 in.mp4", changed=TIMECODE),
    row(
        "odd tags",
        "{pic} {x264} -metadata 'title=a=b;c\\d\"e' -metadata 'comment=zwei\nZeilen' -metadata my_own=東京 in.mkv",
    ),
    row(
        "odd tags mov",
        "{pic} {x264} -movflags use_metadata_tags -metadata com.apple.quicktime.make=Äpple -metadata "
        "com.apple.quicktime.location.ISO6709=+48.1+011.5/ in.mov",
    ),
    row(
        "timecode mov to mov",
        "{pic} {x264} -timecode 01:02:03:04 in.mov",
        to="out.mov",
        settings={"crf": 0},
        changed=dict.fromkeys(("v0 tag timecode", "d0 tag timecode"), "01:02:03:08"),
    ),
    row(
        "creation time",
        "{pic} {x264} -metadata creation_time=2020-02-29T12:34:56.000000Z in.mp4",
        to="out.mp4",
        settings={"crf": 0},
    ),
    row("name of the film", "{pic} {x264} -metadata:s:v:0 title=Kamera -metadata:s:v:0 language=fin in.mkv"),
    row("film not default", "{pic} {tone} {x264} -c:a flac -disposition:v:0 0 -disposition:a:0 0 in.mkv"),
    row(
        "original, dub",
        "{pic} {tone} {x264} -c:a flac -disposition:v:0 original -disposition:a:0 dub+visual_impaired in.mkv",
    ),
)
