"""A real previewer, vsview, opens a script that uses vsrrin: what it displays is what the filter makes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
WIDTH, HEIGHT = 320, 180
JUMPS = (7, 2, 31, 3, 2)
AFTER_RELOAD = (9, 7)
AFTER_PLAYING = (31, 1)

# RGB out of the script itself: the previewer then has nothing to convert, and its pixels must be the filter's.
SCRIPT = f"""
import vapoursynth as vs
import vsrrin

clip = vs.core.bs.VideoSource({str(ROOT / "media" / "bunny_stretch.mp4")!r}, cachemode=0, showprogress=0)
clip = clip.std.SetFrameProps(_Matrix=1, _Transfer=1, _Primaries=1)[26:46].resize.Bicubic({WIDTH}, {HEIGHT})
clip = vsrrin.interpolate(clip, 2)
clip.resize.Bicubic(format=vs.RGB24).set_output()
"""

Image = NDArray[np.uint8]


def run(command: list[str], home: Path) -> subprocess.CompletedProcess[bytes]:
    """Run with a home folder of its own, so that nobody's settings are read or changed."""
    programs = Path(sys.executable).parent
    environment = {
        **os.environ,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
    }
    return subprocess.run(command, capture_output=True, env=environment, timeout=600, cwd=home)


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("previewer") / "script.vpy"
    path.write_text(SCRIPT)
    return path


@pytest.fixture(scope="module")
def visit(script: Path) -> tuple[subprocess.CompletedProcess[bytes], Path]:
    """The finished previewer process and the folder with the pictures it saved."""
    driver = Path(__file__).with_name("previewer_driver.py")
    plans = [",".join(map(str, numbers)) for numbers in (JUMPS, AFTER_RELOAD, AFTER_PLAYING)]
    done = run([sys.executable, str(driver), str(script), str(script.parent), *plans], home=script.parent)
    return done, script.parent


@pytest.fixture(scope="module")
def piped(script: Path) -> NDArray[np.uint8]:
    """All frames of the same script as vspipe delivers them, (frames, H, W, 3) in OpenCV's channel order."""
    done = run([str(Path(sys.executable).with_name("vspipe")), str(script), "-"], home=script.parent)
    assert done.returncode == 0, done.stderr.decode()
    green_blue_red = np.frombuffer(done.stdout, np.uint8).reshape(-1, 3, HEIGHT, WIDTH)
    return np.stack([green_blue_red[:, 1], green_blue_red[:, 0], green_blue_red[:, 2]], axis=-1)


def shown(path: Path) -> Image:
    picture = cv2.imread(str(path))
    assert picture is not None, path
    return np.asarray(picture, np.uint8)


def test_previewer_ends_normally_and_reports_no_error(
    visit: tuple[subprocess.CompletedProcess[bytes], Path],
) -> None:
    done, _ = visit
    messages = done.stderr.decode()
    assert done.returncode == 0, messages
    assert done.stdout.decode().split() == ["closed"]
    assert not re.search(r"Traceback|Error|[Ff]ailed|leak|Core freed but", messages), messages


@pytest.mark.parametrize(
    "name, number",
    [(f"jump_{position}_{number}.png", number) for position, number in enumerate(JUMPS)]
    + [(f"reload_{number}.png", number) for number in AFTER_RELOAD]
    + [(f"played_{number}.png", number) for number in AFTER_PLAYING],
)
def test_displayed_frame_is_the_filters_frame(
    visit: tuple[subprocess.CompletedProcess[bytes], Path], piped: NDArray[np.uint8], name: str, number: int
) -> None:
    done, folder = visit
    assert done.returncode == 0, done.stderr.decode()
    np.testing.assert_array_equal(shown(folder / name), piped[number])


def test_frames_in_the_comparison_differ(piped: NDArray[np.uint8]) -> None:
    """Neighbours must not be alike, or showing the wrong frame would go unnoticed."""
    differences = np.abs(np.diff(piped[:33].astype(np.int16), axis=0)).mean(axis=(1, 2, 3))
    assert differences.min() > 0.2


def test_screenshot_in_the_docs_is_a_picture_of_moderate_size() -> None:
    path = ROOT / "docs" / "previewer.png"
    height, width = shown(path).shape[:2]
    assert (width, height) == (1180, 720)
    assert path.stat().st_size < 400_000
