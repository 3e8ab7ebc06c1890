"""The wheel as people install it: alone, in an environment outside the clone."""

import email
import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import vapoursynth as vs

import vsrrin
from tests.conftest import BUNNY, planes, psnr, same_picture
from tests.convert.media.files import bunny as write_bunny
from tests.test_repository import ROOT, tracked_files

SCRIPT = f"""
import vapoursynth as vs
import vsrrin

if "env/lib" not in vsrrin.__file__:
    raise ImportError(vsrrin.__file__)
clip = vs.core.bs.VideoSource({str(BUNNY)!r}, cachemode=0, showprogress=0).resize.Bicubic(160, 96)[:3]
vsrrin.interpolate(clip, model="draft", device="cpu").set_output()
"""


class Installation:
    """A fresh environment with the wheel in it.

    What the wheel requires is found in the environment of the tests, as installing PyTorch again would take minutes.
    Only that folder is searched, not the paths that its .pth files name: this clone is not among what can be imported.

    Attributes:
        folder: The environment; programs run in the folder above it.
    """

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder = folder
        venv.create(folder, symlinks=True)
        pip = [sys.executable, "-m", "pip", "--python", self.program("python"), "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "-q", "--no-deps", "--no-index", wheel], check=True, timeout=300)
        packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
        (packages / "requirements.pth").write_text(sysconfig.get_path("purelib") + "\n")
        # The programs that pip would have made for VapourSynth: vspipe asks the other for its Python.
        for entry in metadata.distribution("vapoursynth").entry_points.select(group="console_scripts"):
            program = self.program(entry.name)
            program.write_text(f"#!{self.program('python')}\nfrom {entry.module} import {entry.attr}\n{entry.attr}()\n")
            program.chmod(0o755)

    def program(self, name: str) -> Path:
        return self.folder / "bin" / name

    def run(self, name: str, *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
        """Run one of its programs in a home of its own; an error fails the test."""
        home = self.folder.parent
        variables = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "XDG_"))}
        variables |= {"HOME": str(home), "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.defpath}"}
        command = [self.program(name), *arguments]
        done = subprocess.run(command, capture_output=True, cwd=home, env=variables, timeout=300)
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
        return done


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The source distribution, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    # Without isolation: what builds it is installed with the tests, and nothing is fetched.
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    assert len(list(folder.iterdir())) == 2
    return sdist, wheel


@pytest.fixture(scope="module")
def installed(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return Installation(tmp_path_factory.mktemp("elsewhere") / "env", built[1])


def test_an_index_accepts_both(built: tuple[Path, Path]) -> None:
    command = [sys.executable, "-m", "twine", "check", "--strict", *built]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.count("PASSED")) == (0, 2), done.stdout


def test_the_source_distribution_is_the_repository(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[0]) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    assert {str(path.relative_to(ROOT)) for path in tracked_files()} - names == set()
    assert "PKG-INFO" in names


def test_the_wheel_is_the_package_and_says_what_it_is(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as file:
        names = file.namelist()
        facts = email.message_from_bytes(file.read(f"vsrrin-{vsrrin.__version__}.dist-info/METADATA"))
    own = {name for name in names if name.startswith("vsrrin/")}
    assert {name.partition("/")[0] for name in names} == {"vsrrin", f"vsrrin-{vsrrin.__version__}.dist-info"}
    files = tracked_files("--others", "--exclude-standard")
    assert own == {str(path.relative_to(ROOT)) for path in files if path.is_relative_to(ROOT / "vsrrin")}
    assert "vsrrin/py.typed" in own and "vsrrin/weights/draft.safetensors" in own
    assert {url.partition(",")[0] for url in facts.get_all("Project-URL", [])} >= {"Repository", "Changelog"}
    page = str(facts.get_payload())
    assert page.startswith("# vsrrin") and "vsrrin.interpolate(clip" in page
    links = re.findall(r"\]\(([^)]+)\)", page)
    assert links and [link for link in links if not re.match(r"https?://|#", link)] == []


def test_nothing_of_the_clone_can_be_imported(installed: Installation) -> None:
    code = "import importlib.util as u, vsrrin; print(vsrrin.__file__, *map(u.find_spec, ('training', 'tests')))"
    place, *others = installed.run("python", "-c", code).stdout.decode().split()
    assert Path(place).is_relative_to(installed.folder)
    assert others == ["None", "None"]


def test_a_script_through_vspipe(installed: Installation, bunny: vs.VideoNode) -> None:
    (installed.folder.parent / "script.vpy").write_text(SCRIPT)
    found = installed.run("vspipe", "-c", "y4m", "script.vpy", "-").stdout
    header, *frames = found.split(b"FRAME\n")
    assert header.startswith(b"YUV4MPEG2") and b" W160 H96 F50:1 " in header
    expected = vsrrin.interpolate(bunny.resize.Bicubic(160, 96)[:3], model="draft", device="cpu")
    assert len(frames) == expected.num_frames == 6
    for got, wanted in zip(frames, expected.frames(close=True), strict=True):
        picture = np.concatenate([plane.ravel() for plane in planes(wanted)])
        assert psnr(np.frombuffer(got, np.uint8), picture) > 50


def test_doctor_finds_no_problem(installed: Installation) -> None:
    report = json.loads(installed.run("vsrrin", "doctor", "--json").stdout)
    found = {check["name"]: check["text"] for check in report["checks"]}
    assert report["problems"] == 0
    assert found["vsrrin"].startswith(f"{vsrrin.__version__} at {installed.folder}")
    assert found["vspipe"] == f"{installed.program('vspipe')}, with this Python and this vsrrin"
    assert {f"weights {name}" for name in ("draft", "balanced", "rrin_lite")} <= set(found)


def test_a_conversion(installed: Installation) -> None:
    film = write_bunny(installed.folder.parent, "film.mkv", frames=6)
    done = installed.run("vsrrin", "convert", film, "out.mkv", "--model", "draft", "--codec", "ffv1", "--device", "cpu")
    assert b"verified: out.mkv has 12 frames, 0.240 s, 0 cuts" in done.stderr
    source, made = (vs.core.bs.VideoSource(str(path), cachemode=0) for path in (film, film.with_name("out.mkv")))
    assert (made.num_frames, made.fps) == (12, 50)
    for number in range(5):
        left, new, right = source.get_frame(number), made.get_frame(2 * number + 1), source.get_frame(number + 1)
        assert same_picture(made.get_frame(2 * number), left)
        near = [psnr(planes(new)[0], planes(other)[0]) for other in (left, right)]
        assert psnr(planes(left)[0], planes(right)[0]) < min(near) < 60
