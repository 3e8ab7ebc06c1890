"""`vsrrin preview --html`: the page as headless Chromium shows it, and what becomes of odd sources and names."""

import base64
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import vsrrin
from tests.commands import vsrrin_command
from tests.preview.browser import Browser, browser
from tests.preview.test_picture import encode, rgb, source

Picture = NDArray[np.uint8]
WIDTH, HEIGHT = 160, 90
NAME = "<img src=x onerror=alert(1)>\"'&amp;{{data}} </script>\n\u202e\u05e4\u05d9.mkv".replace("/", "\u2215")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten frames in RGB with a name that means something to browsers, terminals and templates."""
    folder = tmp_path_factory.mktemp("films")
    options = ("-frames:v", "10", "-vf", f"scale={WIDTH}:{HEIGHT}", "-pix_fmt", "gbrp", "-c:v", "ffv1")
    return encode(folder / "film.mkv", *options).rename(folder / NAME)


@pytest.fixture(scope="module")
def page(film: Path) -> Path:
    """The page of two models and one more setting, made by the command."""
    models = ("--model", "draft", "--model", "balanced", "--also", "scale=0.5 scene=off")
    status, out, err = vsrrin_command(
        ["preview", film, "--at", "5f", "--factor", "4", *models, "--html", "page.html", "--precision", "fp32"],
        film.parent,
    )
    assert (status, err) == (0, "")
    assert re.match(r"page\.html: \d+\.\d MB\n", out) and "network  balanced, precision fp32, factor 4" in out
    assert sorted(each.name for each in film.parent.iterdir()) == sorted([NAME, "page.html"])  # no sheet unasked
    return film.parent / "page.html"


@pytest.fixture(autouse=True)
def nothing_is_fetched_nor_complained_of(request: pytest.FixtureRequest) -> Iterator[None]:
    opened = request.getfixturevalue("chromium") if "chromium" in request.fixturenames else None
    yield
    if opened:
        fetched = [each for each in opened.requests if not each.startswith(("data:", "about:"))]
        assert (opened.complaints, {each.split("#")[0][:8] for each in fetched}) == ([], {"file:///"})


def held(page: Path) -> dict[str, Picture]:
    """All pictures in a page, by identifier."""
    found = re.findall(r'<img id="(picture\w+)" src="data:image/(\w+);base64,([^"]+)"', page.read_text())
    return {name: np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) for name, _, data in found}


def takes(page: Path) -> dict[str, Any]:
    """What the script of a page can show, by key."""
    data = re.search(r'<script id="data" type="application/json">(.*?)</script>', page.read_text())
    assert data
    return {take["key"]: take for take in json.loads(data[1])["takes"]}


def seen(opened: Browser, number: int = 0) -> Picture:
    """The pixels of a canvas, as a screenshot has them."""
    opened.value(f"document.querySelectorAll('canvas')[{number}].scrollIntoView({{block: 'nearest'}})")
    corner = f"(r => [r.left, r.top, r.right, r.bottom])(panels[{number}][0].getBoundingClientRect())"
    ratio = opened.value("devicePixelRatio")
    left, top, right, bottom = (round(side * ratio) for side in opened.value(corner))
    return opened.screenshot()[top:bottom, left:right]


# What is in the file


def test_pictures_are_source_frames_and_frames_of_the_filter(page: Path, film: Path) -> None:
    clip, pictures, known = source(film), held(page), takes(page)
    assert list(known) == ["source5", "0", "1", "2", "source6", "blend"]
    for key, options in (("0", {"model": "draft"}), ("1", {"model": "balanced"}), ("2", {"scale": 0.5})):
        made = vsrrin.interpolate(clip, 4, **{"model": "draft", "precision": "fp32", **options})
        for k, layers in enumerate(known[key]["frames"]):
            assert np.array_equal(pictures[layers[0][0]], rgb(made.get_frame(20 + k))), (key, k)
    # A source frame is there once, however many settings show it.
    assert len({json.dumps(known[key]["frames"][0]) for key in ("source5", "0", "1", "2")}) == 1
    assert known["2"]["name"] == "draft, precision fp32, scale 0.5, scene off"


def test_what_a_name_holds_is_text(page: Path, chromium: Browser) -> None:
    text = page.read_text()
    assert "<img src=x" not in text and "\u202e" not in text
    chromium.open(page)
    visible = NAME.replace("\n", "\\n").replace("\u202e", "\\u202e")
    assert chromium.value("document.title") == visible
    assert chromium.value("document.querySelector('h1').textContent") == visible
    assert chromium.value("document.querySelectorAll('script').length") == 2


def test_a_page_is_one_request_and_may_make_no_other(page: Path, chromium: Browser) -> None:
    chromium.open(page)
    kinds = "'img', 'script', 'iframe', 'link', 'object'"
    refused = chromium.value(f"""new Promise(done => {{
        const found = [];
        document.addEventListener("securitypolicyviolation", event => {{
            found.push(event.violatedDirective);
            if (found.length === 5) done(found.sort());
        }});
        for (const name of [{kinds}]) {{
            const element = document.createElement(name);
            if (name === "link") element.rel = "stylesheet";
            element.src = element.href = element.data = "http://127.0.0.1:9/asked";
            document.body.append(element);
        }}
    }})""")
    assert refused == ["frame-src", "img-src", "object-src", "script-src-elem", "style-src-elem"]
    complaints = [each for each in chromium.complaints if "Content Security Policy" in each]
    assert len(complaints) == len(chromium.complaints) == 5
    chromium.complaints.clear()
    chromium.requests[:] = [each for each in chromium.requests if "127.0.0.1:9/asked" not in each]


# What is seen


def test_the_numbers_are_there(page: Path, chromium: Browser) -> None:
    chromium.open(page)
    rows = chromium.value("[...document.querySelectorAll('#numbers ~ div tr')].map(row => row.innerText)")
    kinds = [row.split("\t") for row in rows[1:]]
    assert [row[1] for row in kinds] == [str(n) for n in range(20, 25)] * 3
    assert [row[2] for row in kinds[5:10]] == [
        "source frame 5, 0.200 s",
        "NEW, t = 1/4",
        "NEW, t = 1/2",
        "NEW, t = 3/4",
        "source frame 6, 0.240 s",
    ]
    assert all(re.fullmatch(r"\d+ ms", row[3].strip()) for row in kinds if row[2].startswith("NEW"))
    text = chromium.value("document.body.innerText")
    assert re.search(r"none between these frames, by vsrrin's detector \(score 0\.\d\d, below 0\.5\)", text)
    assert "no cut is acted on, as scene is 'off'" in text
    assert len(re.findall(r"confidence 0\.\d\d on average at t = 1/2", text)) == 3
    assert text.count("no run of 2 to 4 equal frames here") == 3


@pytest.mark.parametrize("zoom", [1, 3])
def test_both_sides_of_the_slider_are_the_pictures_pixel_by_pixel(page: Path, chromium: Browser, zoom: int) -> None:
    check_slider(chromium, page, zoom)


def test_so_they_are_on_screens_with_finer_pixels(page: Path, tmp_path: Path) -> None:
    with browser(tmp_path, ratio=1.5) as fine:
        for zoom in (2, 6):
            check_slider(fine, page, zoom)


def check_slider(opened: Browser, page: Path, zoom: int) -> None:
    opened.open(page, f"#a=source5&b=1&t=0.25&zoom={zoom}&split=0.4")
    canvas = seen(opened)
    known, pictures = takes(page), held(page)
    left, right = pictures[known["source5"]["frames"][1][0][0]], pictures[known["1"]["frames"][1][0][0]]
    place = opened.value("placeIn(panels[0][0])")
    assert (place["width"], place["height"]) == (WIDTH * zoom, HEIGHT * zoom)
    y, x = (np.arange(length) for length in canvas.shape[:2])
    inside_y, inside_x = y[place["top"] <= y], x[place["left"] <= x]
    inside_y = inside_y[inside_y < place["top"] + place["height"]]
    inside_x = inside_x[inside_x < place["left"] + place["width"]]
    assert len(inside_x) > 100 and len(inside_y) > 80
    for picture, part in (
        (left, inside_x[inside_x < place["divider"] - 1]),
        (right, inside_x[inside_x > place["divider"] + 1]),
    ):
        expected = picture[np.ix_((inside_y - place["top"]) // zoom, (part - place["left"]) // zoom)]
        assert len(part) > 30 and np.array_equal(canvas[np.ix_(inside_y, part)], expected)


def test_side_by_side_all_move_together(page: Path, chromium: Browser) -> None:
    chromium.open(page, "#view=side&t=0.5&zoom=4&x=100&y=40", height=1500)
    assert chromium.value("panels.map(([, caption]) => caption.textContent)") == [
        "source frame 5, 0.200 s",
        "draft, precision fp32: NEW, t = 1/2",
        "balanced, precision fp32: NEW, t = 1/2",
        "draft, precision fp32, scale 0.5, scene off: NEW, t = 1/2",
        "source frame 6, 0.240 s",
    ]
    chromium.value("panels[2][0].focus()")
    chromium.press("ArrowRight", "d", "ArrowUp")
    chromium.wait("true")
    place = chromium.value("placeIn(panels[0][0])")
    assert chromium.value("state.x") > 100 and chromium.value("state.y") < 40
    known, pictures = takes(page), held(page)
    for number, key in enumerate(("source5", "0", "1", "2", "source6")):
        canvas, picture = seen(chromium, number), pictures[known[key]["frames"][2][0][0]]
        y, x = (np.arange(length) for length in canvas.shape[:2])
        rows, columns = (y - place["top"]) // 4, (x - place["left"]) // 4
        rows, columns = rows[(rows >= 0) & (rows < HEIGHT)], columns[(columns >= 0) & (columns < WIDTH)]
        assert np.array_equal(canvas[: len(rows), : len(columns)], picture[np.ix_(rows, columns)])


def test_a_map_lies_over_both_sides_with_its_opacity(page: Path, chromium: Browser) -> None:
    known, pictures = takes(page), held(page)
    name = "flow to the right frame"
    chromium.open(page, f"#a=source5&b=1&t=0.5&zoom=1&overlay={name.replace(' ', '+')}&opacity=0.5&split=0.5")
    place, canvas = chromium.value("placeIn(panels[0][0])"), seen(chromium)
    cell = canvas[place["top"] :, place["left"] :][:HEIGHT, :WIDTH].astype(float)
    flow = pictures[known["1"]["maps"][name]["picture"]].astype(float)
    for key, part in (("source5", slice(0, 75)), ("1", slice(85, None))):
        picture = pictures[known[key]["frames"][2][0][0]]
        assert np.abs(cell[:, part] - (flow + picture)[:, part] / 2).max() <= 1.5
    assert f"{name}; balanced, precision fp32: " in chromium.value("document.getElementById('meaning').innerText")
    assert chromium.value("document.getElementById('wheel').checkVisibility()")
    assert chromium.value("[...document.getElementById('overlay').options].map(each => each.value)") == [
        "",
        name,
        "flow back to the left frame",
        "doubt",
        "confidence",
        "difference of the source frames",
        "mask",
    ]


# What moves it


def test_keys(page: Path, chromium: Browser) -> None:
    chromium.open(page)
    shown = "[state.split, state.k, state.a, state.b, state.zoom, state.overlay, state.view]"
    assert chromium.value(shown) == [0.5, 2, "source5", "0", 0, "", "split"]
    chromium.press("l", "l", "j", "L")
    assert chromium.value("state.split") == pytest.approx(0.54)
    chromium.press(".", ".", ".")
    assert chromium.value("state.k") == 4
    chromium.press(",", "m", "x", "o", "f")
    assert chromium.value(shown) == [0, 3, "1", "source5", 0, "flow to the right frame", "split"]
    chromium.press("f", "+", "+", "-", "1", "v")
    assert chromium.value(shown) == [1, 3, "1", "source5", 1, "flow to the right frame", "side"]
    chromium.press("v", "0")
    chromium.value("document.getElementById('split').focus()")
    chromium.press("ArrowLeft", "ArrowLeft")
    assert chromium.value("state.split") == pytest.approx(0.99)
    chromium.wait("location.hash.includes('split=0.99')")
    assert "t=0.75&a=1&b=source5" in chromium.value("location.hash")
    chromium.value("document.getElementById('keys').click()")
    chromium.press("f", "v", "1")
    assert chromium.value(shown)[4:] == [0, "flow to the right frame", "split"]


def test_the_mouse_moves_the_divider_and_zooms_where_it_is(page: Path, chromium: Browser) -> None:
    chromium.open(page)
    box = chromium.value("(r => [r.left, r.top, r.width, r.height])(panels[0][0].getBoundingClientRect())")
    x, y = box[0] + box[2] / 4, box[1] + box[3] / 2
    chromium.mouse("mousePressed", x, y, button="left", clickCount=1)
    assert chromium.value("state.split") == pytest.approx(0.25, abs=0.01)
    chromium.mouse("mouseMoved", x + box[2] / 2, y, button="left")
    chromium.mouse("mouseReleased", x + box[2] / 2, y, button="left", clickCount=1)
    assert chromium.value("state.split") == pytest.approx(0.75, abs=0.01)
    under = "(p => (400 - p.left) / p.scale)(placeIn(panels[0][0]))"
    before = chromium.value(under)
    for _ in range(2):  # control and the wheel
        chromium.mouse("mouseWheel", box[0] + 400, box[1] + 200, deltaX=0, deltaY=-100, modifiers=2)
    chromium.wait("state.zoom === 12")
    assert chromium.value(under) == pytest.approx(before, abs=0.2)
    chromium.mouse("mousePressed", x, y, button="left", clickCount=1)
    chromium.mouse("mouseMoved", x + 60, y, button="left")
    chromium.mouse("mouseReleased", x + 60, y, button="left", clickCount=1)
    assert chromium.value(under) == pytest.approx(before - 5, abs=0.2)
    assert chromium.value("state.split") == pytest.approx(0.75, abs=0.01)


def test_it_plays_forth_and_back_at_the_real_rate(page: Path, chromium: Browser) -> None:
    chromium.open(page, "#t=0")
    # The clock of the page is moved by hand, by a quarter of a source frame's 40 ms, which are four output frames.
    chromium.value("window.requestAnimationFrame = go => (window.go = go, 1); document.getElementById('play').click()")
    moments = [chromium.value(f"(go(1000 + {10 * n} + 1e-6), state.k)") for n in range(12)]
    assert moments == [0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 2, 3]
    assert chromium.value("document.getElementById('play').ariaPressed") == "true"
    chromium.press("p")
    assert chromium.value("[playing, document.getElementById('play').textContent]") == [0, "play"]


@pytest.mark.parametrize(
    "address",
    [
        "#t=NaN&zoom=1e999&a=__proto__&b=constructor&split=-5&overlay=%3Cx%3E&x=&y=-1e9&view=",
        "#%E0%A4%A",
        "#zoom=-3&opacity=Infinity&t=1e-400",
    ],
)
def test_an_address_that_makes_no_sense_is_passed_over(page: Path, chromium: Browser, address: str) -> None:
    chromium.open(page, address)
    assert chromium.value("[state.a, state.b, state.overlay, state.zoom]") == ["source5", "0", "", 0]
    assert 0 <= chromium.value("state.split") <= 1 and 0 <= chromium.value("state.k") <= 4


def test_everything_can_be_reached_and_has_a_name(page: Path, chromium: Browser) -> None:
    chromium.open(page)
    reached = []
    for _ in range(18):
        chromium.press("Tab")
        where = "(e => [e.id || e.tagName, getComputedStyle(e).outlineStyle])(document.activeElement)"
        name, outline = chromium.value(where)
        assert outline != "none", name
        reached.append(name)
    assert reached[:9] == ["CANVAS", "split", "t", "play", "speed", "out", "in", "fit", "one"]
    assert reached[9:] == ["a", "swap", "b", "view", "overlay", "opacity", "DIV", "keys", "SUMMARY"]
    nodes = chromium.send("Accessibility.getFullAXTree")["nodes"]
    controls = [
        node for node in nodes if node["role"]["value"] in ("slider", "combobox", "button", "checkbox", "image")
    ]
    assert len(controls) == 16
    assert not [node for node in controls if not node.get("name", {}).get("value") and not node["ignored"]]


def test_dark_and_light_and_narrow(page: Path, chromium: Browser) -> None:
    shades = []
    for dark in (False, True):
        chromium.dark(dark)
        chromium.open(page, width=360, height=740)
        shades.append(float(chromium.screenshot().astype(float)[:30, -4:].mean()))
        assert chromium.value("document.documentElement.scrollWidth") == 360
    assert shades[0] > 200 and shades[1] < 60
    chromium.dark(False)
