"""What flow from outside says about a time between two frames, and how it becomes a picture."""

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from tests.conftest import texture
from vsrrin.errors import FrameSizeError
from vsrrin.nets.parts.candidates import (
    PLANES,
    CandidateNet,
    Motion,
    candidates,
    enlarged,
    frame_weights,
    mixed,
    moved,
    prior,
    whole_flow,
)
from vsrrin.nets.parts.warp import EXACT, SHARP, backward_warp


def time(*values: float) -> Tensor:
    return torch.tensor(values).view(-1, 1, 1, 1)


def constant(*values: float, height: int = 16, width: int = 24) -> Tensor:
    """A map that is the same everywhere."""
    return torch.tensor(values).view(1, -1, 1, 1).expand(1, len(values), height, width).contiguous()


class NoPicture(CandidateNet):
    """What all networks of the kind have in common, and nothing else."""

    def picture(self, img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor) -> Tensor:
        raise AssertionError("not asked for")

    def residues(self, img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor) -> tuple[Tensor]:
        raise AssertionError("not asked for")


def test_estimate_is_the_flow_and_how_far_its_directions_disagree(pair):
    estimate = NoPicture().estimate(pair.img0, pair.img1, pair.flow)
    assert estimate.shape == (1, 6, 32, 48)
    assert torch.equal(estimate[:, :4], pair.flow)
    assert estimate[:, 4:, 4:-4, 4:-4].max() < 0.01
    wrong = NoPicture().estimate(pair.img0, pair.img1, pair.flow * constant(1.0, 1, -1, -1, height=32, width=48))
    # (3, -2) px away from where it started, in pixels of half size.
    assert torch.allclose(wrong[:, 4:], torch.tensor(13.0).sqrt().add(1).log(), atol=1e-3)


def test_flow_of_another_shape_is_refused(pair):
    with pytest.raises(FrameSizeError, match=r"NoPicture.estimate: flow must have shape \(1, 4, 32, 48\)"):
        NoPicture().estimate(pair.img0, pair.img1, pair.flow[:, :2])


@pytest.mark.parametrize("t", [0.25, 0.5, 0.875])
def test_residues_of_the_middle_are_moved_along_and_those_of_flow_grow_with_time(t):
    dx, dy = 4.0, -8.0
    motion = Motion.of(constant(dx, dy, -dx, -dy, height=48, width=64), time(t))
    middle = texture(48, 64)[:, :1].expand(1, 28, 48, 64) * torch.linspace(1, 2, 28).view(1, -1, 1, 1)
    result = torch.cat(moved(middle, motion, time(t)), 1)
    # A point that is at p at time t is at p + (1/2 - t) v in the middle.
    by = -(0.5 - t) * dx, -(0.5 - t) * dy
    expected = texture(48, 64, by)[:, :1] * torch.linspace(1, 2, 28).view(1, -1, 1, 1)
    expected = torch.cat((expected[:, :2] * 2 * t, expected[:, 2:4] * 2 * (1 - t), expected[:, 4:]), 1)
    inner = (..., slice(8, -8), slice(8, -8))
    assert (result - expected)[inner].abs().max() < 0.02
    assert (result - middle)[inner].abs().max() < 1e-6 if t == 0.5 else (result - middle)[inner].abs().max() > 0.1


@pytest.mark.parametrize("t", [0.25, 0.5])
def test_all_kinds_of_flow_agree_on_constant_motion(t):
    motion = Motion.of(constant(3.0, -2.0, -3.0, 2.0), time(t))
    forth = constant(3.0, -2.0)
    assert torch.allclose(motion.mean, forth, atol=1e-5)
    for to_0, to_1 in motion.flows(time(t)):
        assert torch.allclose(to_0, -t * forth, atol=1e-5)
        assert torch.allclose(to_1, (1 - t) * forth, atol=1e-5)


def test_a_change_is_added_to_the_projected_flow_alone():
    motion = Motion.of(constant(3.0, -2.0, -3.0, 2.0), time(0.5))
    changed = motion.flows(time(0.5), constant(1.0, 2.0, 3.0, 4.0))
    before = motion.flows(time(0.5))
    assert torch.allclose(changed[0][0] - before[0][0], constant(1.0, 2.0))
    assert torch.allclose(changed[0][1] - before[0][1], constant(3.0, 4.0))
    assert all(torch.equal(a, b) for k in (1, 2) for a, b in zip(changed[k], before[k], strict=True))


def test_flow_is_read_where_the_point_comes_from():
    """The left half moves right by 8 px over a still right half: at t = 1/2 the edge has moved by 4 px, which flow read
    at the pixel itself misses."""
    forth, back = torch.zeros(1, 2, 24, 64), torch.zeros(1, 2, 24, 64)
    forth[:, 0, :, :32] = 4.0
    back[:, 0, :, :36] = -4.0
    projected, by_forth, by_back = Motion.of(torch.cat((forth, back), 1), time(0.5)).flows(time(0.5))
    at = 32  # just right of where the edge was: what is there now came from the left
    assert by_forth[0][0, 0, 12, at] == pytest.approx(0.0)  # flow at the pixel itself is still zero: read once
    assert projected[0][0, 0, 12, at] == pytest.approx(-1.0)  # half of one, half of the other
    assert by_back[0][0, 0, 12, at] == pytest.approx(-2.0)


