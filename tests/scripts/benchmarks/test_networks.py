"""The table of what the networks cost: its figures that do not depend on the machine, and its form."""

import json
from pathlib import Path

import pytest
import torch

from scripts.benchmarks import networks as benchmark
from vsrrin.nets import NETS
from vsrrin.nets.registry import by_name

LAYOUTS = Path(__file__).parents[2] / "data"


@pytest.mark.parametrize("name", ["rrin", "cain"])
def test_parameters_and_operations_are_those_of_the_published_networks(name: str) -> None:
    layout = json.loads((LAYOUTS / f"{name}.layout.json").read_text())
    assert benchmark.parameters(by_name(name)) == layout["total_parameters"]
    assert benchmark.flop(by_name(name)) / 1e9 == pytest.approx(layout["gflops_256x256"], rel=0.01)


def test_frames_show_one_picture_moved() -> None:
    img0, img1 = benchmark.frames(100, 60)
    assert img0.shape == img1.shape == (1, 3, 60, 100)
    assert (img0[..., 2:, 4:] - img1[..., :-2, :-4]).abs().max() == 0
    assert (img0 - img1).abs().max() > 0.1


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    benchmark.main(["--nets", "rrin_lite", "cain", "--size", "64x48", "--rounds", "1", "--memory", "64x48"])
    first, _, head, line, *rows = capsys.readouterr().out.splitlines()
    assert first.startswith("Random weights, ") and first.endswith("1 rounds")
    assert head == "| network | parameters | GFLOP 256x256 | s fp32 64x48 | s auto 64x48 | GB 64x48 |"
    assert line == "| --- | --- | --- | --- | --- | --- |"
    values = {row.split()[1]: [float(cell.split()[0]) for cell in row.split("|")[2:-1]] for row in rows}
    assert list(values) == ["rrin_lite", "cain"]
    assert values["cain"][:2] == pytest.approx([42.78, 86.98], abs=0.02)
    for _, _, fp32, auto, gigabytes in values.values():
        assert fp32 > 0 and auto > 0
        assert 0.1 < gigabytes < 4


def test_memory_is_that_of_a_process_of_its_own() -> None:
    """What this process holds does not count."""
    alone = benchmark.peak_memory(by_name("rrin_lite"), (64, 48))
    held = torch.ones(2**28)
    assert benchmark.own_peak() > held.nbytes
    assert 50e6 < benchmark.peak_memory(by_name("rrin_lite"), (64, 48)) < alone + held.nbytes / 2


def test_every_network_is_measured_unless_told_otherwise() -> None:
    assert benchmark.parse([]).nets == [spec.name for spec in NETS]


@pytest.mark.parametrize("options", [["--rounds", "-1"], ["--size", "64"], ["--memory", "0x4"], ["--nets", "x"]])
def test_wrong_options_end_with_the_usage(options: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        benchmark.main(options)
    assert stop.value.code == 2
