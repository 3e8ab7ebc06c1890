"""Workers, a scheduler and a client that are killed: what is finished stays, and the frames are the same in the end."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.convert.cluster.machines import Machines, convert_there, frames_of
from tests.convert.media.files import larger_bunny
from vsrrin import ConvertError
from vsrrin.convert import prepare
from vsrrin.convert.cluster.sharing import Sharing
from vsrrin.convert.run import Progress
from vsrrin.convert.video import convert
from vsrrin.convert.work_folder import folder_of

FRAMES = 64
Settings = partial(prepare.Settings, model="draft", segment_frames=8)
CLIENT = """
import sys
from pathlib import Path
from tests.convert.cluster.machines import convert_there
from vsrrin.convert.prepare import Settings

address, source, target = sys.argv[1:]
settings = Settings(Path(source), Path(target), model="draft", segment_frames=8)
convert_there(address, settings, progress=lambda state: print(state.frames_done, flush=True))
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return larger_bunny(tmp_path_factory.mktemp("source"), FRAMES // 2)


@pytest.fixture(scope="module")
def whole(source: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a run has that nothing interrupts."""
    target = tmp_path_factory.mktemp("whole") / "out.mp4"
    convert(Settings(source, target))
    return frames_of(target)


@pytest.fixture
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    found = Machines(tmp_path_factory.mktemp("machines"))
    yield found
    found.end()


def test_workers_are_killed_one_after_the_other(machines: Machines, source: Path, whole: str, tmp_path: Path) -> None:
    """Then there is none, until a new one comes."""
    machines.begin("one", "two")
    said: list[str] = []

    def kill(state: Progress) -> None:
        if state.frames_done >= 4 and "one" in machines.workers:
            machines.kill("one")
        if state.frames_done >= FRAMES // 2 and "two" in machines.workers:
            machines.kill("two")
        if not machines.workers and any(text.startswith("no worker is at") for text in said):
            machines.begin("three")

    convert_there(machines, Settings(source, tmp_path / "out.mp4"), progress=kill, said=said)
    assert frames_of(tmp_path / "out.mp4") == whole
    # The second may be killed before the first one's end is noticed.
    gone = {text.split(" on ")[0] for text in said if "has gone" in text}
    assert gone == {"worker one", "worker two"}


def test_a_worker_dies_between_finishing_a_segment_and_telling_so(
    machines: Machines, source: Path, whole: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dask waits for ever for another one of its address."""
    machines.begin("one", "two")
    result = Sharing._result

    def kill(self: Sharing, member: Any, future: Any) -> Any:
        if member.number is not None and len(machines.workers) == 2:
            machines.kill(member.name)
        return result(self, member, future)

    monkeypatch.setattr(Sharing, "_result", kill)
    said: list[str] = []
    convert_there(machines, Settings(source, tmp_path / "out.mp4"), said=said)
    assert frames_of(tmp_path / "out.mp4") == whole
    assert sum("has gone: frames" in text for text in said) == 1


def test_the_client_is_killed(machines: Machines, source: Path, whole: str, tmp_path: Path) -> None:
    """The workers stop, and are there for the next client."""
    machines.begin("one", "two")
    target = tmp_path / "out.mp4"
    command = [sys.executable, "-c", CLIENT, machines.address, str(source), str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        for line in client.stdout:
            if int(line) >= FRAMES // 2:
                client.send_signal(signal.SIGKILL)
    assert not target.exists()
    kept = len(list(folder_of(target).glob("*.nut")))
    assert kept >= 1
    copy = tmp_path / "alone.mp4"
    copied = folder_of(copy)
    copied.mkdir()
    for file in folder_of(target).iterdir():
        (copied / file.name).write_bytes(file.read_bytes())
    result = convert_there(machines, Settings(source, target, resume=True))
    assert result.resumed_frames == 8 * kept
    assert frames_of(target) == whole
    convert(Settings(source, copy, resume=True))
    assert frames_of(copy) == whole


def test_the_scheduler_is_killed(
    source: Path, whole: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    target = tmp_path / "out.mp4"
    machines = Machines(tmp_path_factory.mktemp("machines"))
    said: list[str] = []

    def kill(state: Progress) -> None:
        if state.frames_done >= FRAMES // 2:
            os.kill(machines.scheduler.pid, signal.SIGKILL)

    try:
        machines.begin("one")
        with pytest.raises(ConvertError, match=rf"the scheduler {machines.address} does not answer any more .*again"):
            convert_there(machines, Settings(source, target), progress=kill, said=said)
    finally:
        machines.end()
    assert not target.exists()
    assert "are finished and kept" in said[-1]
    result = convert(Settings(source, target, resume=True))
    assert result.resumed_frames >= 8
    assert frames_of(target) == whole


def test_a_segment_that_kills_its_workers(
    machines: Machines, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not given to one after the other for ever."""
    names = [str(number) for number in range(3)]
    machines.begin(
        *names, preload="import vsrrin.convert.cluster.worker as w, os; w.write_segment = lambda *_: os._exit(1)"
    )
    with pytest.raises(
        ConvertError, match=r"3 workers died while they made frames 0 to 63, the last of them worker \d"
    ):
        convert_there(machines, Settings(source, tmp_path / "out.mp4", segment_frames=100))
    assert not list(tmp_path.iterdir())
