"""Times: how they begin, vary, repeat and break off."""

from pathlib import Path

from tests.convert.inputs.table import Step, row

VFR = "-vf settb=1/1000,setpts=N*N*10+N*20 -fps_mode passthrough -enc_time_base 1/1000"


def shortened(name: str, keep: float, new: str) -> Step:
    """A step that keeps the first part of a file."""

    def step(folder: Path) -> Path:
        data = (folder / name).read_bytes()
        (folder / new).write_bytes(data[: int(len(data) * keep)])
        return folder / new

    return step


def renamed(name: str, new: str) -> Step:
    """A step that gives a file another name."""
    return lambda folder: (folder / name).rename(folder / new)


def tail(name: str, drop: float, new: str) -> Step:
    """A step that takes the first part of a file away, in packets of a transport stream."""

    def step(folder: Path) -> Path:
        data = (folder / name).read_bytes()
        (folder / new).write_bytes(data[int(len(data) / 188 * drop) * 188 :])
        return folder / new

    return step


ROWS = (
    row("vfr mkv", "{pic} " + VFR + " -c:v ffv1 in.mkv"),
    row("vfr mp4", "{pic} " + VFR + " {x264b} -video_track_timescale 90000 in.mp4"),
    row(
        "vfr mp4 to mp4",
        "{pic} " + VFR + " {x264b} -video_track_timescale 90000 in.mp4",
        to="out.mp4",
        settings={"crf": 0},
    ),
    row("gap of a second", "{pic} {tone} -vf setpts=PTS+gte(N\\\\,5)/TB -fps_mode passthrough {x264} -c:a aac in.mp4"),
    row(
        "gap in sound",
        "{pic} -f lavfi -i anoisesrc=c=pink:seed=1:r=48000:d=0.6,aselect=not(between(t\\\\,0.1\\\\,0.3)) "
        "{x264} -c:a pcm_s16le in.mkv",
    ),
    row("ntsc film", "{pic} -r 24000/1001 {x264} in.mkv"),
    row("ntsc mp4", "{pic} -r 30000/1001 {x264b} in.mp4"),
    row("ntsc to mp4", "{pic} -r 30000/1001 {x264b} in.mp4", to="out.mp4", settings={"crf": 0}),
    row("59.94", "{pic} -r 60000/1001 {x264} in.mkv"),
    row("1 fps", "-f lavfi -i testsrc2=s=64x48:r=1:d=4 {x264} in.mkv"),
    row("half a frame a second", "-f lavfi -i testsrc2=s=64x48:r=1/2:d=8 {x264} in.mp4"),
    row("240 fps", "{pic} -r 240 {x264} in.mp4"),
    row("1000 fps mkv", "{pic} -r 1000 -frames:v 12 {x264} in.mp4", refused="1000 frames"),
    row("2000 fps to mp4", "{pic} -r 2000 -frames:v 12 {x264} in.mp4", to="out.mp4", settings={"crf": 0}),
    row("time base 1/1", "-f lavfi -i testsrc2=s=64x48:r=1:d=4 -enc_time_base 1/1 -c:v mpeg4 in.nut"),
    row("huge time base", "{pic} {x264} -video_track_timescale 1000000000 in.mp4"),
    row("late picture", "-itsoffset 0.3 {pic} {tone} {x264} -c:a flac in.mkv"),
    row("late sound", "{pic} -itsoffset 0.2 {tone} {x264} -c:a aac in.mkv"),
    row("late sound mp4", "{pic} -itsoffset 0.2 {tone} {x264b} -c:a aac in.mp4"),
    row(
        "late sound mp4 to mp4",
        "{pic} -itsoffset 0.2 {tone} {x264b} -c:a aac in.mp4",
        to="out.mp4",
        settings={"crf": 0},
    ),
    row("late everything", "-itsoffset 5 {pic} -itsoffset 5 {tone} -copyts {x264} -c:a flac in.mkv"),
    row("an hour late", "{pic} {tone} {x264} -c:a flac -output_ts_offset 3600 in.mkv"),
    row(
        "negative start",
        "{pic} {tone} -vf setpts=PTS-0.1/TB -af asetpts=PTS-0.1/TB {x264b} -c:a mp2 "
        "-avoid_negative_ts disabled -copyts in.ts",
    ),
    row("pts wrap", "{pic} {tone} {x264b} -c:a mp2 -output_ts_offset 95442.2 -muxdelay 0 in.ts"),
    row("short sound", "{pic} -f lavfi -i anoisesrc=c=pink:seed=1:r=48000:d=0.1 {x264} -c:a flac in.mkv"),
    row("long sound", "{pic} -f lavfi -i anoisesrc=c=pink:seed=1:r=48000:d=2 {x264} -c:a flac in.mkv"),
    row(
        "long sound mp4",
        "{pic} -f lavfi -i anoisesrc=c=pink:seed=1:r=48000:d=2 {x264b} -c:a aac in.mp4",
        to="out.mp4",
        settings={"crf": 0},
    ),
    row(
        "edit list",
        "-f lavfi -i testsrc2=s=64x48:r=25:d=1,scroll=h=0.03 -f lavfi -i "
        "anoisesrc=c=pink:seed=1:r=48000:d=1 {x264b} -c:a aac a.mp4",
        "-ss 0.5 -i a.mp4 -c copy in.mp4",
    ),
    row(
        "edit list to mp4",
        "-f lavfi -i testsrc2=s=64x48:r=25:d=1,scroll=h=0.03 -f lavfi -i "
        "anoisesrc=c=pink:seed=1:r=48000:d=1 {x264b} -c:a aac a.mp4",
        "-ss 0.5 -i a.mp4 -c copy in.mp4",
        to="out.mp4",
        settings={"crf": 0},
    ),
    row(
        "cut without key frame mkv",
        "-f lavfi -i testsrc2=s=64x48:r=25:d=1,scroll=h=0.03 {tone} {x264b} -c:a flac a.mkv",
        "-ss 0.3 -i a.mkv -c copy in.mkv",
    ),
    row("fragmented mp4", "{pic} {tone} {x264b} -c:a aac -movflags frag_keyframe+empty_moov in.mp4"),
    row("fast start", "{pic} {tone} {x264b} -c:a aac -movflags faststart in.mp4"),
    row("no edit list", "{pic} {tone} {x264b} -c:a aac -use_editlist 0 in.mp4"),
    row("negative cts offsets", "{pic} {tone} {x264b} -c:a aac -movflags negative_cts_offsets in.mp4"),
    row("open gop mpeg2", "{pic} -c:v mpeg2video -bf 2 -g 4 in.mpg"),
    row(
        "open gop hevc",
        "{pic} -c:v libx265 -preset ultrafast -x265-params log-level=none:pools=1:bframes=2:keyint=4:"
        "min-keyint=4:open-gop=1 in.mkv",
    ),
    row("sparse key frames avi", "{pic} -c:v mpeg4 -bf 0 -g 300 in.avi"),
    row(
        "equal times",
        "{pic} -vf setpts=floor(N/2)*2*0.04/TB -fps_mode passthrough -c:v ffv1 in.mkv",
        times=(*(n / 25 for n in range(9)), 0.34),
    ),
    row("mkv live", "{pic} {tone} {x264} -c:a flac -live 1 in.mkv"),
    row("wrong extension", "{pic} {tone} {x264} -c:a flac in.mkv", renamed("in.mkv", "in.avi")),
    row("no extension", "{pic} {tone} {x264} -c:a aac in.mp4", renamed("in.mp4", "in")),
    row("truncated mp4", "{pic} {x264} in.mp4", shortened("in.mp4", 0.7, "cut.mp4"), refused="cannot be read"),
    row("truncated mkv", "{pic} {x264} in.mkv", shortened("in.mkv", 0.7, "cut.mkv"), refused="bytes are missing"),
    row("truncated ts", "{pic} {x264} in.ts", shortened("in.ts", 0.7, "cut.ts")),
    row("truncated avi", "{pic} -c:v mjpeg in.avi", shortened("in.avi", 0.7, "cut.avi"), refused="are missing"),
    row("truncated flv", "{pic} -c:v flv in.flv", shortened("in.flv", 0.7, "cut.flv"), refused="are missing"),
    row("ts from the middle", "{pic} {tone} {x264} -g 3 -c:a mp2 in.ts", tail("in.ts", 0.4, "cut.ts")),
    row("empty file", "{pic} {x264} in.mkv", shortened("in.mkv", 0, "empty.mkv"), refused="cannot be read"),
    row("sound only", "{tone} -c:a flac in.mkv", refused="has no video"),
    row(
        "cover only",
        "-f lavfi -i color=s=16x16:d=0.04 {tone} -map 0 -map 1 -c:v mjpeg -disposition:v attached_pic -c:a alac in.m4a",
        refused="has no video",
    ),
    row("a picture", "{pic} -frames:v 1 in.png"),
)
