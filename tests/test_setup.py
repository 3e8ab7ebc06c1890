"""The set-up scripts, run with fake interpreters and programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fake_programs import link_tools, write_program

ROOT = Path(__file__).resolve().parent.parent
TOO_OLD = "sys.version_info = (3, 11, 7, 'final', 0)"
NO_VENV = "sys.modules['ensurepip'] = None"
NO_SHARED_LIBRARY = (
    "import builtins, io, sysconfig; keep = sysconfig.get_config_vars; builtins.open = lambda *a: io.StringIO(); "
    "sysconfig.get_config_vars = lambda *names: [None] * len(names) if names else keep()"
)
FREE_THREADED = "import sysconfig; sysconfig.get_config_var = lambda name: 1"


def write_python(path: Path, prelude: str = "pass") -> Path:
    """An interpreter that is this one, after `prelude` has changed what it believes about itself."""
    return write_program(path, f'exec "{sys.executable}" -c "import sys; {prelude}; exec(sys.argv[1])" "$2"')


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    return link_tools(tmp_path / "tools")


class Finder:
    """Runs `bootstrap find` with nothing on PATH but what a test has put there."""

    def __init__(self, folder: Path, tools: Path) -> None:
        self.path, self.home, self._tools = folder / "bin", folder / "home", tools

    def __call__(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self._tools / "sh"), str(ROOT / "scripts" / "bootstrap"), "find"],
            env={"PATH": f"{self.path}{os.pathsep}{self._tools}", "HOME": str(self.home), **environment},
            capture_output=True,
            text=True,
        )


@pytest.fixture
def find(tmp_path: Path, tools: Path) -> Finder:
    return Finder(tmp_path, tools)


def test_newest_named_interpreter_on_path_is_found(find: Finder) -> None:
    write_python(find.path / "python3")
    write_python(find.path / "python3.12")
    newest = write_python(find.path / "python3.13")
    assert find().stdout.strip() == str(newest)


@pytest.mark.parametrize(
    "prelude, reason",
    [
        (TOO_OLD, "is Python 3.11"),
        (NO_VENV, "-venv)"),
        (NO_SHARED_LIBRARY, "has no shared libpython"),
        (FREE_THREADED, "free-threaded"),
    ],
)
def test_unfit_interpreter_is_passed_over_for_the_right_reason(find: Finder, prelude: str, reason: str) -> None:
    write_python(find.path / "python3.13", prelude)
    alone = find()
    assert (alone.returncode, alone.stdout) == (1, "")
    assert reason in alone.stderr
    good = write_python(find.path / "python3.12")
    assert find().stdout.strip() == str(good)


def test_shim_that_fails_does_not_hide_pyenvs_own_interpreter(find: Finder) -> None:
    write_program(find.path / "python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    write_python(find.path / "python3", TOO_OLD)
    write_python(find.home / ".pyenv/versions/3.11.9/bin/python3", TOO_OLD)
    good = write_python(find.home / ".pyenv/versions/3.12.1/bin/python3")
    assert find().stdout.strip() == str(good)


def test_newest_of_pyenvs_versions_wins_by_number(find: Finder) -> None:
    newest = write_python(find.home / "own root/versions/3.13.10/bin/python3")
    write_python(find.home / "own root/versions/3.13.9/bin/python3")
    assert find(PYENV_ROOT=str(find.home / "own root")).stdout.strip() == str(newest)


def test_uv_is_asked_to_find_and_then_to_install(find: Finder) -> None:
    good = write_python(find.home / "uv python/bin/python3.13")
    uv = 'case "$2" in install) : >"$HOME/installed" ;; find) [ -e "$HOME/installed" ] && echo "{}" ;; esac'
    write_program(find.path / "uv", uv.replace("{}", str(good)))
    done = find()
    assert done.stdout.strip() == str(good)
    assert "asking uv" in done.stderr


def test_uv_without_network_is_reported_with_the_advice(find: Finder) -> None:
    write_program(find.path / "uv", '[ "$2" = find ] || { echo "error: dns" >&2; exit 1; }')
    done = find()
    assert done.returncode == 1
    assert "is the network reachable" in done.stderr
    assert "apt-get install python3" in done.stderr


def test_none_at_all_says_what_to_install(find: Finder) -> None:
    done = find()
    assert (done.returncode, done.stdout) == (1, "")
    for system in ("Debian", "Fedora", "Arch", "openSUSE", "uv python install", "pyenv install", "PYTHON="):
        assert system in done.stderr


def test_every_unfit_candidate_is_listed_with_its_reason(find: Finder) -> None:
    write_program(find.path / "python3.14", "echo 'pyenv: python3.14: command not found' >&2; exit 127")
    write_program(find.path / "python3.13", "exit 3")
    write_python(find.path / "python3.12", NO_VENV)
    write_python(find.path / "python3", TOO_OLD)
    write_python(find.path / "python", NO_SHARED_LIBRARY)
    done = find()
    assert done.returncode == 1
    reasons = {line.split(": ", 1)[0].strip(): line for line in done.stderr.splitlines() if str(find.path) in line}
    expected = {
        "python3.14": "command not found",
        "python3.13": "does not run",
        "python3.12": "-venv)",
        "python3": "is Python 3.11",
        "python": "has no shared libpython",
    }
    for name, reason in expected.items():
        assert reason in reasons[str(find.path / name)]


def test_interpreter_given_by_hand_is_taken_or_refused_but_never_replaced(find: Finder) -> None:
    write_python(find.path / "python3.13")
    old = write_python(find.home / "old python", TOO_OLD)
    good = write_python(find.home / "my python")
    assert find(PYTHON=str(good)).stdout.strip() == str(good)
    refused = find(PYTHON=str(old))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "is Python 3.11" in refused.stderr
    assert "no such program" in find(PYTHON="python9").stderr


# An interpreter whose venv and pip only take notes, so that a whole set-up runs in a moment.
NOTING_PYTHON = """
case "$1 $2" in
    "-m venv")
        echo venv >>notes
        mkdir -p .venv/bin .venv/lib/python3.12/site-packages
        cat "$0" >.venv/bin/python
        for program in python vapoursynth vspipe; do
            [ -e .venv/bin/$program ] || printf '#!/bin/sh\\n' >.venv/bin/$program
            chmod +x .venv/bin/$program
        done ;;
    "-m pip")
        [ "$3" != --version ] || exit 0
        echo "$*" >>notes
        [ ! -e slow ] || sleep 0.4
        [ ! -e refuse ] || exit 1
        : >.venv/lib/python3.12/site-packages/one.dist-info
        [ ! -e break ] || kill -9 $PPID
        ;;
    *) exec "{python}" -c "import sys; sys.base_prefix = '/elsewhere'; exec(sys.argv.pop(1))" "$2" "$3" "$4" ;;