def test_candidates_are_both_frames_by_each_kind_of_flow():
    """The first kind is sampled sharply; flow is in pixels of half size."""
    chooser = torch.Generator().manual_seed(0)
    img0, img1 = torch.rand(2, 1, 3, 32, 48, generator=chooser)
    flows = [(constant(k + 0.25, 0.1), constant(-k, 0.6 - k)) for k in range(3)]
    planes = candidates(img0, img1, flows)
    assert len(planes) == PLANES
    for number, plane in enumerate(planes):
        kind, frame = divmod(number, 2)
        move = flows[kind][frame][0, :, 0, 0].mul(2).view(1, 2, 1, 1).expand(1, 2, 32, 48)
        expected = backward_warp((img0, img1)[frame], move, SHARP if kind == 0 else EXACT)
        assert torch.allclose(plane, expected, atol=1e-4)


@pytest.mark.parametrize("t", [0.25, 0.5])
def test_steady_candidates_are_the_frames_and_the_frames_moved_as_most_of_the_picture(t):
    torch.manual_seed(0)
    img0, img1 = torch.rand(2, 1, 3, 32, 48).unbind()
    estimate = torch.zeros(1, 6, 16, 24)
    estimate[:, 0], estimate[:, 3] = 2.0, 1.0  # of half the size, by one direction; the other one knows nothing of it
    estimate[:, :4, :4] = 50.0  # a part that moves otherwise
    flows = [(estimate[:, :2], estimate[:, 2:4])] * 3
    *others, still0, still1, moved0, moved1 = candidates(img0, img1, flows, whole_flow(estimate, time(t), 2))
    assert len(others) == PLANES
    assert torch.equal(still0, img0)
    assert torch.equal(still1, img1)
    for found, image, share in ((moved0, img0, -t), (moved1, img1, 1 - t)):
        by = torch.tensor([2.0, -1.0]).view(1, 2, 1, 1).expand(1, 2, 32, 48) * share
        assert torch.allclose(found, backward_warp(image, by), atol=1e-6)


@pytest.mark.parametrize("t", [0.001, 0.25, 0.5, 0.999])
def test_projected_candidates_come_first_and_frames_count_by_time(t):
    weights = torch.softmax(prior(time(t)), 1).flatten().tolist()
    assert weights[0] / weights[1] == pytest.approx((1 - t) / t, rel=0.2 if min(t, 1 - t) < 0.01 else 0.001)
    assert weights[2] / weights[0] == pytest.approx(math.exp(-2), rel=1e-4)
    assert weights[2:4] == pytest.approx(weights[4:])
    assert sum(weights) == pytest.approx(1)


def test_a_picture_is_the_sum_of_its_candidates():
    chooser = torch.Generator().manual_seed(0)
    planes = [torch.rand(2, 3, 6, 8, generator=chooser) for _ in range(PLANES)]
    planes[0] = planes[0].to(memory_format=torch.channels_last)
    before = [plane.clone() for plane in planes]
    weights = torch.rand(2, PLANES, 6, 8, generator=chooser)
    expected = torch.einsum("pnchw,nphw->nchw", torch.stack(planes), weights)
    assert torch.allclose(mixed(planes, weights), expected, atol=1e-6)
    with torch.enable_grad():
        assert torch.allclose(mixed(planes, weights), expected, atol=1e-6)
    assert all(map(torch.equal, planes, before))


def test_weights_of_the_frames_leave_time_out():
    even = frame_weights(torch.zeros(1, PLANES, 2, 2))
    assert torch.allclose(even, torch.full((1, 2, 2, 2), 0.5))
    # Whatever is added to the logits of frame 1, at any t its share is t w1 / ((1 - t) w0 + t w1).
    logits = torch.tensor((0.0, 1.5)).repeat(3).view(1, PLANES, 1, 1)
    w0, w1 = frame_weights(logits)[0, :, 0, 0].tolist()
    for t in (0.2, 0.5, 0.7):
        share = float(torch.softmax(prior(time(t)) + logits, 1)[0, 1::2].sum())
        assert t * w1 / ((1 - t) * w0 + t * w1) == pytest.approx(share, abs=1e-3)


@pytest.mark.parametrize("factor", [2, 4])
def test_enlarging_puts_channels_in_their_places(factor):
    x = torch.rand(2, 3 * factor**2, 5, 7, generator=torch.Generator().manual_seed(0))
    assert torch.equal(enlarged(x, factor), F.pixel_shuffle(x, factor))
    with torch.enable_grad():
        assert torch.equal(enlarged(x, factor), F.pixel_shuffle(x, factor))
    part = torch.cat((x, x), 1)[:, : 3 * factor**2]  # as networks slice it from more channels
    assert torch.equal(enlarged(part, factor), F.pixel_shuffle(x, factor))
