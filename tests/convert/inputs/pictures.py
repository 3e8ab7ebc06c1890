"""Sizes, pixel formats, colours, and how pictures are to be shown."""

from tests.convert.inputs.table import row

DEFAULT = {"v0 for": "default"}  # of which MP4 has no other for the first video

# What only the pictures of the input tell.
HDR10 = {
    "v0 Content light level metadata": '{"max_average": 400, "max_content": 1000}',
    "v0 Mastering display metadata": '{"blue_x": "3/20", "blue_y": "3/50", "green_x": "53/200", "green_y": "69/100", '
    '"max_luminance": "1000/1", "min_luminance": "1/10000", "red_x": "17/25", "red_y": "8/25", '
    '"white_point_x": "3127/10000", "white_point_y": "329/1000"}',
}

OPAQUE = ("the alpha of the source is left out, as all of its frames are opaque",)
MODE = {"v0 tag alpha_mode": None}  # true of what is beside a video, which old versions of FFmpeg say of all alpha

ROWS = (
    row("one frame only", "{pic} -frames:v 1 {x264} in.mp4"),
    row("two frames", "{pic} -frames:v 2 -c:v ffv1 in.mkv"),
    row(
        "2x2 to h264",
        "{pic} -vf scale=2:2,setsar=1 -c:v ffv1 in.mkv",
        to="out.mp4",
        settings={"crf": 0},
        changed=DEFAULT,
    ),
    row("2x2", "{pic} -vf scale=2:2,setsar=1 -c:v ffv1 in.mkv"),
    row("16x2", "{pic} -vf scale=16:2,setsar=1 -c:v ffv1 in.mkv"),
    row("2x64", "{pic} -vf scale=2:64,setsar=1 -c:v ffv1 in.mkv"),
    row("1x1 4:4:4", "{pic} -vf scale=1:1 -pix_fmt yuv444p -c:v ffv1 in.mkv"),
    row("63x47 4:4:4", "{pic} -vf scale=63:47 -pix_fmt yuv444p -c:v ffv1 in.mkv"),
    row("63x47 rgb", "{pic} -vf scale=63:47 -pix_fmt gbrp -c:v ffv1 in.mkv"),
    row("63x47 gray", "{pic} -vf scale=63:47 -pix_fmt gray -c:v ffv1 in.mkv"),
    row(
        "4:2:0 63x47",
        "{pic} -vf scale=63:47 -pix_fmt yuv420p -c:v ffv1 in.mkv",
        reader=("-vf", "crop=62:46:0:0"),
        changed={"v0 size": (62, 46)},
        says=("its last odd column or row is not decoded",),
    ),
    row("1000x2", "{pic} -vf scale=1000:2,setsar=1 -c:v ffv1 in.mkv"),
    row("10 bit 4:2:0", "{pic} -pix_fmt yuv420p10le -c:v ffv1 in.mkv"),
    row("10 bit 4:2:2", "{pic} -pix_fmt yuv422p10le -c:v ffv1 in.mkv"),
    row("12 bit 4:4:4", "{pic} -pix_fmt yuv444p12le -c:v ffv1 in.mkv"),
    row("16 bit 4:4:4", "{pic} -pix_fmt yuv444p16le -c:v ffv1 in.mkv"),
    row("9 bit 4:2:0", "{pic} -pix_fmt yuv420p9le -c:v ffv1 in.mkv"),
    row("4:1:1", "{pic} -pix_fmt yuv411p -c:v ffv1 in.mkv"),
    row("4:1:0", "{pic} -pix_fmt yuv410p -c:v ffv1 in.mkv"),
    row("4:4:0", "{pic} -pix_fmt yuv440p -c:v ffv1 in.mkv"),
    row("gray 8 bit", "{pic} -pix_fmt gray -c:v ffv1 in.mkv"),
    row("gray 10 bit", "{pic} -pix_fmt gray10le -c:v ffv1 in.mkv"),
    row("gray 16 bit", "{pic} -pix_fmt gray16le -c:v ffv1 in.mkv"),
    row("rgb 10 bit", "{pic} -pix_fmt gbrp10le -c:v ffv1 in.mkv"),
    row("rgb 16 bit", "{pic} -pix_fmt rgb48le -c:v png in.mov"),
    row("black and white", "{pic} -pix_fmt monob -c:v png in.mov", refused="less than 8 bit or palette"),
    row(
        "palette",
        "{pic} -vf split[a][b];[a]palettegen[p];[b][p]paletteuse -c:v png in.mov",
        samples="rgb24",
        says=OPAQUE,
    ),
    row(
        "yuv with alpha",
        "{pic} -pix_fmt yuva420p -c:v ffv1 in.mkv",
        changed={"v0 samples": "yuv420p", "v0 tag alpha_mode": None},
        says=OPAQUE,
    ),
    row(
        "rgb with alpha",
        "{pic} -pix_fmt rgba -c:v png in.mov",
        changed={"v0 samples": "gbrp"},
        says=OPAQUE,
    ),
    row("transparent yuv", "{glass} -pix_fmt yuva420p -c:v ffv1 in.mkv", changed=MODE),
    row("transparent yuv 10 bit 4:2:2", "{glass} -pix_fmt yuva422p10le -c:v ffv1 in.mkv"),
    row("transparent rgb", "{glass} -pix_fmt rgba -c:v png in.mov"),
    row("transparent rgb 16 bit", "{glass} -pix_fmt rgba64be -c:v png in.mov"),
    row("transparent rgb 12 bit", "{glass} -pix_fmt gbrap12le -c:v ffv1 in.mkv"),
    row("transparent grey", "{glass} -pix_fmt ya8 -c:v ffv1 in.mkv"),
    row("transparent 63x47", "{glass} -vf scale=63:47 -pix_fmt yuva444p -c:v ffv1 in.mkv"),
    row("quicktime animation", "{glass} -pix_fmt argb -c:v qtrle in.mov"),
    row(
        "quicktime animation to itself",
        "{glass} -pix_fmt argb -c:v qtrle in.mov",
        to="out.mov",
        settings={"codec": "animation"},
    ),
    row("ut video with alpha", "{glass} -pix_fmt gbrap -c:v utvideo in.avi", samples="rgb24"),
    row(
        "transparent vp9",
        "{glass} -pix_fmt yuva420p -c:v libvpx-vp9 -deadline realtime in.webm",
        changed={"v0 samples": "yuva420p", **MODE},
        samples="yuv420p",  # what FFmpeg decodes unless it is told to
    ),
    row("h264 rgb", "{pic} -c:v libx264rgb -preset ultrafast -pix_fmt rgb24 in.mkv"),
    row("h264 4:4:4", "{pic} {x264} -pix_fmt yuv444p in.mkv"),
    row("full range", "{pic} -vf scale=out_range=full,format=yuv420p -color_range pc {x264} in.mp4"),
    row("full range ffv1", "{pic} -pix_fmt yuvj444p -color_range pc -c:v ffv1 in.mkv"),
    row("bt709", "{pic} -colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv {x264} in.mp4"),
    row("bt601 ntsc", "{pic} -colorspace smpte170m -color_primaries smpte170m -color_trc smpte170m {x264} in.mkv"),
    row(
        "bt2020 pq",
        "{pic} -colorspace bt2020nc -color_primaries bt2020 -color_trc smpte2084 -pix_fmt yuv420p10le -c:v ffv1 in.mkv",
    ),
    row(
        "hlg hevc",
        "{pic} -pix_fmt yuv420p10le -c:v libx265 -preset ultrafast -x265-params log-level=none:pools=1:"
        "colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc in.mp4",
    ),
    row(
        "hdr10 hevc mkv",
        "{pic} -pix_fmt yuv420p10le -c:v libx265 -preset ultrafast -x265-params log-level=none:pools=1:"
        "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:max-cll=1000,400:"
        "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1) in.mkv",
        changed=HDR10,
    ),
    row("ycgco", "{pic} -pix_fmt yuv444p -colorspace ycgco {x264} in.mkv"),
    row("chroma left top", "{pic} -chroma_sample_location topleft {x264} in.mkv"),
    row("anamorphic to mp4", "{pic} -vf setsar=64/45 {x264} in.mp4", to="out.mp4", settings={"crf": 0}),
    row(
        "anamorphic mpeg2",
        "{pic} -aspect 16:9 -c:v mpeg2video in.mpg",
        to="out.mov",
        settings={"crf": 0},
        changed=DEFAULT,
    ),
    row(
        "anamorphic avi",
        "{pic} -vf scale=66:48,setsar=10/11 -c:v mpeg4 in.avi",
        settings={"codec": "libx264", "crf": 0},
    ),
    row("anamorphic mp4 to ffv1", "{pic} -vf setsar=3/2 {x264} in.mp4"),
    row("anamorphic mkv to ffv1", "{pic} -vf setsar=3/2 -c:v ffv1 in.mkv"),
    row("rotated 90", "{pic} {x264} a.mp4", "-i a.mp4 -c copy -metadata:s:v rotate=90 in.mp4"),
    row("rotated 270", "{pic} {x264} a.mp4", "-i a.mp4 -c copy -metadata:s:v rotate=270 in.mp4"),
    row(
        "rotated 90 to mp4",
        "{pic} {x264} a.mp4",
        "-i a.mp4 -c copy -metadata:s:v rotate=90 in.mp4",
        to="out.mp4",
        settings={"crf": 0},
    ),
    row(
        "rotated 180 mov",
        "{pic} {x264} a.mp4",
        "-i a.mp4 -c copy -metadata:s:v rotate=180 in.mov",
        to="out.mov",
        settings={"crf": 0},
    ),
    row(
        "stereo 3d",
        "{pic} {x264} -metadata:s:v stereo_mode=left_right in.mkv",
    ),
    row("interlaced mpeg2", "{pic} -c:v mpeg2video -flags +ildct+ilme in.mpg", refused="interlaced"),
    row("interlaced h264", "{pic} {x264} -x264-params tff=1 in.mkv", refused="deinterlace"),
    row("interlaced prores", "{pic} -vf setfield=tff -c:v prores_ks -flags +ildct in.mov", refused="interlaced"),
    row("interlaced as progressive", "{pic} {x264} -x264-params tff=1 in.mkv", settings={"progressive": True}),
    row(
        "dv as progressive",
        "-f lavfi -i testsrc2=s=720x576:r=25:d=0.08 {tone} -ac 2 -shortest -target pal-dv in.dv",
        settings={"progressive": True, "codec": "libx264", "crf": 0},
        changed={"tag timecode": None},
    ),
    row(
        "alpha of vp9",
        "{pic} -pix_fmt yuva420p -c:v libvpx-vp9 -deadline realtime in.webm",
        changed={"v0 tag alpha_mode": None},
        says=OPAQUE,
    ),
    row(
        "prores 4444 with alpha",
        "{pic} -pix_fmt yuva444p10le -c:v prores_ks in.mov",
        changed={"v0 samples": "yuv444p12le"},
        says=OPAQUE,
    ),
)
