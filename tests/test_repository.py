"""What the repository promises a newcomer, and what it must not contain."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent


def tracked_files(*also: str) -> list[Path]:
    """The files of the repository; without git, everything that is not generated."""
    if (ROOT / ".git").exists():
        command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", *also]
        names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
        return [ROOT / name for name in names if name and (ROOT / name).is_file()]
    generated = {".venv", "demo", "build", "dist"}
    return [path for path in ROOT.rglob("*") if path.is_file() and not generated & set(path.relative_to(ROOT).parts)]


def text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def test_no_file_names_a_machines_folders_or_a_registrys_host() -> None:
    forbidden = re.compile(
        rf"{re.escape(str(ROOT))}\b|/home/[a-z]\w*/|/Users/[a-z]\w*/|/root/|pypi\.org|pythonhosted\.org|deb\.debian\.org"
    )
    own = Path(__file__).resolve()
    found = {
        str(path.relative_to(ROOT)): match.group()
        for path in tracked_files("--others", "--exclude-standard")
        if path != own and (match := forbidden.search(text_of(path)))
    }
    assert found == {}


def test_tests_keep_what_they_measure_to_themselves() -> None:
    code = "import platformdirs; print(platformdirs.user_cache_path('vsrrin', appauthor=False, opinion=False))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert Path(done.stdout).is_relative_to(tempfile.gettempdir())
    assert not Path(done.stdout).is_relative_to(Path.home() / ".cache")


def test_readme_gives_both_commands() -> None:
    readme = (ROOT / "README.md").read_text()
    for command in ("make demo", "make test"):
        assert re.search(rf"^\s*{command}\s*$", readme, re.MULTILINE), command


def requirements(project: dict[str, Any], texts: list[str]) -> Iterator[Requirement]:
    """What is required, with the requirements of the project's own extras in their place."""
    for requirement in map(Requirement, texts):
        if requirement.name == project["name"]:
            for extra in requirement.extras:
                yield from requirements(project, project["optional-dependencies"][extra])
        else:
            yield requirement


def test_constraints_hold_every_declared_requirement_at_an_allowed_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = list(requirements(project, [*project["dependencies"], "vsrrin[dev]"]))
    assert {"torch", "vsview", "matplotlib", "vapoursynth-mvtools", "pytest"} <= {each.name for each in declared}
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    for requirement in declared:
        assert requirement.specifier.contains(pinned[requirement.name.lower()]), requirement


def test_bundled_media_are_credited_and_small() -> None:
    media = [path for path in (ROOT / "media").iterdir() if path.name != "CREDITS.md"]
    credit = (ROOT / "media" / "CREDITS.md").read_text()
    assert [path.name for path in media if f"`{path.name}`" not in credit] == []
    assert "Creative Commons Attribution 3.0" in credit
    assert sum(path.stat().st_size for path in media) < 1_100_000
