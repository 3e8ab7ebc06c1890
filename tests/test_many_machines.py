"""Examples in which several processes or machines make one script's frames: the bytes of one vspipe, or an error."""

import hashlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.test_end_to_end import ROOT, assert_quiet, decode, environment, run, write_script

HOSTS = ROOT / "examples/hosts.vpy"
CHUNKS = ROOT / "examples/chunks.sh"
CALL = "vsrrin.interpolate(clip[:30], 2, model='draft')"
FRAMES = 60
Y4M_FRAME = 426 * 240 * 3 // 2 + len(b"FRAME\n")
PATIENCE = 3
"""Seconds after which a host that says nothing counts as lost."""

Serve = Callable[[Path], tuple[str, subprocess.Popen[bytes]]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """A function that has a script served by a process of its own, and returns address and process."""
    processes = []

    def start(script: Path) -> tuple[str, subprocess.Popen[bytes]]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        command = (sys.executable, "-m", "vsremote", "serve", str(script), "--address", address)
        with (tmp_path / f"{address[-5:]}.log").open("wb") as log:
            process = subprocess.Popen(command, cwd=tmp_path, env=environment(tmp_path), stdout=log, stderr=log)
        processes.append(process)
        return address, process

    yield start
    for process in processes:
        process.kill()
        process.wait()


def wait_until_served(*addresses: str) -> None:
    until = time.monotonic() + 120
    for address in addresses:
        while True:
            try:
                socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))).close()
                break
            except OSError:
                assert time.monotonic() < until, f"nobody serves {address}"
                time.sleep(0.1)


def piped_from(*addresses: str) -> list[str]:
    """The command that gets frames from hosts, in blocks of four."""
    settings = ("-a", f"hosts={','.join(addresses)}", "-a", "block=4", "-a", f"patience={PATIENCE}")
    return ["vspipe", *settings, "-c", "y4m", str(HOSTS), "-"]


def piped_until(size: int, act: Callable[[], object], folder: Path, *addresses: str) -> tuple[int, bytes, str]:
    """Status, stdout and stderr of the pipe when something happens after so many bytes of video."""
    with (folder / "said.txt").open("wb") as said:
        command, home = piped_from(*addresses), environment(folder)
        piped = subprocess.Popen(command, cwd=folder, env=home, stdout=subprocess.PIPE, stderr=said)
    with piped:
        assert piped.stdout is not None
        begun = piped.stdout.read(size)
        act()
        rest = piped.stdout.read()
    return piped.returncode, begun + rest, (folder / "said.txt").read_text()


def frames_made_by(address: str, folder: Path) -> int:
    done = run(folder, sys.executable, "-m", "vsremote", "top", "--json", "--address", address)
    return int(json.loads(done.stdout)["completed_frames"])


def test_frames_of_two_hosts_are_those_of_one_machine_and_one_goes_on_without_the_other(
    serve: Serve, tmp_path: Path
) -> None:
    script = write_script(tmp_path, CALL)
    (first, _), (second, process) = serve(script), serve(script)
    wanted = run(tmp_path, "vspipe", "-c", "y4m", str(script), "-").stdout
    assert wanted.count(b"FRAME\n") >= FRAMES
    wait_until_served(first, second)

    both = run(tmp_path, *piped_from(first, second))
    assert_quiet(both)
    assert hashlib.sha256(both.stdout).hexdigest() == hashlib.sha256(wanted).hexdigest()
    assert min(frames_made_by(first, tmp_path), frames_made_by(second, tmp_path)) > FRAMES // 4

    status, video, said = piped_until(10 * Y4M_FRAME, process.kill, tmp_path, first, second)
    assert status == 0, said
    assert f"{second} no longer answers; hosts left: 1" in said
    assert hashlib.sha256(video).hexdigest() == hashlib.sha256(wanted).hexdigest()


BLANK = "import vapoursynth as vs\nvs.core.std.BlankClip(format=vs.YUV420P8, length=400, color=[{}, 128, 128])"


def test_no_host_left_is_an_error_after_whole_frames(serve: Serve, tmp_path: Path) -> None:
    address, process = serve(write_script(tmp_path, "", BLANK.format(50)))
    wait_until_served(address)
    silence = partial(process.send_signal, signal.SIGSTOP)  # it stays connected
    status, video, said = piped_until(3_000_000, silence, tmp_path, address)
    assert status != 0
    assert "no host is left that could make frame" in said and address in said
    header, *frames = video.split(b"FRAME\n")
    grey = bytes([50]) * (640 * 480) + bytes([128]) * (640 * 480 // 2)
    assert header.startswith(b"YUV4MPEG2") and 0 < len(frames) < 400
    assert all(frame == grey for frame in frames)


def test_hosts_that_serve_different_frames_are_refused(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (first, _), (second, _) = (
        serve(write_script(tmp_path, "", BLANK.format(50))),
        serve(write_script(tmp_path / "a", "", BLANK.format(51))),
    )
    wait_until_served(first, second)
    done = run(tmp_path, *piped_from(first, second))
    assert done.returncode != 0 and done.stdout == b""
    assert f"{second} serves another clip than {first}" in done.stderr.decode()


DIES = """
import os
from pathlib import Path

def die(n, f):
    if n == 33 and Path("deadly").exists():
        Path("deadly").unlink()
        os.kill(os.getpid(), 9)
    return f

clip = {}
clip.std.ModifyFrame(clip, die)"""


def test_chunks_joined_decode_to_the_frames_of_one_vspipe_even_if_one_was_killed_and_made_again(
    tmp_path: Path,
) -> None:
    script = write_script(tmp_path, DIES.format(CALL))
    (tmp_path / "deadly").touch()
    lossless = {"ENCODE": "ffmpeg -v error -y -f yuv4mpegpipe -i - -c:v libx264 -qp 0 -preset ultrafast"}

    def chunks() -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [str(CHUNKS), str(script), "out.mkv", "20", "2"],
            cwd=tmp_path,
            env={**environment(tmp_path), **lossless},
            capture_output=True,
            timeout=600,
        )

    def whole() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out.mkv.chunks").glob("????????.mkv")}

    assert chunks().returncode != 0
    assert not (tmp_path / "deadly").exists() and not (tmp_path / "out.mkv").exists()
    before = whole()
    assert set(before) == {"00000000.mkv", "00000040.mkv"}  # frames 20 to 39 were killed

    again = chunks()
    assert_quiet(again)
    after = whole()
    assert after.keys() - before.keys() == {"00000020.mkv"} and before.items() <= after.items()
    single = run(tmp_path, "vspipe", "-c", "y4m", str(script), "-").stdout
    wanted = [np.frombuffer(frame, np.uint8) for frame in single.split(b"FRAME\n")[1:]]
    made, times = decode(tmp_path / "out.mkv")
    assert len(made) == len(wanted) == FRAMES
    assert all(np.array_equal(ours.ravel(), theirs) for ours, theirs in zip(made, wanted, strict=True))
    assert times == sorted(set(times))
