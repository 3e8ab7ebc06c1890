"""`vsrrin preview` on real clips: what is in the picture, what is said, what is refused."""

import math
import os
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import vapoursynth as vs
from numpy.typing import NDArray

import vsrrin
from tests import image_files
from tests.commands import vsrrin_command
from tests.conftest import BUNNY, texture
from vsrrin.checkpoint import loader
from vsrrin.convert.image_folder import convert_to_folder, open_images
from vsrrin.convert.moments import parse_position
from vsrrin.convert.prepare import Settings
from vsrrin.engine.options import Options
from vsrrin.nets import NetSpec, cain, rrin, rrin_lite, rrin_lite_quick
from vsrrin.preview import display, picture
from vsrrin.preview import sheet as strip
from vsrrin.preview.findings import facts
from vsrrin.preview.motion_maps import maps_of
from vsrrin.preview.pair import Pair, Wanted, pairs

ROOT = Path(__file__).resolve().parents[2]
Picture = NDArray[np.uint8]
SIDECAR = {"training_data": "d", "metrics": "m", "licence": "ours", "source": "s", "created_with": "c"}


def succeed(folder: Path, *arguments: str | Path) -> dict[str, str]:
    """What a run that must succeed says, by subject; the first line by "file"."""
    status, out, err = vsrrin_command(["preview", *arguments], folder)
    assert (status, err) == (0, "")
    return subjects(out)


def subjects(out: str) -> dict[str, str]:
    """What a run printed, as `succeed` returns it."""
    first, *others = out.splitlines()
    return {"file": first, **{line[:9].strip(): line[9:] for line in others}}


def fail(folder: Path, *arguments: str | Path, status: int = 1) -> str:
    """What a run that must fail says; nothing is left behind."""
    before = sorted(folder.iterdir())
    code, out, err = vsrrin_command(["preview", *arguments], folder)
    assert (code, out) == (status, ""), err
    assert sorted(folder.iterdir()) == before
    return err


def pair_of(wanted: Wanted) -> Pair:
    (made,) = pairs([wanted])
    return made


def encode(target: Path, *options: str) -> Path:
    """Frames of the bundled clip, made into something else with ffmpeg."""
    command = ["ffmpeg", "-v", "error", "-i", str(BUNNY), *options, str(target)]
    subprocess.run(command, check=True, timeout=60)
    return target


def read_png(path: Path) -> Picture:
    return np.asarray(cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), np.uint8)


def cell(sheet: Picture, row: int, column: int, clip: vs.VideoNode, factor: int = 1) -> Picture:
    """A picture of a sheet at its own size; that its pixels are whole squares is checked."""
    height, width = factor * clip.height, factor * clip.width
    y, x = strip.place(row, column, height, width)
    large = sheet[y : y + height, x : x + width]
    small = large[::factor, ::factor]
    assert np.array_equal(large, small.repeat(factor, axis=0).repeat(factor, axis=1))
    return small


def rgb(frame: vs.VideoFrame) -> Picture:
    """The samples of an RGB24 frame."""
    return np.stack([np.asarray(frame[plane]) for plane in range(3)], -1).astype(np.uint8)


