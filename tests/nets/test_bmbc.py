"""BMBC against results of the published implementation.

tests/data/bmbc.npz holds frames and the results that upstream gives for them in float32 with weights made from the
keys of its three files (see `keyed_state`), for a size that fits its motion network and for one that it stretches;
tests/data/bmbc.layout.json has the keys, the shapes and digests of those weights.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from vsrrin.nets import rrin, rrin_lite
from vsrrin.nets.bmbc import BMBC, SPEC, dynamic_filter, with_border
from vsrrin.nets.parts.precision import to_precision

DATA = Path(__file__).resolve().parent.parent / "data"
LAYOUT = json.loads((DATA / "bmbc.layout.json").read_text())
PARTS = [entry["part"] for entry in LAYOUT["files"]]
TOLERANCE = 1e-4
# From frame 0 to frame 1 of `pair` and back.
TRUE_FLOW = (3.0, -2.0, -3.0, 2.0)


@pytest.fixture(scope="module")
def reference() -> dict[str, Tensor]:
    with np.load(DATA / "bmbc.npz") as file:
        return {key: torch.from_numpy(file[key]) for key in file.files if key != "meta"}


@pytest.fixture(scope="module")
def net(keyed_state) -> BMBC:
    net = BMBC().eval().requires_grad_(False)
    for part in PARTS:
        net.get_submodule(part).load_state_dict(keyed_state(net.get_submodule(part), LAYOUT["gains"]))
    return net


def small_net() -> BMBC:
    """A net of few channels with fresh weights."""
    widths, dense, dilated = (4, 4, 8, 8, 8, 12), (8, 8, 6, 4, 4), (8, 8, 8, 6, 4, 4)
    net = BMBC(context=5, widths=widths, dense=dense, dilated=dilated, channels=8, growth=4, blocks=2, layers=3)
    return net.eval().requires_grad_(False)


def choosing_net(candidate: int) -> BMBC:
    """A net that returns one of its candidates, and whose bilateral motion is that of `pair`."""
    net = small_net()
    output, motion = net.DFNet.Conv_Output, net.BMNet.get_submodule("dc_conv7")
    for layer in (output, motion, net.BMNet.get_submodule("predict_flow2")):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    output.bias[candidate * 25 + 12] = 100  # the tap in the middle
    motion.bias[0], motion.bias[1] = TRUE_FLOW[0] / 2 / 20, TRUE_FLOW[1] / 2 / 20
    return net


def flow_like(image: Tensor) -> Tensor:
    return torch.tensor(TRUE_FLOW).view(1, 4, 1, 1).expand(1, 4, *image.shape[-2:])


def time(t: float) -> Tensor:
    return torch.full((1, 1, 1, 1), t)


def test_keys_and_shapes_are_the_published_ones(net):
    expected = [
        (f"{file['part']}.{entry['key']}", tuple(entry["shape"])) for file in LAYOUT["files"] for entry in file["keys"]
    ]
    assert [(key, tuple(value.shape)) for key, value in net.state_dict().items()] == expected
    assert sum(p.numel() for p in net.parameters()) == LAYOUT["total_parameters"]


@pytest.mark.parametrize("file", LAYOUT["files"], ids=PARTS)
def test_made_weights_are_those_of_the_reference(net, file):
    digest = hashlib.sha256()
    for key, value in net.get_submodule(file["part"]).state_dict().items():
        digest.update(key.encode() + value.numpy().astype("<f4").tobytes())
    assert digest.hexdigest() == file["weights_sha256"]


@pytest.mark.parametrize("t", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("case", ["a", "b"])
def test_result_is_that_of_upstream(net, reference, case, t):
    result = net(reference[f"{case}.frame0"], reference[f"{case}.frame1"], time(t))
    error = (result - reference[f"{case}.t{t}.out"]).abs().max()
    print(f"case {case}, t={t}: largest error {error:.1e}")
    assert error < TOLERANCE


def test_motion_is_that_of_upstream(net, reference):
    img0, img1 = reference["a.frame0"], reference["a.frame1"]
    flow = net.estimate(img0, img1)
    found = {"flow_0_1": flow[:, :2], "flow_1_0": flow[:, 2:], "bm": net.motion_at(img0, img1, time(0.5))}
    errors = {name: float((value - reference[f"a.t0.5.inner.{name}"]).abs().max()) for name, value in found.items()}
    print(errors)
    assert max(errors.values()) < 1e-3


def test_samples_between_pixels_as_upstreams_torch_did(net, reference):
    """Newer torch leaves the corners unaligned if upstream's code is run with it: that is another picture."""
    other = reference["alt.grid_sample_default_of_torch_1_4_and_later"]
    assert (net(reference["a.frame0"], reference["a.frame1"], time(0.5)) - other).abs().max() > 0.1


