"""Workers on this machine, and how they end."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest
from distributed import Client

from tests.convert.cluster.machines import convert_there, frames_of
from tests.convert.media.files import bunny
from vsrrin import ArgumentError
from vsrrin.convert import prepare
from vsrrin.convert.cluster.local import local_workers
from vsrrin.convert.cluster.worker import CORES
from vsrrin.convert.video import convert
from vsrrin.convert.work_folder import folder_of

HERE = sorted(os.sched_getaffinity(0))
COUNT = min(len(HERE), 2)
Settings = partial(prepare.Settings, model="draft", segment_frames=8, device="cpu")
COMMAND = [sys.executable, "-m", "vsrrin", "convert", "in.mkv", "out.mkv", "--model", "draft", "--workers", str(COUNT)]


def test_each_worker_has_its_share_of_the_cores(tmp_path: Path) -> None:
    source = bunny(tmp_path, "in.mkv", frames=16)
    convert(Settings(source, tmp_path / "whole.mkv"))
    with local_workers(COUNT, "cpu") as address:
        convert_there(address, Settings(source, tmp_path / "out.mkv"))
        with Client(address, set_as_default=False) as client:
            found = client.run(lambda: (os.environ["VSRRIN_CORES"], sorted(os.sched_getaffinity(0))))
    assert frames_of(tmp_path / "out.mkv") == frames_of(tmp_path / "whole.mkv")
    assert CORES == "VSRRIN_CORES"
    shares = sorted(share for _, share in found.values())
    assert len(shares) == COUNT
    assert [core for share in shares for core in share] == HERE
    assert all(text == ",".join(map(str, share)) for text, share in found.values())


@pytest.mark.parametrize("count", [0, -1, len(HERE) + 1])
def test_a_number_of_workers_that_cannot_be(count: int) -> None:
    with (
        pytest.raises(ArgumentError, match=rf"workers must be 1 to {len(HERE)}, the number of cores here, not {count}"),
        local_workers(count),
    ):
        pass


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_the_command(kind: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C reaches all of them at once, a kill the command alone."""
    bunny(tmp_path, "in.mkv", frames=250)
    with subprocess.Popen(
        COMMAND, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as command:  # fmt: skip
        assert command.stderr is not None
        said = [next(command.stderr)]
        children = psutil.Process(command.pid).children(recursive=True)
        (os.killpg if kind == signal.SIGINT else os.kill)(command.pid, kind)
        said += command.stderr
    assert len(children) >= COUNT
    assert psutil.wait_procs(children, timeout=100)[1] == []
    assert "frames" in said[0]
    assert not (tmp_path / "out.mkv").exists()
    if kind == signal.SIGINT:
        assert command.returncode == 130
        assert "Traceback" not in "".join(said)
        assert said[-1] == "vsrrin: interrupted: out.mkv is not written\n"
        assert not list(folder_of(tmp_path / "out.mkv").glob("*.part"))
