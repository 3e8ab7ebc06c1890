"""The bilateral cost volume against values of the published implementation, and the warp that blanks the outside."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from vsrrin.nets.parts import bilateral
from vsrrin.nets.parts.bilateral import BMNet, cost_volume, inside, warp_inside
from vsrrin.nets.parts.warp import WarpArithmetic, backward_warp

DATA = Path(__file__).resolve().parents[2] / "data"


@pytest.fixture(scope="module")
def reference() -> dict[str, Tensor]:
    with np.load(DATA / "bmbc.npz") as file:
        return {key: torch.from_numpy(file[key]) for key in file.files if key.startswith("op.")}


@pytest.fixture
def features() -> tuple[Tensor, Tensor, Tensor]:
    """Features of two frames and a motion, two samples."""
    random = torch.Generator().manual_seed(3)
    feature0, feature1 = torch.randn(2, 2, 5, 10, 14, generator=random)
    return feature0, feature1, torch.randn(2, 2, 10, 14, generator=random) * 2


@pytest.mark.parametrize("t", ["0", "0.25", "0.5", "1"])
@pytest.mark.parametrize("radius", [2, 4])
def test_cost_volume_is_that_of_upstream(reference, radius, t):
    found = cost_volume(reference["op.feature0"], reference["op.feature1"], reference["op.bm"], float(t), radius)
    error = (found - reference[f"op.out.md{radius}.t{t}"]).abs().max()
    print(f"cost volume, radius {radius}, t={t}: largest error {error:.1e}")
    assert error < 1e-5


def test_cost_volume_does_not_depend_on_the_grouping(features, monkeypatch):
    whole = cost_volume(*features, 0.4, 2)
    monkeypatch.setattr(bilateral, "_GROUP_ELEMENTS", 1)
    assert torch.allclose(cost_volume(*features, 0.4, 2), whole, atol=1e-6)


def test_each_sample_has_its_own_time(features):
    t = torch.tensor([0.25, 0.6]).view(2, 1, 1, 1)
    both = cost_volume(*features, t, 2)
    for i, time in enumerate((0.25, 0.6)):
        alone = cost_volume(*(x[i : i + 1] for x in features), time, 2)
        assert torch.allclose(both[i : i + 1], alone, atol=1e-5)


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_times_next_to_a_frame_are_near_the_frames_own(features, end):
    near = torch.full((2, 1, 1, 1), abs(end - 1e-6))
    assert torch.allclose(cost_volume(*features, near, 2), cost_volume(*features, end, 2), atol=1e-3)


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (1, 0), (0, 1), (-2, 1)])
def test_cost_is_lowest_at_the_true_motion(dx, dy):
    """Frame 0 shows the point at -d, frame 1 at +d: displacement d, number (dy + 2) * 5 + dx + 2."""
    texture = torch.randn(1, 6, 40, 40, generator=torch.Generator().manual_seed(1))
    feature0 = texture[..., 10 + dy : 30 + dy, 10 + dx : 30 + dx]
    feature1 = texture[..., 10 - dy : 30 - dy, 10 - dx : 30 - dx]
    volume = cost_volume(feature0, feature1, torch.zeros(1, 2, 20, 20), 0.5, 2)
    assert (volume[0, :, 4:-4, 4:-4].argmax(0) == (dy + 2) * 5 + dx + 2).all()
    assert volume[0, :, 4:-4, 4:-4].amax(0).min() > 0.999


def test_cost_is_zero_where_a_displacement_leads_outside():
    feature = torch.ones(1, 3, 6, 8)
    volume = cost_volume(feature, feature, torch.zeros(1, 2, 6, 8), 0.5, 1).view(3, 3, 6, 8)
    assert torch.allclose(volume[1, 1], torch.ones(6, 8), atol=1e-5)
    right = volume[1, 2]  # frame 0 is read one column to the left, frame 1 one to the right
    assert not right[:, [0, -1]].any()
    assert torch.allclose(right[:, 1:-1], torch.ones(6, 6), atol=1e-5)


def test_half_precision_features_are_compared_in_float32(features):
    feature0, feature1, motion = features
    found = cost_volume(feature0.bfloat16(), feature1.bfloat16(), motion, 0.5, 2)
    assert found.dtype == torch.float32
    assert torch.equal(found, cost_volume(feature0.bfloat16().float(), feature1.bfloat16().float(), motion, 0.5, 2))


def test_cost_volume_leaves_its_inputs(features):
    before = [x.clone() for x in features]
    cost_volume(*features, 0.0, 1)
    assert all(torch.equal(x, y) for x, y in zip(before, features, strict=True))


def test_gradients_reach_features_and_motion(features):
    inputs = [x.clone().requires_grad_(True) for x in features]
    with torch.enable_grad():
        cost_volume(*inputs, torch.full((2, 1, 1, 1), 0.5), 1).square().sum().backward()
    assert all(x.grad is not None and x.grad.any() and torch.isfinite(x.grad).all() for x in inputs)


@pytest.mark.parametrize(("height", "width"), [(9, 13), (1, 6), (6, 1), (1, 1)])
def test_inside_is_what_a_warped_picture_of_ones_says(height, width):
    flow = torch.randn(3, 2, height, width, generator=torch.Generator().manual_seed(2)) * 3
    ones = torch.ones(3, 1, height, width)
    warped = backward_warp(ones, flow, WarpArithmetic(align_corners=True, divide_by="size-1", outside="zeros"))
    assert torch.equal(inside(flow), (warped >= 0.999).float())


def test_inside_bears_a_thousandth():
    assert inside(torch.full((1, 2, 1, 4), -0.0009)).flatten().tolist() == [1, 1, 1, 1]
    assert inside(torch.full((1, 2, 1, 4), -0.0011)).flatten().tolist() == [0, 1, 1, 1]


def test_warp_inside_blanks_what_comes_from_outside():
    image = torch.rand(1, 2, 5, 8, generator=torch.Generator().manual_seed(4)) + 1
    flow = torch.tensor([0.5, 0.0]).view(1, 2, 1, 1).expand(1, 2, 5, 8)
    out = warp_inside(image, flow)
    assert torch.allclose(out[..., :-1], (image[..., :-1] + image[..., 1:]) / 2, atol=1e-5)
    assert not out[..., -1].any()
    assert torch.allclose(warp_inside(image, torch.zeros(1, 2, 5, 8)), image, atol=1e-5)


def test_motion_at_both_ends_takes_numbers_and_times_alike():
    """The number 0 leaves out warps by no motion; a tensor of zeros makes them."""
    net = BMNet(widths=(4, 4, 8, 8, 8, 8), dense=(8, 8, 8, 4, 4), dilated=(8, 8, 8, 8, 4, 4)).eval()
    image0, image1 = torch.rand(2, 1, 3, 64, 96, generator=torch.Generator().manual_seed(5))
    found = net.features(image0), net.features(image1)
    assert {level: x.shape[-2:] for level, x in found[0].items()} == {
        level: (64 >> level - 1, 96 >> level - 1) for level in range(2, 7)
    }
    for end in (0.0, 1.0):
        motion = net(*found, end)
        assert motion.shape == (1, 2, 64, 96)
        assert torch.allclose(net(*found, torch.full((1, 1, 1, 1), end)), motion, atol=1e-3)