def test_deconv2_is_published_but_not_used(net, reference):
    img0, img1 = (reference[f"a.frame{i}"][..., :32, :32] for i in range(2))
    before = net(img0, img1, time(0.5))
    layer = net.BMNet.get_submodule("deconv2")
    weight = layer.weight.clone()
    layer.weight.zero_()
    try:
        assert torch.equal(net(img0, img1, time(0.5)), before)
    finally:
        layer.weight.copy_(weight)


@pytest.mark.parametrize("t", [0.25, 0.5, 0.8])
@pytest.mark.parametrize("candidate", range(6))
def test_every_candidate_is_the_true_picture_if_its_motion_is(pair, candidate, t):
    net = choosing_net(candidate)
    out = net.synthesize(pair.img0, pair.img1, flow_like(pair.img0), time(t))
    assert torch.allclose(out[..., 4:-4, 4:-4], pair.at(t)[..., 4:-4, 4:-4], atol=0.02)
    assert (out - pair.img0).abs().max() > 0.1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("candidate", [1, 4])
def test_half_precision_does_not_shift_the_right_of_wide_frames(pair, candidate, dtype):
    """Column 2301 is no number of either type; texture of a few pixels shows it."""
    net = to_precision(choosing_net(candidate), dtype)
    img0, img1 = pair.at(0, 32, 2304), pair.at(1, 32, 2304)
    out = net.synthesize(img0, img1, flow_like(img0), time(0.5))
    assert torch.allclose(out[..., 4:-4, 4:-4], pair.at(0.5, 32, 2304)[..., 4:-4, 4:-4], atol=0.02)


def test_motion_is_stretched_to_the_frames(pair):
    """39x70 is estimated on as 64x96; its pixels are larger than the frame's."""
    net = choosing_net(4)
    img0, img1 = pair.img0[..., :39, :70], pair.img1[..., :39, :70]
    motion = net.motion_at(img0, img1, time(0.5))
    assert motion.shape == (1, 2, 39, 70)
    expected = torch.tensor([1.5 * 70 / 96, -1.0 * 39 / 64]).view(1, 2, 1, 1).expand_as(motion)
    assert torch.allclose(motion, expected, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 40), (37, 1), (5, 3), (31, 33), (65, 97)])
def test_every_size(height, width):
    net = small_net()
    img0, img1 = torch.rand(2, 1, 3, height, width, generator=torch.Generator().manual_seed(6))
    estimate = net.estimate(img0, img1)
    assert estimate.shape == (1, 4, height, width)
    assert estimate.dtype == torch.float32
    out = net.synthesize(img0, img1, estimate, time(0.3))
    assert out.shape == img0.shape
    assert torch.isfinite(out).all()
    assert 0 <= out.min() <= out.max() <= 1


@pytest.mark.parametrize("t", [1e-6, 1e-3, 1 - 1e-3, 1 - 1e-6])
def test_times_next_to_a_frame(pair, t):
    out = choosing_net(0 if t < 0.5 else 1).synthesize(pair.img0, pair.img1, flow_like(pair.img0), time(t))
    near = pair.img0 if t < 0.5 else pair.img1
    assert torch.allclose(out[..., 1:-1, 1:-1], near[..., 1:-1, 1:-1], atol=2e-3)


