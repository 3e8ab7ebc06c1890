"""Which programs and libraries the tests find missing, what is done about it, and the script that runs all checks."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.fake_programs import link_tools, write_program

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    return link_tools(tmp_path / "tools")


ALL_LIBRARIES = "\n".join(
    f"\t{name} (libc6,x86-64) => /lib/{name}"
    for name in re.findall(
        r"^(?:needs=')?(lib\S+) ", (ROOT / "scripts/ensure_system_packages").read_text(), re.MULTILINE
    )
)


def ensure_packages(tools: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(tools / "sh"), str(ROOT / "scripts" / "ensure_system_packages")],
        env={"PATH": f"{folder}{os.pathsep}{tools}", "HERE": str(folder)},
        capture_output=True,
        text=True,
    )


def write_ldconfig(folder: Path, listed: str) -> None:
    # The script appends the system's own folders to PATH: a program found first hides the real one.
    write_program(folder / "ldconfig", f"cat <<'END'\n{listed}\nEND")


def test_nothing_is_said_or_done_when_everything_is_there(tools: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    for name in ("ffmpeg", "ffprobe", "g++"):
        write_program(folder / name, "")
    write_program(folder / "apt-get", "exit 9")
    write_ldconfig(folder, ALL_LIBRARIES)
    done = ensure_packages(tools, folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_missing_programs_and_libraries_are_named_with_their_packages(tools: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    write_program(folder / "ffmpeg", "")
    write_program(folder / "g++", "")
    write_program(folder / "id", "echo 1000")
    write_ldconfig(folder, ALL_LIBRARIES.replace("libEGL.so.1", "libOther.so.1"))
    done = ensure_packages(tools, folder)
    assert done.returncode == 1
    assert "not installed: ffprobe libEGL.so.1" in done.stderr
    assert "apt-get install ffmpeg libegl1" in done.stderr
    assert "dnf install" in done.stderr


def test_root_on_debian_gets_the_packages_installed(tools: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    write_program(folder / "id", "echo 0")
    write_ldconfig(folder, ALL_LIBRARIES)
    install = 'for name in ffmpeg ffprobe g++; do cat "$0" >"$HERE/$name"; chmod +x "$HERE/$name"; done'
    write_program(folder / "apt-get", f'echo "$*" >>"$HERE/calls"; [ "$1" = update ] || {{ {install}; }}')
    done = ensure_packages(tools, folder)
    assert done.returncode == 0, done.stderr
    calls = (folder / "calls").read_text().splitlines()
    assert calls[0].startswith("update")
    assert calls[1].startswith("install -y") and calls[1].endswith(" ffmpeg g++")


def test_check_runs_the_tests_last_and_fails_when_a_linter_does(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/check", tmp_path / "scripts/check")
    for name in ("ruff", "mypy", "pytest"):
        write_program(tmp_path / ".venv/bin" / name, f'echo "ran {name} $*"; [ {name} != mypy ]')
    done = subprocess.run(
        ["sh", str(tmp_path / "scripts/check"), "-k", "scene"], capture_output=True, text=True, cwd="/"
    )
    assert done.returncode == 1
    ran = [line for line in done.stdout.splitlines() if line.startswith("ran")]
    assert ran[:3] == ["ran ruff format --check .", "ran ruff check .", "ran mypy "]
    assert re.fullmatch(r"ran pytest -n [1-4] --dist worksteal -k scene", ran[3]) and len(ran) == 4
    assert "failed: mypy" in done.stderr
