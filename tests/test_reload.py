"""A previewer replaces VapourSynth's core at every reload: the filter must work in the new one and let the old one go.

Checked with vsengine's pytest plugin, which fails if anything holds on to a core that is gone. As soon as one test of a
session is marked for it, the plugin keeps a policy of its own registered, under which ordinary tests have no core; so
these run in a session of their own.
"""

import os
import subprocess
import sys
from pathlib import Path

CASES = Path(__file__).with_name("reload_cases.py")
ROOT = CASES.parents[1]

LEAK = """
import pytest
import vapoursynth as vs
import vsrrin

kept = []


@pytest.mark.vpy("initial-core", "reloaded-core")
def test_keeps_a_core() -> None:
    kept.append(vs.core.std.BlankClip)
    assert vsrrin.interpolate(vs.core.std.BlankClip(None, 64, 64, length=2)).num_frames == 4
"""


def run(file: Path) -> tuple[int, str]:
    """Exit status and everything said by a session of pytest on one file."""
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--color=no"]
    command += ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT), str(file)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**environment, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr


def test_filter_works_after_a_reload_and_nothing_of_the_old_core_is_held() -> None:
    status, said = run(CASES)
    assert status == 0, said
    for case in (
        "test_filter_works_in_this_core[initial-core] PASSED",
        "test_filter_works_in_this_core[reloaded-core] PASSED",
        "@check-clean-environment[initial-core] PASSED",
        "@check-clean-environment[reloaded-core] PASSED",
        "test_two_scripts_at_once_and_many_reloads[no-core] PASSED",
    ):
        assert case in said, said
    assert "still in use" not in said
    assert "Core freed but" not in said


def test_the_check_finds_a_core_that_is_held(tmp_path: Path) -> None:
    file = tmp_path / "test_leak.py"
    file.write_text(LEAK)
    status, said = run(file)
    assert status == 1, said
    assert "left a dangling object to a vapoursynth core" in said
    assert "2 passed" in said  # the tests themselves; what comes after each of them fails