def test_samples_of_a_batch_have_their_own_times(net, reference):
    img0, img1 = reference["a.frame0"][..., :33, :40], reference["a.frame1"][..., :33, :40]
    t = torch.tensor([0.2, 0.9]).view(2, 1, 1, 1)
    both = net(torch.cat((img0, img1)), torch.cat((img1, img0)), t)
    assert torch.allclose(both[:1], net(img0, img1, t[:1]), atol=TOLERANCE)
    assert torch.allclose(both[1:], net(img1, img0, t[1:]), atol=TOLERANCE)


def test_dynamic_filter_is_a_weighted_sum_over_all_taps():
    random = torch.Generator().manual_seed(7)
    pictures = torch.rand(2, 6, 3, 7, 9, generator=random)
    weights = torch.randn(2, 150, 7, 9, generator=random).softmax(1)
    taps = F.unfold(pictures.flatten(0, 1), 5, padding=2).view(2, 6, 3, 25, 7, 9)
    expected = (taps * weights.view(2, 6, 1, 25, 7, 9)).sum((1, 3))
    assert torch.allclose(dynamic_filter(with_border(pictures), weights), expected, atol=1e-6)


def test_filters_of_a_band_are_those_of_the_whole(pair, monkeypatch):
    net = small_net()
    whole = net(pair.img0, pair.img1, time(0.5))
    monkeypatch.setattr("vsrrin.nets.bmbc._BAND_PIXELS", 96 * 7)
    assert torch.allclose(net(pair.img0, pair.img1, time(0.5)), whole, atol=1e-5)


def test_detects_only_its_own_keys(net, live_net):
    state = net.state_dict()
    assert SPEC.detect(state)
    assert SPEC.detect(small_net().state_dict())
    for key in ("context_layer.weight", "BMNet.conv1a.0.weight", "BMNet.dc_conv7.weight", "DFNet.SFE_First.weight"):
        assert not SPEC.detect({k: v for k, v in state.items() if k != key})
    assert not SPEC.detect({**state, "DFNet.Conv_Output.weight": torch.zeros(149, 32, 3, 3)})
    assert not SPEC.detect({**state, "context_layer.weight": torch.zeros(32, 3, 7, 7)})
    assert not SPEC.detect({key: torch.zeros(1) for key in state})
    for other in (rrin.SPEC, rrin_lite.SPEC):
        assert not SPEC.detect(live_net(other).state_dict())


def test_parts_are_told_by_their_keys(net, live_net):
    def parts_of(state):
        return [part.name for part in SPEC.parts if part.take(state) is not None]

    for part in PARTS:
        own = net.get_submodule(part).state_dict()
        assert parts_of(own) == [part]
    assert parts_of(net.state_dict()) == []
    assert parts_of(live_net(rrin.SPEC).state_dict()) == []
    assert parts_of({}) == []
    assert parts_of({"weight": torch.zeros(10, 3)}) == []
    assert parts_of({"weight": torch.zeros(64, 3, 7, 7), "bias": torch.zeros(64)}) == []


def test_the_parts_taken_make_the_whole(net):
    state: dict[str, Tensor] = {}
    for part in SPEC.parts:
        taken = [part.take(net.get_submodule(name).state_dict()) for name in PARTS]
        assert [name for name, found in zip(PARTS, taken, strict=True) if found is not None] == [part.name]
        state |= next(found for found in taken if found is not None)
    assert list(state) == list(net.state_dict())
    net.load_state_dict(state)


def test_sizes_come_from_the_shapes():
    small = small_net()
    built = SPEC.build(small.state_dict(), "published")
    assert {k: v.shape for k, v in built.state_dict().items()} == {k: v.shape for k, v in small.state_dict().items()}
