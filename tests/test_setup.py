"""The set-up script and the script that runs all checks, among fake interpreters and programs."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.machine import FEATURES

ROOT = Path(__file__).resolve().parent.parent
TOOLS = "sh cat chmod cksum dirname flock head mkdir rm sed sleep sort tr"

TOO_OLD = "sys.version_info = (3, 11, 7, 'final', 0)"
NO_VENV = "sys.modules['ensurepip'] = None"
NO_SHARED_LIBRARY = (
    "import builtins, io, sysconfig; keep = sysconfig.get_config_vars; builtins.open = lambda *a: io.StringIO(); "
    "sysconfig.get_config_vars = lambda *names: [None] * len(names) if names else keep()"
)
FREE_THREADED = "import sysconfig; sysconfig.get_config_var = lambda name: 1"
SHIM = "echo 'pyenv: python3: command not found\n\nNote: see others' >&2; exit 127"

PYTHON = """
case "$1 $2" in
    "-m venv")
        echo "venv by $0" >>notes
        mkdir -p .venv/bin
        cat "$0" >.venv/bin/python
        chmod +x .venv/bin/python ;;
    "-m pip")
        shift 2
        echo "pip $*" >>notes
        [ ! -e slow ] || sleep 0.4
        [ ! -e refuse ] || exit 1
        [ ! -e break ] || kill -9 $PPID ;;
    "-V ") echo "Python 3.13.0" ;;
    *)
        case $0 in .venv/*) prefix="sys.base_prefix = '/elsewhere'" ;; *) prefix=pass ;; esac
        exec "{python}" -c "import sys; {prelude}; $prefix; exec(sys.argv[1])" "$2" ;;
esac
"""
"""A stand-in for this interpreter that believes something else of itself, and whose venv and pip only take notes."""

UV = """
case "$1 $2" in
    "python find") [ -x "$HOME/uv/bin/python3" ] && echo "$HOME/uv/bin/python3" ;;
    "python install") [ ! -e offline ] && chmod +x "$HOME/uv/bin/python3" ;;
    *) echo "uv $*" >>notes; [ ! -e offline ] ;;
esac
"""


def program(path: Path, body: str) -> Path:
    """Write a shell script that can be run as `path`, and return `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def python(path: Path, prelude: str = "pass") -> Path:
    return program(path, PYTHON.replace("{python}", sys.executable).replace("{prelude}", prelude))


class Checkout:
    """A copy of the files that a set-up reads, in a folder whose name has spaces, and a machine without Python.

    Attributes:
        folder: The copy.
        home: The user's home.
        bin: The first folder on PATH.
    """

    def __init__(self, place: Path) -> None:
        self.folder, self.home, self.bin, self._tools = (
            place / name for name in ("my checkout", "home", "bin", "tools")
        )
        for folder in (self.folder / "scripts", self.home, self.bin, self._tools):
            folder.mkdir(parents=True)
        for name in ("scripts/bootstrap", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, self.folder / name)
        for name in TOOLS.split():
            (self._tools / name).symlink_to(str(shutil.which(name)))

    def start(self, profile: str = "demo", **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self._tools / "sh", self.folder / "scripts/bootstrap", profile],
            env={"PATH": f"{self.bin}{os.pathsep}{self._tools}", "HOME": str(self.home), **variables},
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def set_up(self, profile: str = "demo", **variables: str) -> tuple[int, str]:
        """Exit status and everything printed."""
        process = self.start(profile, **variables)
        printed, _ = process.communicate()
        return process.returncode, printed

    def notes(self) -> list[str]:
        """What interpreters and uv were asked to do since the last call."""
        path = self.folder / "notes"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.fixture
def ready(checkout: Checkout) -> Checkout:
    """A checkout that is set up."""
    python(checkout.bin / "python3")
    assert checkout.set_up()[0] == 0
    checkout.notes()
    return checkout


# The interpreter


def test_the_first_that_fits_is_taken_and_the_others_are_named_with_their_reasons(checkout: Checkout) -> None:
    program(checkout.bin / "python3.14", SHIM)
    python(checkout.bin / "python3.13", NO_VENV)
    python(checkout.bin / "python3.12", NO_SHARED_LIBRARY)
    python(checkout.bin / "python3", TOO_OLD)
    versions = checkout.home / ".pyenv/versions"
    python(versions / "3.14.1/bin/python3", FREE_THREADED)
    good = python(versions / "3.13.10/bin/python3")
    python(versions / "3.13.9/bin/python3")
    status, printed = checkout.set_up()
    assert (status, checkout.notes()[0]) == (0, f"venv by {good}"), printed
    found = dict(re.findall(r"passing over (\S+): (.+)", printed))
    expected = {
        "bin/python3.14": "pyenv: python3: command not found",
        "bin/python3.13": "ensurepip",
        "bin/python3.12": "no shared libpython",
        "bin/python3": "Python 3.11, not a 64-bit CPython 3.12 or newer",
        "home/.pyenv/versions/3.14.1/bin/python3": "free-threaded",
    }
    assert found.keys() == {str(checkout.bin.parent / name) for name in expected}
    for name, reason in expected.items():
        assert reason in found[str(checkout.bin.parent / name)]


def test_without_any_it_is_said_what_to_install(checkout: Checkout) -> None:
    status, printed = checkout.set_up()
    assert (status, checkout.notes()) == (1, [])
    for system in ("apt-get", "dnf", "pacman", "zypper", "uv python install", "pyenv install", "PYTHON="):
        assert system in printed


def test_one_given_by_hand_is_taken_or_refused_but_never_replaced(checkout: Checkout) -> None:
    python(checkout.bin / "python3")
    program(checkout.bin / "uv", UV)
    old, mine = python(checkout.home / "old python", TOO_OLD), python(checkout.home / "my python")
    status, printed = checkout.set_up(PYTHON=str(old))
    assert status == 1 and f"{old}: Python 3.11" in printed
    status, printed = checkout.set_up(PYTHON="python9")
    assert status == 1 and "PYTHON=python9: no such program" in printed
    assert checkout.notes() == []
    assert checkout.set_up(PYTHON=str(mine))[0] == 0
    assert checkout.notes()[0] == f"venv by {mine}"


def test_uv_gets_an_interpreter_where_none_fits_and_installs_into_its_environment(checkout: Checkout) -> None:
    program(checkout.bin / "uv", UV)
    from_uv = python(checkout.home / "uv/bin/python3")
    from_uv.chmod(0o644)
    status, printed = checkout.set_up()
    assert status == 0, printed
    assert checkout.notes() == [
        f"venv by {from_uv}",
        "uv pip install -q -c constraints.txt -e . --python .venv/bin/python",
    ]


def test_pip_installs_what_uv_cannot(ready: Checkout) -> None:
    program(ready.bin / "uv", UV)
    (ready.folder / "offline").touch()
    assert ready.set_up("demo")[0] == 0
    assert ready.notes() == []
    (ready.folder / "constraints.txt").write_text("changed")
    assert ready.set_up("demo")[0] == 0
    assert [note.split()[0] for note in ready.notes()] == ["uv", "pip"]


# The environment


def test_nothing_is_installed_until_something_has_changed(ready: Checkout) -> None:
    assert ready.set_up() == (0, "")
    for name in ("pyproject.toml", "constraints.txt"):
        with (ready.folder / name).open("a") as file:
            file.write("# changed\n")
        assert ready.set_up()[0] == 0
        assert ready.notes() == ["pip install -q -c constraints.txt -e ."]
    assert ready.set_up() == (0, "")


def test_a_failed_installation_is_reported_and_repeated_in_the_same_environment(checkout: Checkout) -> None:
    python(checkout.bin / "python3")
    (checkout.folder / "refuse").touch()
    status, printed = checkout.set_up()
    assert status == 1 and "run the same command to try again" in printed
    (checkout.folder / "refuse").unlink()
    assert checkout.set_up()[0] == 0
    assert [note.split()[0] for note in checkout.notes()] == ["venv", "pip", "pip"]


@pytest.mark.parametrize(
    ("fault", "said"), [("break", "half installed"), ("delete", "does not run"), ("move", "another folder")]
)
def test_an_environment_that_cannot_be_used_is_made_anew(ready: Checkout, fault: str, said: str) -> None:
    if fault == "break":
        (ready.folder / "break").touch()
        (ready.folder / "constraints.txt").write_text("changed")
        assert ready.set_up()[0] != 0
        (ready.folder / "break").unlink()
    elif fault == "delete":
        (ready.folder / ".venv/bin/python").unlink()
    else:
        ready.folder = ready.folder.rename(ready.folder.with_name("moved checkout"))
    ready.notes()
    status, printed = ready.set_up()
    assert status == 0 and said in printed
    assert [note.split()[0] for note in ready.notes()] == ["venv", "pip"]
    assert ready.set_up() == (0, "")


def test_an_environment_made_by_hand_is_used_but_never_deleted(ready: Checkout) -> None:
    for name in ("made-for", "installed"):
        (ready.folder / ".venv" / name).unlink()
    assert ready.set_up()[0] == 0
    assert [note.split()[0] for note in ready.notes()] == ["pip"]
    (ready.folder / ".venv/bin/python").unlink()
    status, printed = ready.set_up()
    assert status == 1 and "was not made here" in printed
    assert (ready.folder / ".venv").is_dir()


def test_two_set_ups_at_once_install_once(checkout: Checkout) -> None:
    python(checkout.bin / "python3")
    (checkout.folder / "slow").touch()
    both = [checkout.start(), checkout.start()]
    printed = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], printed
    assert [note.split()[0] for note in checkout.notes()] == ["venv", "pip"]


# Programs and libraries of the system

LIBRARIES = re.findall(r"\b(lib\S+?):", (ROOT / "scripts/bootstrap").read_text())


def system(checkout: Checkout, user: int, *lacking: str) -> None:
    """A machine that has what the tests need but for some, and an apt-get that brings programs."""
    names = [name for name in LIBRARIES if name not in lacking]
    listed = "\n".join(f"\t{name} (libc6,x86-64) => /lib/{name}" for name in names)
    # The script looks into the system's own folders as well, after those of PATH.
    program(checkout.bin / "ldconfig", f"cat <<'END'\n{listed}\nEND")
    program(checkout.bin / "id", f"echo {user}")
    program(
        checkout.bin / "apt-get",
        f'echo "apt-get $*" >>notes; [ -e offline ] && exit 100; cat "$0" >"{checkout.bin}/g++"',
    )
    for name in {"ffmpeg", "ffprobe", "g++", "chromium"} - {*lacking}:
        program(checkout.bin / name, "")


def test_missing_programs_and_libraries_are_named_with_their_packages(ready: Checkout) -> None:
    system(ready, 1000, "ffprobe", "libEGL.so.1")
    status, printed = ready.set_up("dev")
    assert (status, ready.notes()) == (1, [])
    assert "not installed here: ffprobe libEGL.so.1 (Debian, Ubuntu: apt-get install ffmpeg libegl1)" in printed
    (ready.bin / "chromium").unlink()
    assert "libEGL.so.1 chromium-headless-shell (Debian, Ubuntu: " in ready.set_up("dev")[1]
    for browser in ("google-chrome", "chromium-headless-shell"):
        program(ready.bin / browser, "")
        assert "chromium" not in ready.set_up("dev")[1]
        (ready.bin / browser).unlink()


def test_root_on_debian_gets_them_installed(ready: Checkout) -> None:
    system(ready, 0, "g++")
    (ready.folder / "offline").touch()
    status, _ = ready.set_up("dev")
    assert (status, ready.notes()) == (100, ["apt-get update -qq"])
    (ready.folder / "offline").unlink()
    assert ready.set_up("dev")[0] == 0
    update, install, pip = ready.notes()
    assert update == "apt-get update -qq"
    assert install.startswith("apt-get install -y") and install.endswith(" g++")
    assert pip == "pip install -q -c constraints.txt -e .[dev]"


def test_where_nothing_lacks_nothing_is_said_and_the_demo_is_content_with_more(ready: Checkout) -> None:
    system(ready, 0)
    assert ready.set_up("dev")[0] == 0
    assert [note.split()[0] for note in ready.notes()] == ["pip"]
    assert ready.set_up("dev") == ready.set_up("demo") == (0, "")


# All checks


@pytest.mark.parametrize("arguments", [(), ("-k", "scene")])
def test_check_runs_the_tests_last_and_fails_when_a_linter_does(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/check", tmp_path / "scripts/check")
    for name in ("ruff", "mypy", "lint-imports", "mkdocs", "pytest"):
        program(tmp_path / ".venv/bin" / name, f'echo "ran {name}${{1:+ $*}}"; [ {name} != mypy ]')
    done = subprocess.run(["sh", str(tmp_path / "scripts/check"), *arguments], capture_output=True, text=True, cwd="/")
    assert done.returncode == 1
    ran = [line for line in done.stdout.splitlines() if line.startswith("ran")]
    linters, tests = ran[:5], [re.sub("-n [1-4]", "-n N", line) for line in ran[5:]]
    assert linters[:3] == ["ran ruff format --check .", "ran ruff check .", "ran mypy"]
    assert linters[3:] == ["ran lint-imports", "ran mkdocs build --strict --quiet"]
    assert tests[0] == f"ran pytest -n N --dist worksteal {' '.join(arguments)}".strip()
    others = [line.split(" tests/")[0] for line in tests[1:]]
    assert others == [f"ran pytest -n N --dist worksteal --machine {','.join(FEATURES)}"] * (not arguments)
    assert "failed: mypy" in done.stderr
