"""`vsrrin preview --html`: what becomes of sources of all kinds, and what is refused."""

import base64
import io
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import vsrrin
from tests import image_files
from tests.commands import vsrrin_command
from tests.preview.test_page import held, takes
from tests.preview.test_picture import encode, fail, subjects
from vsrrin.cli import preview
from vsrrin.preview import page as pages
from vsrrin.preview.pair import Wanted, pairs

WEIGHTS = Path(vsrrin.__file__).parent / "weights"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    return encode(folder / "film.mkv", "-frames:v", "10", "-vf", "scale=160:90", "-c:v", "ffv1")


# Sources of all kinds


@pytest.mark.parametrize(
    ("filters", "pixels", "size"),
    [("scale=91:161", "gray10le", (161, 91)), ("scale=33:17", "yuv444p12le", (17, 33)), ("scale=2:2", "gray", (2, 2))],
)
def test_odd_portrait_grey_and_deep(tmp_path: Path, filters: str, pixels: str, size: tuple[int, int]) -> None:
    film = encode(tmp_path / "odd.mkv", "-frames:v", "3", "-vf", filters, "-pix_fmt", pixels, "-c:v", "ffv1")
    target = tmp_path / "page.html"
    target.write_text(pages.page(pairs([Wanted(film, 2, model="draft")])))
    assert {picture.shape for picture in held(target).values()} == {(*size, 3)}


def test_alpha_and_fields_are_shown_as_they_are_converted(tmp_path: Path) -> None:
    folder = image_files.write_sequence(tmp_path / "in", 3, channels=4)
    status, out, _ = vsrrin_command(["preview", folder, "--at", "1f", "--model", "draft", "--html", "a.htm"], tmp_path)
    assert (status, subjects(out)["note"]) == (0, "transparent parts are shown in black")
    assert "transparent parts are shown in black" in (tmp_path / "a.htm").read_text()
    encode(tmp_path / "in.mkv", "-frames:v", "4", "-vf", "scale=96:64,setfield=tff", "-c:v", "ffv1", "-flags", "+ildct")
    wanted = ("preview", "in.mkv", "--at", "1f", "--model", "draft", "--html", "b.html", "--deinterlace", "field")
    assert vsrrin_command(wanted, tmp_path)[0] == 0
    assert "frames 1 and 2 of 8" in (tmp_path / "b.html").read_text()


def test_a_cut_and_the_end(tmp_path: Path) -> None:
    bars = "testsrc2=size=160x90:rate=25:duration=0.4[b];[0:v]trim=end_frame=10,scale=160:90,setsar=1[a];[a][b]concat"
    film = encode(tmp_path / "cut.mkv", "-filter_complex", bars, "-frames:v", "20", "-c:v", "ffv1")
    target = tmp_path / "page.html"
    target.write_text(pages.page(pairs([Wanted(film, 9, model="draft")])))
    own = takes(target)["0"]
    assert own["texts"][1] == "t = 1/2: left frame held, as a cut follows"
    assert own["frames"][0] == own["frames"][1] == takes(target)["source9"]["frames"][0]
    assert "YES between these frames" in target.read_text()
    target.write_text(pages.page(pairs([Wanted(film, 19, model="draft")])))
    assert [each for each in takes(target) if each.startswith("source")] == ["source18", "source19"]


def test_hdr_is_shown_as_in_the_sheet(tmp_path: Path) -> None:
    tags = ("-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc")
    film = encode(
        tmp_path / "hdr.mkv", "-frames:v", "2", "-vf", "scale=96:64", "-pix_fmt", "yuv420p10le", "-c:v", "ffv1", *tags
    )
    (pair,) = pairs([Wanted(film, 0, model="draft")])
    target = tmp_path / "page.html"
    target.write_text(pages.page([pair]))
    assert np.array_equal(held(target)["picture0"], pair.sources[0])
    assert "HDR (PQ): shown as on an SDR screen" in target.read_text()