@pytest.fixture(scope="module")
def lossless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten frames in RGB, so that cells can be compared sample by sample."""
    folder = tmp_path_factory.mktemp("clips")
    return encode(folder / "film.mkv", "-frames:v", "10", "-vf", "scale=320:180", "-pix_fmt", "gbrp", "-c:v", "ffv1")


def source(path: Path) -> vs.VideoNode:
    return vs.core.bs.VideoSource(str(path), cachemode=0)


# Pictures


def test_cells_are_the_source_frames_and_the_frames_of_the_filter(lossless: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "vsrrin", "preview", lossless, "--at", "0.2", "--factor", "3"]
    command += ["--precision", "fp32"]  # the filter of this process is told of the machine by --machine
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    said = subjects(done.stdout)
    assert [path.name for path in tmp_path.iterdir()] == ["film_0.2.png"]
    assert [path.name for path in lossless.parent.iterdir()] == ["film.mkv"]  # no index beside it
    sheet = read_png(tmp_path / "film_0.2.png")
    assert said["file"] == f"film_0.2.png: {sheet.shape[1]}x{sheet.shape[0]} pixels"
    clip = source(lossless)
    made = vsrrin.interpolate(clip, 3, precision="fp32")
    for k in range(4):
        assert np.array_equal(cell(sheet, 0, k, clip), rgb(made.get_frame(15 + k))), k
    assert np.array_equal(cell(sheet, 0, 0, clip), rgb(clip.get_frame(5)))
    assert np.array_equal(cell(sheet, 0, 3, clip), rgb(clip.get_frame(6)))
    assert said["frames"] == "5 and 6 of 10, at 0.200 s"
    assert said["source"] == "film.mkv, 320x180 RGB24"


def test_the_difference_is_that_of_the_source_frames(lossless: Path, tmp_path: Path) -> None:
    succeed(tmp_path, lossless, "--at", "5f", "--out", "a.png")
    clip = source(lossless)
    apart = np.abs(rgb(clip.get_frame(5)).astype(int) - rgb(clip.get_frame(6)))
    shown = cell(read_png(tmp_path / "a.png"), 1, 3, clip)
    assert any(np.array_equal(shown, np.minimum(gain * apart, 255)) for gain in range(1, 9))


def test_a_yuv_video_of_odd_size_looks_as_other_programs_show_it(tmp_path: Path) -> None:
    film = encode(tmp_path / "odd.mkv", "-frames:v", "3", "-vf", "scale=161:91", "-pix_fmt", "yuv444p", "-c:v", "ffv1")
    succeed(tmp_path, film, "--at", "0f", "--out", "a.png")
    encode(tmp_path / "true.png", "-frames:v", "1", "-vf", "scale=161:91,format=yuv444p,format=rgb24")
    shown = cell(read_png(tmp_path / "a.png"), 0, 0, source(film), 2)
    assert np.abs(shown.astype(int) - read_png(tmp_path / "true.png")).mean() < 1


def test_grey_and_ten_bit(tmp_path: Path) -> None:
    film = encode(tmp_path / "grey.mkv", "-frames:v", "3", "-vf", "scale=320:180", "-pix_fmt", "gray", "-c:v", "ffv1")
    succeed(tmp_path, film, "--at", "0", "--out", "grey.png")
    clip = source(film)
    frame = clip.get_frame(0)
    assert frame.props["_Range"] == 1  # full: ffmpeg writes grey so
    assert np.array_equal(cell(read_png(tmp_path / "grey.png"), 0, 0, clip)[..., 1], np.asarray(frame[0]))
    deep = encode(
        tmp_path / "deep.mkv", "-frames:v", "3", "-vf", "scale=320:180", "-pix_fmt", "gray10le", "-c:v", "ffv1"
    )
    succeed(tmp_path, deep, "--at", "0", "--out", "deep.png")
    two = [cell(read_png(tmp_path / f"{name}.png"), 0, 0, clip).astype(int) for name in ("grey", "deep")]
    assert np.abs(two[0] - two[1]).max() <= 2


def test_hdr_is_clipped_and_said(tmp_path: Path) -> None:
    tags = ["-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc"]
    film = encode(
        tmp_path / "hdr.mkv", "-frames:v", "2", "-vf", "scale=320:180", "-pix_fmt", "yuv420p10le", "-c:v", "ffv1", *tags
    )
    assert succeed(tmp_path, film, "--at", "0", "--out", "a.png")["note"].startswith("HDR (PQ): ")


@pytest.mark.parametrize(("nits", "level"), [(0, 0), (203, 255), (1000, 255), (203 / 4.595, 128)])
def test_brightness_of_pq(nits: float, level: int) -> None:
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875  # SMPTE ST 2084
    y = (nits / 10_000) ** m1
    code = ((c1 + c2 * y) / (1 + c3 * y)) ** m2
    clip = vs.core.std.BlankClip(None, 16, 16, vs.RGBS, color=[code] * 3, length=1)
    shown = display.shown(clip.std.SetFrameProps(_Transfer=16, _Primaries=9).get_frame(0))
    assert np.abs(shown.astype(int) - level).max() <= 1


def test_a_folder_of_images(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    encode(tmp_path / "in" / "shot%d.png", "-frames:v", "3", "-vf", "scale=320:180")
    said = succeed(tmp_path, "in", "--at", "1f", "--out", "a.png")
    assert said["frames"].startswith("1 and 2 of 3, ")
    one = read_png(tmp_path / "in" / "shot2.png")
    assert np.array_equal(cell(read_png(tmp_path / "a.png"), 0, 0, vs.core.std.BlankClip(None, 320, 180)), one)


def test_images_with_alpha_are_shown_as_a_conversion_interpolates_them(tmp_path: Path) -> None:
    folder = image_files.write_sequence(tmp_path / "in", 3, channels=4)
    made = pair_of(Wanted(folder, 1, model="draft"))
    assert ("note", "transparent parts are shown in black") in facts([made])
    sheet = picture.picture(made)
    blank = vs.core.std.BlankClip(None, image_files.WIDTH, image_files.HEIGHT)
    shown = [cell(sheet, 0, column, blank, 5).astype(int) for column in range(3)]
    for n, column in ((1, 0), (2, 2)):
        image = image_files.picture(n, channels=4).astype(float)
        assert np.abs(shown[column] - (image[..., :3] * image[..., 3:] / 255)[..., ::-1]).max() <= 1
    settings = Settings(folder, tmp_path / "out", model="draft")
    convert_to_folder(settings, open_images(folder, Fraction(24)))
    image = image_files.read(tmp_path / "out" / "000004.png").astype(float)
    assert np.abs(shown[1] - (image[..., :3] * image[..., 3:] / 255)[..., ::-1]).max() <= 2


# Places


@pytest.mark.parametrize(
    ("at", "left"),
    [("0", 0), ("0f", 0), ("0.04", 1), ("0.0799", 1), ("0:0.08", 2), ("0:00:00.359", 8), ("0.36", 8), ("9f", 8)],
)
def test_every_place_has_a_pair(lossless: Path, at: str, left: int) -> None:
    made = pair_of(Wanted(lossless, parse_position(at, "--at"), model="draft"))
    assert dict(facts([made]))["frames"].startswith(f"{left} and {left + 1} of 10, at {left * 0.04:.3f} s")


def test_time_of_a_variable_rate_is_not_frame_number_times_average(tmp_path: Path) -> None:
    select = "scale=160:90,setpts='if(lt(N,2),N*10,N+18)/25/TB'"
    film = encode(tmp_path / "uneven.mkv", "-frames:v", "6", "-vf", select, "-fps_mode", "passthrough", "-c:v", "ffv1")
    said = dict(facts([pair_of(Wanted(film, Fraction(1, 2)))]))
    assert said["frames"] == "1 and 2 of 6, at 0.400 s"


def test_a_cut_is_said_and_no_frame_is_new_there(tmp_path: Path) -> None:
    bars = "testsrc2=size=320x180:rate=25:duration=0.4[b];[0:v]trim=end_frame=10,scale=320:180,setsar=1[a];[a][b]concat"
    film = encode(tmp_path / "cut.mkv", "-filter_complex", bars, "-frames:v", "20", "-c:v", "ffv1")
    said = succeed(tmp_path, film, "--at", "9f", "--out", "a.png")
    assert said["cut"].startswith("YES between these frames, by vsrrin's detector (score 0.")
    sheet, clip = read_png(tmp_path / "a.png"), source(film)
    assert np.array_equal(cell(sheet, 0, 1, clip), cell(sheet, 0, 0, clip))
    assert succeed(tmp_path, film, "--at", "5f", "--out", "b.png")["cut"].startswith("none between these frames")
    at = ("--at", "9f", "--factor", "2")
    off = succeed(tmp_path, film, *at, "--scene", "off", "--out", "off.png")
    assert off["cut"].endswith("; no cut is acted on, as scene is 'off'")
    props = succeed(tmp_path, film, *at, "--scene", "props", "--out", "props.png")
    assert props["cut"].startswith("none between these frames, unmarked")
    strict = succeed(tmp_path, film, *at, "--scene-threshold", "1", "--out", "strict.png")
    assert re.match(r"none between .*\(score 0\.\d\d, below 1\.0\)", strict["cut"])


def test_frames_at_a_cut_are_called_what_they_are(tmp_path: Path) -> None:
    bars = "testsrc2=size=160x90:rate=25:duration=0.4[b];[0:v]trim=end_frame=10,scale=160:90,setsar=1[a];[a][b]concat"
    film = encode(tmp_path / "cut.mkv", "-filter_complex", bars, "-frames:v", "20", "-c:v", "ffv1")

    def labels(at_cut: Any) -> list[str]:
        made = pair_of(Wanted(film, 9, factor=3, at_cut=at_cut, model="draft"))
        return [cell.label for cell in picture._frames(made)][1:-1]

    left, right = "left frame held, as a cut follows", "right frame held, as a cut precedes"
    assert labels("hold") == [f"t = 1/3: {left}", f"t = 2/3: {left}"]
    assert labels("nearest") == [f"t = 1/3: {left}", f"t = 2/3: {right}"]
    assert labels("blend") == [f"t = {t}: both frames blended, as a cut lies between" for t in ("1/3", "2/3")]


# Maps


def moving(shift: tuple[float, float]) -> tuple[torch.Tensor, torch.Tensor]:
    return texture(96, 128), texture(96, 128, shift)


def test_colours_of_a_known_motion() -> None:
    shift = (6.0, 0.0)
    maps = maps_of(loader.load("draft"), *moving(shift), Fraction(1, 2), Options(device="cpu"))
    assert maps.forward is not None and maps.backward is not None and maps.doubt is not None
    inner = (slice(16, -16), slice(16, -16))
    assert np.abs(maps.forward[inner] - shift).mean() < 0.3
    assert np.abs(maps.backward[inner] + shift).mean() < 0.3
    assert maps.doubt[inner].mean() < 0.3
    assert maps.share is None  # nothing but a blend
    to_the_right, to_the_left = (strip.flow_colours(f, 6)[inner].reshape(-1, 3) for f in (maps.forward, maps.backward))
    assert np.abs(np.median(to_the_right, 0) - (255, 0, 0)).max() <= 25  # red
    assert np.abs(np.median(to_the_left, 0) - (0, 255, 255)).max() <= 25  # its opposite


def test_a_flow_colour_is_where_the_wheel_has_it() -> None:
    wheel = strip.wheel(101)
    for dx, dy in ((40, 0), (0, 40), (-30, 10), (20, -25), (0, 0)):
        flow = np.full((1, 1, 2), (dx, dy), np.float32)
        assert np.abs(strip.flow_colours(flow, 50.5)[0, 0].astype(int) - wheel[50 + dy, 50 + dx]).max() <= 2


def test_tiles_give_the_same_maps() -> None:
    model = loader.load("rrin_lite")
    pair = texture(200, 300), texture(200, 300, (3, 1))
    whole = maps_of(model, *pair, Fraction(1, 2), Options(device="cpu", precision="fp32"))
    parts = maps_of(model, *pair, Fraction(1, 2), Options(device="cpu", precision="fp32", tile=128, overlap=32))
    assert (whole.tiles, parts.tiles > 1) == (1, True)
    assert whole.forward is not None and parts.forward is not None
    assert np.abs(whole.forward - parts.forward).max() < 0.1


@pytest.mark.parametrize(
    ("spec", "name"),
    [(rrin.SPEC, "Mask.last"), (rrin_lite.SPEC, "choose.out"), (rrin_lite_quick.SPEC, "weigher.weigh")],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_mask_is_the_one_that_the_network_blends_with(spec: NetSpec, name: str, tmp_path: Path) -> None:
    """Logits are made constant, so that the share of frame 1 is known."""
    net: Any = rrin.RRIN(width=4) if spec is rrin.SPEC else spec.default()
    layer = net.get_submodule(name)
    mask0, mask1 = 1 / (1 + math.exp(-1)), 1 / (1 + math.exp(1))
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.zero_()
        if spec is rrin.SPEC:
            layer.bias[0], layer.bias[1] = 1.0, -1.0
        else:  # as if by two sigmoids: weights in the same proportion, for all pixels that a channel each is for
            logits = torch.tensor((math.log(mask0), math.log(mask1))).repeat(net.planes // 2)
            pixels = 4 if spec is rrin_lite.SPEC else 16
            layer.bias[: net.planes * pixels] = logits.repeat_interleave(pixels)
    path = tmp_path / "x.safetensors"
    loader.save(net, spec, path, arithmetic=spec.arithmetics[0], sidecar=SIDECAR)
    maps = maps_of(loader.load(path), *moving((4, 0)), Fraction(1, 4), Options(device="cpu", precision="fp32"))
    assert maps.share is not None
    assert maps.share.shape == (96, 128)
    assert np.abs(maps.share - 0.25 * mask1 / (0.25 * mask1 + 0.75 * mask0)).max() < 1e-4


def test_a_network_without_flow_says_so(tmp_path: Path, lossless: Path) -> None:
    torch.manual_seed(0)
    net = cain.CAIN(groups=1, blocks=1, features=16)
    path = tmp_path / "x.safetensors"
    loader.save(net, cain.SPEC, path, arithmetic="published", sidecar=SIDECAR)
    made = pair_of(Wanted(lossless, 2, model=path))
    assert dict(facts([made]))["motion"] == "this network makes new frames without estimating motion"


# The sheet


@pytest.mark.parametrize(("pictures", "columns", "rows"), [(3, 4, 2), (4, 5, 2), (5, 5, 2), (6, 5, 3), (9, 5, 3)])
def test_the_text_has_a_place_for_every_factor(lossless: Path, pictures: int, columns: int, rows: int) -> None:
    sheet = picture.picture(pair_of(Wanted(lossless, 3, factor=pictures - 1)))
    y, x = strip.place(rows, columns, 180, 320)
    assert sheet.shape == (y - strip.label_height(320), x, 3)


def test_a_long_text_in_a_small_panel_fits() -> None:
    panel = strip.legend(180, 320, ["word " * 60] * 3, with_wheel=False)
    assert panel.shape == (180, 320, 3)
    assert np.ptp(panel) > 100
    assert panel[-3:].max() == panel[-3:].min()  # nothing is cut off at the bottom


# What is refused


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (("--at", "1:75"), 2, "--at must be seconds (83.5), mm:ss"),
        (("--at", "10f"), 2, "at must lie before the end, which is at 0.400 s or 10f, not at 10f"),
        (("--at", "0.4"), 2, "at must lie before the end, which is at 0.400 s or 10f, not at 0.400 s"),
        (("--at", "1f", "--out", "x.jpg"), 2, "--out must end with .png"),
        (("--at", "1f", "--out", "no/x.png"), 1, "there is no folder no"),
        (("--at", "1f", "--factor", "1"), 2, "factor must be a whole number from 2 to 16, not 1"),
        (("--at", "1f", "--tile", "9"), 2, "tile must be a side"),
        (("--at", "1f", "--model", "nonsense"), 1, "no model is called 'nonsense'"),
        (("--at", "1f", "--device", "cuda:99"), 1, "device 'cuda:99' is not available"),
    ],
)
def test_mistakes(lossless: Path, tmp_path: Path, arguments: tuple[str, ...], status: int, text: str) -> None:
    assert text in fail(tmp_path, lossless, *arguments, status=status)


def test_files_that_cannot_be_shown(tmp_path: Path) -> None:
    assert "nothing.mkv" in fail(tmp_path, "nothing.mkv", "--at", "0")
    (tmp_path / "text.mkv").write_text("no video")
    assert "text.mkv cannot be read as a video" in fail(tmp_path, "text.mkv", "--at", "0")
    encode(tmp_path / "one.mkv", "-frames:v", "1", "-c:v", "ffv1")
    assert "one.mkv has one frame only" in fail(tmp_path, "one.mkv", "--at", "0")


def test_an_interlaced_video_is_shown_as_it_would_be_converted(tmp_path: Path) -> None:
    encode(tmp_path / "in.mkv", "-frames:v", "4", "-vf", "scale=96:64,setfield=tff", "-c:v", "ffv1", "-flags", "+ildct")
    said = fail(tmp_path, "in.mkv", "--at", "1f", "--model", "draft")
    assert "--deinterlace frame makes a frame of each frame" in said
    assert "SetFieldBased" not in said
    for flags, frames in ((("--deinterlace", "field"), "1 and 2 of 8"), (("--progressive",), "1 and 2 of 4")):
        out = succeed(tmp_path, "in.mkv", "--at", "1f", "--model", "draft", "--overwrite", *flags)
        assert frames in out["frames"]


def test_nothing_is_overwritten_unasked(lossless: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("precious")
    assert "a.png exists" in fail(tmp_path, lossless, "--at", "0", "--out", "a.png")
    assert (tmp_path / "a.png").read_text() == "precious"
    succeed(tmp_path, lossless, "--at", "0", "--out", "a.png", "--overwrite")
    assert read_png(tmp_path / "a.png").ndim == 3


def test_a_folder_that_takes_no_files(lossless: Path, tmp_path: Path) -> None:
    error = fail(tmp_path, lossless, "--at", "0", "--out", "/proc/self/a.png")
    assert error.startswith("vsrrin: /proc/self/a.png cannot be written: ")
    assert error.endswith(": name another file with --out\n")


# Positions
