"""vsrrin.nets.parts.carried_motion: what moves further than it is wide is at its place in between."""

import pytest
import torch
from torch import Tensor

from tests.conftest import needs_numba
from vsrrin.nets.parts import fused
from vsrrin.nets.parts.carried_motion import carried, of_the_whole


def time(t: float) -> Tensor:
    return torch.full((1, 1, 1, 1), t)


def thing(motion: tuple[int, int], ground: tuple[float, float] = (0, 0)) -> tuple[Tensor, Tensor]:
    """Flow both ways of a square at (12..17, 20..25) that moves over a ground."""
    forth = torch.tensor(ground).view(1, 2, 1, 1).repeat(1, 1, 48, 64)
    back = -forth
    dx, dy = motion
    for flow, x, y, sign in ((forth, 20, 12, 1), (back, 20 + dx, 12 + dy, -1)):
        flow[0, :, y : y + 6, x : x + 6] = sign * torch.tensor(motion, dtype=torch.float32)[:, None, None]
    return forth, back


@pytest.fixture(params=["torch", pytest.param("numba", marks=needs_numba)], autouse=True)
def way_of_working(request, monkeypatch):
    if request.param == "torch":
        monkeypatch.setattr(fused, "kernels", lambda: None)


@pytest.mark.parametrize("t", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("ground", [(0.0, 0.0), (3.0, -1.0)])
def test_a_thing_is_at_its_place(t: float, ground: tuple[float, float]) -> None:
    forth, back = thing((24, 16), ground)
    read = torch.tensor(ground).view(1, 2, 1, 1).repeat(1, 1, 48, 64)
    with torch.inference_mode():
        found = carried(forth, back, time(t), read.clone())
    x, y = 20 + int(24 * t), 12 + int(16 * t)
    expected = read.clone()
    expected[0, :, y : y + 6, x : x + 6] = torch.tensor((24.0, 16.0))[:, None, None]
    assert torch.equal(found, expected)


def test_a_thing_is_whole_where_its_place_is_between_two_pixels() -> None:
    forth, back = thing((23, -7))
    read = torch.zeros_like(forth)
    with torch.inference_mode():
        found = carried(forth, back, time(0.5), read.clone())
    expected = read.clone()
    expected[0, :, 9:15, 32:38] = torch.tensor((23.0, -7.0))[:, None, None]
    assert torch.equal(found, expected)


def test_what_is_not_confirmed_is_not_carried() -> None:
    forth, back = thing((24, 16))
    read = torch.zeros_like(forth)
    with torch.inference_mode():
        assert torch.equal(carried(forth, torch.zeros_like(back), time(0.5), read.clone()), read)


def test_slow_things_and_whole_pictures_are_read_as_they_were() -> None:
    read = torch.randn(1, 2, 48, 64, generator=torch.Generator().manual_seed(0))
    for motion in ((4, 3), (0, 0)):
        forth, back = thing(motion)
        with torch.inference_mode():
            assert torch.equal(carried(forth, back, time(0.5), read.clone()), read)
    pan = torch.tensor((30.0, 0.0)).view(1, 2, 1, 1).repeat(1, 1, 48, 64)
    with torch.inference_mode():
        assert torch.equal(carried(pan, -pan, time(0.5), pan.clone()), pan)


def test_the_faster_of_two_is_in_front() -> None:
    """Two that meet half way."""
    forth, back = thing((24, 0))
    forth[0, :, 12:18, 32:38], back[0, :, 12:18, 32:38] = torch.tensor((0.0, 8.0))[:, None, None], 0
    forth[0, :, 8:14, 32:38] = torch.tensor((0.0, 8.0))[:, None, None]
    back[0, :, 16:22, 32:38] = -torch.tensor((0.0, 8.0))[:, None, None]
    with torch.inference_mode():
        found = carried(forth, back, time(0.5), torch.zeros_like(forth))
    assert (found[0, 0, 12:18, 32:38] == 24).all()


def test_motion_out_of_the_picture_is_left_out() -> None:
    forth, back = thing((24, 16))
    forth[0, 0, :, :8] = -40
    read = torch.zeros_like(forth)
    with torch.inference_mode():
        found = carried(forth, back, time(0.5), read.clone())
    assert (found[0, 0] >= 0).all()


@needs_numba
def test_both_ways_of_working_carry_the_same() -> None:
    random = torch.Generator().manual_seed(0)
    x, y = torch.meshgrid(torch.arange(83.0), torch.arange(60.0), indexing="xy")
    smooth = torch.stack((20 * torch.sin(y / 9), 14 * torch.cos(x / 11)))[None]
    forth = smooth + torch.randn(1, 2, 60, 83, generator=random) * 0.2
    back = -smooth + torch.randn(1, 2, 60, 83, generator=random) * 0.2
    read = torch.randn(1, 2, 60, 83, generator=random)
    with torch.inference_mode():
        here = carried(forth, back, time(0.3), read.clone())
    with torch.enable_grad():
        there = carried(forth, back, time(0.3), read.clone())
    assert (here != read).any()
    assert torch.equal(here, there)


def test_several_pictures_at_once_are_each_by_itself() -> None:
    pairs = [thing((24, 16)), thing((-12, 20), (2.0, 0.0))]
    times = torch.tensor((0.5, 0.25)).view(2, 1, 1, 1)
    forth, back = (torch.cat(flows) for flows in zip(*pairs, strict=True))
    with torch.inference_mode():
        together = carried(forth, back, times, torch.zeros_like(forth))
        for k, pair in enumerate(pairs):
            assert torch.equal(together[k : k + 1], carried(*pair, times[k : k + 1], torch.zeros_like(forth[:1])))


def test_motion_of_the_whole_is_that_of_most_places() -> None:
    forth, _ = thing((24, 16), (3.0, -1.0))
    assert of_the_whole(forth).flatten().tolist() == [3.0, -1.0]