def test_a_run_of_equal_frames(tmp_path: Path) -> None:
    """A square that moves every second frame: kept, its copies are frames; spread, there is motion around them."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(12):
        image = np.zeros((64, 96, 3), np.uint8)
        image[20:40, 10 + 4 * (number // 2) :][:, :20] = (40, 200, 90)
        cv2.imwrite(str(folder / f"{number:02}.png"), image)
    command = ("preview", "in", "--at", "5f", "--model", "draft", "--html", "a.html", "--out", "a.png")
    status, out, err = vsrrin_command([*command, "--also", "duplicates=spread longest-run=2"], tmp_path)
    assert (status, err) == (0, "")
    assert "frames 4 to 5 show one picture, and stand still, as duplicates is 'keep'" in out
    assert "frames 4 to 5 show one picture; motion is spread over them, from 4 to 6" in out
    known = takes(tmp_path / "a.html")
    assert [each for each in known if each.startswith("source")] == ["source4", "source5", "source6"]
    assert known["0"]["texts"] == ["source frame 5, 0.208 s", "NEW, t = 1/2", "source frame 6, 0.250 s"]
    assert known["1"]["texts"] == ["NEW, t = 1/2", "NEW, t = 3/4", "source frame 6, 0.250 s"]
    assert known["1"]["name"] == "draft, duplicates spread, longest_run 2"
    assert known["blend"]["texts"] == ["blended at t = 0", "blended at t = 0.5", "blended at t = 1"]


def test_settings_of_one_name_are_told_apart(tmp_path: Path) -> None:
    film = encode(tmp_path / "in.mkv", "-frames:v", "2", "-vf", "scale=96:64", "-c:v", "ffv1")
    models = [tmp_path / folder / "\u202emine\n.safetensors" for folder in ("a", "b")]
    for model in models:
        model.parent.mkdir()
        shutil.copy(WEIGHTS / "draft.safetensors", model)
    target = tmp_path / "page.html"
    target.write_text(pages.page(pairs([Wanted(film, 0, model=model) for model in models])))
    names = [take["name"] for take in takes(target).values() if take["maps"]]
    assert names == ["\\u202emine\\n.safetensors", "\\u202emine\\n.safetensors (2)"]


def test_a_large_page_comes_with_a_warning(film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "_LARGE", 0.01)
    command = ("preview", film, "--at", "0", "--model", "draft", "--html", "a.html")
    status, out, err = vsrrin_command(command, tmp_path)
    assert status == 0 and out.startswith("a.html: ")
    assert err.startswith("vsrrin: a page as large as this is slow")


def test_the_fallback_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    noise = np.random.default_rng(0)
    for number in range(3):
        squares = 255 * noise.integers(0, 2, (8, 12, 1), np.uint8)
        cv2.imwrite(str(tmp_path / "in" / f"{number}.png"), squares.repeat(8, 0).repeat(8, 1).repeat(3, 2))
    options: dict[str, Any] = {"model": "draft", "scene": "off", "fallback_below": 1}
    settings = [Wanted(tmp_path / "in", 0, fallback=each, **options) for each in ("none", "hold")]
    target = tmp_path / "page.html"
    target.write_text(pages.page(pairs(settings)))
    known = takes(target)
    assert [known[key]["texts"][1] for key in "01"] == [
        "NEW, t = 1/2",
        "t = 1/2: fallback: held, as the new frame cannot be trusted",
    ]
    assert "confidence 0.0" in target.read_text()


def test_a_picture_too_large_for_webp_is_whole(tmp_path: Path) -> None:
    picture = np.zeros((20, 16_400, 3), np.uint8)
    picture[:, ::7] = 200
    address = pages._address(picture)
    assert address.startswith("data:image/png;")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1])))), picture)


# What is refused


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (("--html", "a.txt"), 2, "--html must end with .html, not 'a.txt'"),
        (("--html", "no/a.html"), 1, "there is no folder no"),
        (("--html", "there.html"), 1, "there.html exists: name another file with --html, or give --overwrite"),
        (("--html", "a.html", "--out", "a.jpg"), 2, "--out must end with .png"),
        (("--html", "/proc/self/a.html"), 1, "name another file with --html"),
        (("--model", "draft"), 2, "several models and settings are shown side by side on a page only: give --html"),
        (("--html", "a.html", "--also", "scale"), 2, "--also must be settings as NAME=VALUE, such as"),
        (("--html", "a.html", "--also", "'"), 2, '--also "\'" cannot be read: No closing quotation'),
        (("--html", "a.html", "--also", "scale=9"), 2, "--scale must be a number from 0.25 to 1"),
        (("--html", "a.html", "--also", "fps=9"), 2, "unrecognized arguments: --fps=9"),
        (("--html", "a.html", "--also", "scene=maybe"), 2, "argument --scene: invalid choice: 'maybe'"),
    ],
)
def test_mistakes(film: Path, tmp_path: Path, arguments: tuple[str, ...], status: int, text: str) -> None:
    (tmp_path / "there.html").write_text("precious")
    assert text in fail(tmp_path, film, "--at", "0", "--model", "draft", *arguments, status=status)
    assert (tmp_path / "there.html").read_text() == "precious"
    if arguments == ("--html", "a.txt"):
        error = fail(tmp_path, film, "--at", "10f", "--html", "a.html", status=2)
        assert "at must lie before the end" in error
        assert vsrrin_command(
            ["preview", film, "--at", "0", "--model", "draft", "--html", "there.html", "--overwrite"], tmp_path
        )[:1] == (0,)
        assert "<!DOCTYPE html>" in (tmp_path / "there.html").read_text()
