"""The pages: links lead somewhere, tables are complete, and code blocks marked as tested do what they say.

A block is tested if the line before it is a comment ``<!-- tested: ... -->``. The comment names what must come of it:
``out.mkv=20`` a video of 20 frames, ``frames=16`` a folder of 16 images, ``place.png`` a file, ``output=20`` a clip of
20 frames with new ones among them, ``stdout`` the text of the next block. ``print(...)  # text`` must print that text.
Blocks of one page run in one folder, in order; one with a title is written there as a file, too.
"""

import contextlib
import inspect
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path

import av
import pytest
import vapoursynth as vs
from markdown.extensions.toc import slugify

import vsrrin
from tests.commands import vsrrin_command
from tests.convert.media.files import bunny, ffmpeg
from tests.test_end_to_end import shell
from training import recipe
from training.losses.weighted import NAMES
from vsrrin.checkpoint import loader
from vsrrin.convert.prepare import Settings
from vsrrin.nets import NETS

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "training/README.md")),
    *sorted(DOCS.glob("*.md")),
]
FRAMES = 10
"""Of the clip that stands for every video in the pages; it has 25 a second, and sound."""

BLOCK = re.compile(
    r"(?:^<!-- tested:(?P<marks>[^\n]*)-->\n)?"
    r'^```(?P<language>\w+)?(?: title="(?P<title>[^"\n]+)")?\n(?P<code>.*?)^```$',
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    language: str
    title: str
    code: str
    marks: tuple[str, ...] | None
    """What comes of it; ``None`` if it is not tested."""


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> list[Block]:
    return [
        Block(
            match["language"] or "",
            match["title"] or "",
            match["code"],
            None if match["marks"] is None else tuple(match["marks"].split()),
        )
        for match in BLOCK.finditer(page.read_text("utf-8"))
    ]


def prose(page: Path) -> str:
    """A page without its code blocks."""
    return BLOCK.sub("", page.read_text("utf-8"))


def section(page: Path, heading: str) -> str:
    """What follows a heading, up to the next of its level."""
    level = heading.partition(" ")[0]
    return page.read_text("utf-8").partition(f"\n{heading}\n")[2].partition(f"\n{level} ")[0]


def anchors(page: Path) -> set[str]:
    included = re.findall(r'^--8<-- "(.+)"$', page.read_text("utf-8"), re.MULTILINE)
    text = "\n".join(map(prose, [page, *(ROOT / name for name in included)]))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    generated = re.findall(r"^::: (\S+)$", text, re.MULTILINE)
    return {slugify(heading.replace("`", ""), "-") for heading in headings} | set(generated)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not (target.is_relative_to(ROOT) and target.exists()) or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_of_the_repository_that_a_page_names_exist(page: Path) -> None:
    named = re.findall(r"`((?:vsrrin|training|scripts|tests|docs|examples|media)/[\w./-]+)`", prose(page))
    assert [name for name in named if "NAME" not in name and not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_modules_that_a_page_runs_exist(page: Path) -> None:
    paths = [
        ROOT / name.replace(".", "/") for name in re.findall(r"-m ((?:training|scripts)\.[\w.]+)", page.read_text())
    ]
    found = [path for path in paths if path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()]
    assert found == paths


def test_the_filter_page_has_every_parameter() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", section(DOCS / "filter.md", "## Parameters"), re.MULTILINE)
    assert sorted(rows) == sorted(inspect.signature(vsrrin.interpolate).parameters)


def test_the_reference_has_every_public_name_and_every_setting_of_a_conversion() -> None:
    page = DOCS / "reference.md"
    named = re.findall(r"^::: vsrrin\.(\w+)$", page.read_text("utf-8"), re.MULTILINE)
    assert sorted(named) == sorted(set(vsrrin.__all__) - {"__version__"})
    rows = re.findall(r"^\| (`.+?) \|", section(page, "## Files"), re.MULTILINE)
    own = {field.name for field in fields(Settings)} - {field.name for field in fields(vsrrin.Options)}
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) == own - {"source", "target"}


def test_the_convert_page_has_every_option() -> None:
    _, text, _ = vsrrin_command(["convert", "--help"])
    options = set(re.findall(r"^ {2,}(--[\w-]+)", text.partition("\noptions:\n")[2], re.MULTILINE))
    assert {"--fps", "--resume", "--crf"} < options
    tables = section(DOCS / "convert.md", "## All options")
    assert set(re.findall(r"`(--[\w-]+)", tables)) == options


def test_the_models_page_has_every_network_its_arithmetics_and_all_weights() -> None:
    page = DOCS / "models.md"
    assert set(re.findall(r"^\| `(\w+)` \|", section(page, "## Networks"), re.MULTILINE)) == {s.name for s in NETS}
    arithmetic = section(page, "### Arithmetic")
    for spec in NETS:
        if len(spec.arithmetics) > 1:
            (row,) = re.findall(rf"^\| `{spec.name}` \|(.+)$", arithmetic, re.MULTILINE)
            assert re.findall(r"`(\w+)`", row) == list(spec.arithmetics)
    assert {name for name in loader.bundled() if f"`{name}`" not in section(page, "## Which one")} == set()


def test_the_training_page_has_every_recipe_and_every_key() -> None:
    page = DOCS / "training.md"
    files = {path.name for path in (ROOT / "training/recipes").glob("*.toml")}
    assert set(re.findall(r"`(\w+\.toml)`", section(page, "## Recipes"))) == files
    keys = set(NAMES)
    for table in fields(recipe.Recipe):
        kind = getattr(recipe, f"{table.name.title()}Table", None)
        if is_dataclass(kind):
            keys |= {field.metadata.get("name") or field.name for field in fields(kind)}
    assert {"steps", "crop", "compile"} < keys
    manual = section(page, "## Write a recipe")
    assert {key for key in keys - {"start"} if f"`{key}`" not in manual} == set()


# --- code blocks ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages call their videos and images."""
    folder = tmp_path_factory.mktemp("media")
    bunny(
        folder, "in.mkv", "-c:a", "aac", "-shortest", inputs=("-f", "lavfi", "-i", "sine=duration=0.4"), frames=FRAMES
    )
    ffmpeg(folder, "-i", "in.mkv", "-c", "copy", "in.mp4")
    shutil.copy(folder / "in.mkv", folder / "film.mkv")
    ffmpeg(folder, "-i", "in.mkv", "-vf", "fps=12.5,fps=25", "-c:v", "ffv1", "-c:a", "copy", "anime.mkv")
    tags = "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc:range=tv"
    keyed = ("-vf", "colorkey=white:0.4:0.2,format=argb", "-c:v", "qtrle")
    ffmpeg(folder, "-i", "in.mkv", "-an", "-frames:v", "6", *keyed, "title.mov")
    ffmpeg(folder, "-i", "in.mkv", "-an", "-vf", f"format=yuv420p10le,{tags}", "-c:v", "ffv1", "hdr.mkv")
    marks = ("-metadata:s:a", "language=jpn", "-metadata:s:a", "MOOD=calm", "-disposition:a", "default+original")
    ffmpeg(folder, "-i", "in.mkv", "-c", "copy", *marks, "tagged.mkv")
    (folder / "frames").mkdir()
    ffmpeg(folder, "-i", "in.mkv", "-frames:v", "4", "frames/%03d.png")
    ffmpeg(folder, "-i", "in.mkv", "-frames:v", "4", "in.gif")
    return folder


@pytest.fixture
def here(media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with those files."""
    folder = tmp_path / "here"
    shutil.copytree(media, folder)
    monkeypatch.chdir(folder)
    yield folder
    vs.clear_outputs()


def pages_with_tested_blocks() -> list[Path]:
    return [page for page in PAGES if "<!-- tested" in page.read_text("utf-8")]


def test_every_mark_belongs_to_a_block_and_guides_have_some() -> None:
    for page in PAGES:
        marked = sum(block.marks is not None for block in blocks(page))
        assert marked == page.read_text("utf-8").count("<!-- tested"), page
    guides = {"README.md", "docs/convert.md", "docs/filter.md", "docs/models.md"}
    assert guides <= {name_of(page) for page in pages_with_tested_blocks()}


@pytest.mark.parametrize("page", pages_with_tested_blocks(), ids=name_of)
def test_code_blocks_do_what_they_say(page: Path, here: Path) -> None:
    found = blocks(page)
    for number, block in enumerate(found):
        if block.marks is None:
            continue
        if block.title:
            (here / block.title).write_text(block.code, "utf-8")
        if block.language == "python":
            said, prints = run_python(block.code), printed(block.code)
            assert said.splitlines() == prints
            assert prints or block.marks, f"nothing is said to come of:\n{block.code}"
        else:
            assert block.language == "sh" and block.marks
            said = run_shell(block.code, here)
        for mark in block.marks:
            check(mark, said, found[number + 1] if mark == "stdout" else None)


MISTAKES = [
    ("in.mkv in.mp4", "exists"),
    ("in.mkv out.mkv --fps 59.94", "decimals"),
    ("in.mkv out.mkv --fps 20", "at least"),
    ("in.mkv out.mkv --sf 3 --fps 25", "4 times as long"),
    ("in.mkv out.mkv --device cuda:99", "is not available"),
]


@pytest.mark.parametrize(("arguments", "key"), MISTAKES, ids=[key for _, key in MISTAKES])
def test_messages_read_as_the_convert_page_has_them(arguments: str, key: str, here: Path) -> None:
    (row,) = re.findall(rf"^\| `([^`\n]*{key}[^`\n]*)` \|", prose(DOCS / "convert.md"), re.MULTILINE)
    status, _, error = vsrrin_command(["convert", *arguments.split()])
    assert status in (1, 2)
    pattern = re.escape(row).replace(re.escape("..."), ".+").replace("OUT", r"\S+").replace("cuda", r"cuda\S*")
    assert re.search(pattern, error), f"the page has: {row}\nthe command says: {error}"


def run_python(code: str) -> str:
    out = io.StringIO()
    vs.clear_outputs()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "page", "exec"), {"__name__": "__vapoursynth__"})
    return out.getvalue()


def printed(code: str) -> list[str]:
    """What the comments behind print statements say that they print."""
    return re.findall(r"^print\(.+\) {2}# (.+)$", code, re.MULTILINE)


def run_shell(code: str, folder: Path) -> str:
    """Run lines one by one; the command vsrrin in this process, since one of its own takes seconds to start."""
    said = ""
    for line in code.replace("\\\n", " ").splitlines():
        if line.startswith("vsrrin "):
            status, out, error = vsrrin_command(shlex.split(line, comments=True)[1:])
        else:
            done = shell(folder, line)
            status, out, error = done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode()
        assert status == 0, f"{line}\n{error}"
        said += out
    return said


def check(mark: str, said: str, following: Block | None) -> None:
    name, _, number = mark.partition("=")
    if name == "stdout":
        assert following is not None and said == following.code
    elif name == "output":
        clip = vs.get_output(0).clip
        assert clip.num_frames == int(number)
        assert any(frame.props["_VSRRIN_Kind"] in ("new", "blur") for frame in clip.frames(close=True))
    elif not number:
        assert Path(name).stat().st_size
    elif Path(name).is_dir():
        assert len(list(Path(name).glob("*.png"))) == int(number)
    else:
        with av.open(name) as file:
            assert sum(1 for _ in file.decode(video=0)) == int(number)


# --- the example of the architecture page, and the site -------------------------------------------------------------


def test_the_network_of_the_architecture_page_works(media: Path, tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__", "*_half.*", "data")
    for name in ("vsrrin", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    files = [block for block in blocks(DOCS / "architecture.md") if block.title]
    assert {"vsrrin/nets/mixer.py", "tests/nets/test_mixer.py", "make_weights.py"} < {block.title for block in files}
    for block in files:
        if block.language == "diff":
            apply(block.code, tmp_path / block.title)
        else:
            (tmp_path / block.title).write_text(block.code, "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}

    def run(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    tests = ("tests/nets/test_contract.py", "tests/nets/test_mixer.py")
    assert re.search(r"\b\d\d passed", run("-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, "-k", "mixer"))
    run("-c", USE, str(media / "in.mkv"))
    with av.open(str(tmp_path / "mixed.mkv")) as file:
        assert sum(1 for _ in file.decode(video=0)) == 2 * FRAMES


USE = """
import runpy, sys
from vsrrin.cli.main import main
runpy.run_path("make_weights.py")
sys.exit(main(["convert", sys.argv[1], "mixed.mkv", "--model", "mixer.safetensors"]))
"""
"""The weights made, and a video converted with them; in one process, as each takes seconds to start."""


def apply(diff: str, path: Path) -> None:
    """Change a file as a diff of one place says."""
    lines = diff.splitlines()
    before = "\n".join(line[1:] for line in lines if line[0] in " -")
    after = "\n".join(line[1:] for line in lines if line[0] in " +")
    text = path.read_text("utf-8")
    assert text.count(before) == 1, f"{path} has not this place once:\n{before}"
    path.write_text(text.replace(before, after), "utf-8")


def test_the_site_is_built_without_a_warning_and_fetches_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    built = {path.name: path.read_text("utf-8") for path in (tmp_path / "site").glob("*.html")}
    assert {f"{page.stem}.html" for page in DOCS.glob("*.md")} <= built.keys()
    for name, text in built.items():
        assert re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(?:https?:)?//[^"]+', text) == [], name
    assert 'id="vsrrin.interpolate"' in built["reference.html"]
    assert re.findall(r":(?:mod|class|func|data):", built["reference.html"]) == []  # markup that nobody renders
