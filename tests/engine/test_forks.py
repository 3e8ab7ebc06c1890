"""vsrrin.engine.forks: real forks, which must answer or refuse, and never wait for ever."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import BUNNY

SETUP = f"""
import os, sys
import torch
import vapoursynth as vs
import vsrrin

pictures = torch.rand(1, 3, 48, 64), torch.rand(1, 3, 48, 64)
clip = vs.core.std.BlankClip(width=64, height=48, format=vs.YUV420P8, length=4)
engine = vsrrin.Interpolator("draft")

def tensors():
    engine.interpolate(*pictures, [0.5])

def new_engine():
    vsrrin.Interpolator("draft").interpolate(*pictures, [0.5])

def script():
    vsrrin.interpolate(clip, model="draft").get_frame(1)

def file():
    vsrrin.convert_file({str(BUNNY)!r}, sys.argv[1], model="draft", end=2, overwrite=True)

def in_child(work):
    if os.fork() == 0:
        try:
            work()
            print("done", flush=True)
        except (vs.Error, vsrrin.VsrrinError) as error:
            print(error, flush=True)
        os._exit(0)
    os.wait()
"""


def said(code: str, folder: Path) -> list[str]:
    """What a program prints; one that waits for ever fails."""
    program = [sys.executable, "-W", "ignore", "-c", SETUP + code, str(folder / "out.mkv")]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.splitlines()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.parametrize("before", ["tensors", "script"])
def test_a_child_of_a_process_that_was_at_work_is_refused(before: str, tmp_path: Path) -> None:
    lines = said(f"{before}()\nfor work in (tensors, new_engine, script, file):\n    in_child(work)", tmp_path)
    assert len(lines) == 4
    for line in lines:
        assert "this process was forked from one that had used vsrrin" in line
        assert 'multiprocessing.get_context("spawn")' in line


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_child_of_a_process_that_has_not_begun_works_and_so_does_the_parent_after_it(tmp_path: Path) -> None:
    code = "for work in (tensors, new_engine, script, file):\n    in_child(work)\nscript(); print('parent')"
    assert said(code, tmp_path) == ["done"] * 4 + ["parent"]