esac
"""


class Checkout:
    """A copy of the files a set-up reads, in a folder whose name has spaces."""

    def __init__(self, folder: Path, tools: Path) -> None:
        self.folder = folder
        (folder / "scripts").mkdir(parents=True)
        for name in ("scripts/bootstrap", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, folder / name)
        self._python = write_program(folder.parent / "noting python", NOTING_PYTHON.replace("{python}", sys.executable))
        self._tools = tools

    def start(self, profile: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self._tools / "sh"), "scripts/bootstrap", profile],
            env={"PATH": str(self._tools), "PYTHON": str(self._python), "HOME": str(self.folder)},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def set_up(self, profile: str = "dev") -> tuple[int, str]:
        """Exit status and everything printed."""
        process = self.start(profile)
        printed, _ = process.communicate()
        return process.returncode, printed

    def notes(self) -> list[str]:
        """What the interpreter was asked to do since the last call."""
        path = self.folder / "notes"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines


@pytest.fixture
def checkout(tmp_path: Path, tools: Path) -> Checkout:
    return Checkout(tmp_path / "my checkout", tools)


def test_set_up_installs_once_and_then_does_nothing(checkout: Checkout) -> None:
    status, printed = checkout.set_up()
    assert status == 0, printed
    made, installed = checkout.notes()
    assert made == "venv"
    assert installed.startswith("-m pip install")
    assert installed.endswith("-c constraints.txt -e .[dev]")
    assert checkout.set_up() == (0, "")
    assert checkout.notes() == []


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_changed_requirements_are_installed_into_the_same_environment(checkout: Checkout, name: str) -> None:
    checkout.set_up()
    checkout.notes()
    with (checkout.folder / name).open("a") as file:
        file.write("# changed\n")
    assert checkout.set_up()[0] == 0
    assert [note.split()[:3] for note in checkout.notes()] == [["-m", "pip", "install"]]


def test_demo_needs_less_than_dev_and_is_content_with_it(checkout: Checkout) -> None:
    checkout.set_up("demo")
    assert checkout.notes()[-1].endswith("-e .")
    checkout.set_up("dev")
    assert checkout.notes()[-1].endswith("-e .[dev]")
    assert checkout.set_up("demo") == (0, "")
    assert checkout.notes() == []


def test_failed_installation_is_reported_and_repeated_in_the_same_environment(checkout: Checkout) -> None:
    (checkout.folder / "refuse").touch()
    status, printed = checkout.set_up()
    assert status == 1
    assert "run the same command again" in printed
    (checkout.folder / "refuse").unlink()
    checkout.notes()
    assert checkout.set_up()[0] == 0
    assert [note.split()[0] for note in checkout.notes()] == ["-m"]


def test_interrupted_installation_never_counts_as_done(checkout: Checkout) -> None:
    (checkout.folder / "break").touch()
    assert checkout.set_up()[0] != 0
    (checkout.folder / "break").unlink()
    checkout.notes()
    status, printed = checkout.set_up()
    assert status == 0
    assert "half installed" in printed
    assert checkout.notes()[0] == "venv"


def test_broken_environment_is_made_anew(checkout: Checkout) -> None:
    checkout.set_up()
    checkout.notes()
    (checkout.folder / ".venv/bin/python").unlink()
    status, printed = checkout.set_up()
    assert status == 0
    assert "does not run" in printed
    assert checkout.notes()[0] == "venv"


def test_moved_checkout_gets_a_new_environment(checkout: Checkout) -> None:
    checkout.set_up()
    checkout.notes()
    checkout.folder = checkout.folder.rename(checkout.folder.with_name("moved checkout"))
    status, printed = checkout.set_up()
    assert status == 0
    assert "another folder" in printed
    assert checkout.notes()[0] == "venv"


def test_environment_made_by_hand_is_used_but_never_deleted(checkout: Checkout) -> None:
    checkout.set_up()
    (checkout.folder / ".venv/made-for").unlink()
    (checkout.folder / ".venv/installed-dev").unlink()
    checkout.notes()
    assert checkout.set_up()[0] == 0
    assert [note.split()[0] for note in checkout.notes()] == ["-m"]
    (checkout.folder / ".venv/bin/python").unlink()
    status, printed = checkout.set_up()
    assert status == 1
    assert "was not made by this script" in printed
    assert (checkout.folder / ".venv").is_dir()


def test_vspipe_that_does_not_run_fails_the_set_up(checkout: Checkout) -> None:
    checkout.set_up()
    write_program(checkout.folder / ".venv/bin/vspipe", "echo 'Failed to initialize VSScript' >&2; exit 1")
    (checkout.folder / ".venv/installed-dev").unlink()
    status, printed = checkout.set_up()
    assert status == 1
    assert "Failed to initialize VSScript" in printed
    assert not (checkout.folder / ".venv/installed-dev").exists()


def test_two_set_ups_at_once_install_once(checkout: Checkout) -> None:
    (checkout.folder / "slow").touch()
    both = [checkout.start("dev"), checkout.start("dev")]
    printed = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], printed
    assert [note.split()[0] for note in checkout.notes()] == ["venv", "-m"]
