"""Teams of processes, and signals."""

import os
import signal
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from tests.training.tiny import ALONE
from training.errors import TrainingError
from training.run.processes import SIGNALS, Stop, join


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)


def test_a_process_alone_is_a_team_of_one() -> None:
    team = join("cpu")
    assert (team.rank, team.world, team.leads, team.device.type) == (0, 1, True, "cpu")
    values = torch.tensor([1.0, 2.0])
    assert team.mean(values) is values and team.share("x") == "x"
    net = nn.Linear(1, 1)
    assert team.wrap(net, all_used=True) is net
    team.leave()


def test_an_environment_that_is_not_torchrun_s_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(TrainingError, match=r"RANK, WORLD_SIZE, .* must be numbers: .*'two'"):
        join("cpu")


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_noted_and_the_second_ends_the_process(number: signal.Signals) -> None:
    stop = Stop(shared=False)
    stop.listen()
    assert not stop.asked
    os.kill(os.getpid(), number)
    assert stop.asked
    assert all(signal.getsignal(each) is signal.SIG_DFL for each in SIGNALS)


def test_a_process_of_torchrun_stands_both_signals_of_one_ctrl_c() -> None:
    stop = Stop(shared=True)
    stop.listen()
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGINT)
    assert stop.asked and ALONE.leads
