"""RAFT against results of the published implementation, and the two ways to look correlation up.

tests/data/raft_large.npz and raft_small.npz hold frames and the flow that upstream gives for them in float32 with
weights made from the keys (see `keyed_state`), for a size that fits and for one that upstream pads.
"""

import copy
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from vsrrin.nets.parts.precision import to_precision
from vsrrin.nets.parts.raft import RAFT, canonical_keys, is_small
from vsrrin.nets.parts.raft_corr import AllPairs, OnDemand, correlation, volume_bytes
from vsrrin.nets.raft_rrin import SPEC as RAFT_RRIN

DATA = Path(__file__).resolve().parents[2] / "data"
SIZES = ("large", "small")
LAYOUT = {size: json.loads((DATA / f"raft_{size}.layout.json").read_text()) for size in SIZES}
# float32 itself makes 4e-5 of difference in the small net.
TOLERANCE = {"large": 1e-4, "small": 2e-4}
INNER_TOLERANCE = 1e-3
# Largest and mean difference from float32 in pixels, for flow of up to 19 px.
HALF_TOLERANCE = {torch.bfloat16: (0.8, 0.08), torch.float16: (0.1, 0.01)}


@pytest.fixture(scope="module")
def reference() -> dict[str, dict[str, Tensor]]:
    found = {}
    for size in SIZES:
        with np.load(DATA / f"raft_{size}.npz") as file:
            found[size] = {key: torch.from_numpy(file[key]) for key in file.files if key != "meta"}
    return found


def made_state(keyed_state, size: str) -> dict[str, Tensor]:
    """Weights by the rule of the reference; what upstream registers twice has one value."""
    state = keyed_state(RAFT(small=size == "small"), LAYOUT[size]["gains"])
    for entry in LAYOUT[size]["files"][0]["keys"]:
        if "alias_of" in entry:
            state[entry["key"]] = state[entry["alias_of"]]
    return state


@pytest.fixture(scope="module")
def nets(keyed_state) -> dict[str, RAFT]:
    made = {}
    for size in SIZES:
        net = RAFT(small=size == "small").eval().requires_grad_(False)
        net.load_state_dict(made_state(keyed_state, size))
        made[size] = net
    return made


@pytest.fixture(params=SIZES)
def size(request) -> str:
    return str(request.param)


def texture(height: int, width: int) -> Tensor:
    """Smooth noise, (1, 3, height, width) in [0, 1]."""
    coarse = torch.rand(1, 3, height // 6 + 2, width // 6 + 2, generator=torch.Generator().manual_seed(1))
    return F.interpolate(coarse, (height, width), mode="bicubic", align_corners=False).clamp(0, 1)


def to_torchvision(state: dict[str, Tensor], *, small: bool) -> dict[str, Tensor]:
    """The same weights under the names of torchvision's raft_large or raft_small, built up from its structure."""
    found: dict[str, Tensor] = {}

    def put(theirs: str, ours: str) -> None:
        values = {key.removeprefix(ours): value for key, value in state.items() if key.startswith(f"{ours}.")}
        assert small or values or "fnet" in ours, ours
        found.update({theirs + key: value for key, value in values.items()})

    for theirs, ours in (("feature_encoder", "fnet"), ("context_encoder", "cnet")):
        put(f"{theirs}.convnormrelu.0", f"{ours}.conv1")
        put(f"{theirs}.convnormrelu.1", f"{ours}.norm1")
        for block in (f"layer{layer}.{index}" for layer in (1, 2, 3) for index in (0, 1)):
            for number in (1, 2, 3) if small else (1, 2):
                put(f"{theirs}.{block}.convnormrelu{number}.0", f"{ours}.{block}.conv{number}")
                put(f"{theirs}.{block}.convnormrelu{number}.1", f"{ours}.{block}.norm{number}")
            if block in ("layer2.0", "layer3.0"):
                put(f"{theirs}.{block}.downsample.0", f"{ours}.{block}.downsample.0")
                put(f"{theirs}.{block}.downsample.1", f"{ours}.{block}.downsample.1")
        put(f"{theirs}.conv", f"{ours}.conv2")
    theirs, ours = "update_block.motion_encoder", "update_block.encoder"
    for number in (1,) if small else (1, 2):
        put(f"{theirs}.convcorr{number}.0", f"{ours}.convc{number}")
    for number in (1, 2):
        put(f"{theirs}.convflow{number}.0", f"{ours}.convf{number}")
    put(f"{theirs}.conv.0", f"{ours}.conv")
    for gate in "zrq":
        for number in (1,) if small else (1, 2):
            name = f"update_block.gru.conv{gate}{'' if small else number}"
            put(f"update_block.recurrent_block.convgru{number}.conv{gate}", name)
    for number in (1, 2):
        put(f"update_block.flow_head.conv{number}", f"update_block.flow_head.conv{number}")
    if not small:
        put("mask_predictor.convrelu.0", "update_block.mask.0")
        put("mask_predictor.conv", "update_block.mask.2")
    return found


def test_keys_and_shapes_are_the_published_ones(nets, size):
    expected = [(entry["key"], tuple(entry["shape"])) for entry in LAYOUT[size]["files"][0]["keys"]]
    assert [(key, tuple(value.shape)) for key, value in nets[size].state_dict().items()] == expected
    assert sum(p.numel() for p in nets[size].parameters()) == LAYOUT[size]["total_parameters"]


def test_made_weights_are_those_of_the_reference(nets, size):
    digest = hashlib.sha256()
    for key, value in nets[size].state_dict().items():
        digest.update(key.encode() + value.numpy().tobytes())
    assert digest.hexdigest() == LAYOUT[size]["files"][0]["weights_sha256"]


def test_no_two_tensors_of_the_state_dict_share_memory(nets, size):
    places = [value.data_ptr() for value in nets[size].state_dict().values()]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("limit", [2**28, 0], ids=["all pairs", "on demand"])
@pytest.mark.parametrize("case", ["a", "b"])
def test_flow_is_that_of_upstream(nets, reference, size, case, limit):
    net = copy.copy(nets[size])
    net.volume_bytes = limit
    flow = net(reference[size][f"{case}.frame0"], reference[size][f"{case}.frame1"])
    error = (flow - reference[size][f"{case}.out"]).abs().max()
    print(f"{size}, case {case}: largest error {error:.1e}")
    assert error < TOLERANCE[size]


def test_inner_flows_are_those_of_upstream(nets, reference, size):
    net, frames = copy.copy(nets[size]), (reference[size]["a.frame0"], reference[size]["a.frame1"])
    steps: list[Tensor] = []
    handle = net.update_block.flow_head.register_forward_hook(lambda _module, _args, step: steps.append(step))
    net(*frames)
    handle.remove()
    low = torch.stack(steps).sum(0)
    net.iterations = 1
    first = net(*frames)
    errors = [
        float((low - reference[size]["a.inner.flow_low"]).abs().max()),
        float((first - reference[size]["a.inner.flow_iters1"]).abs().max()),
    ]
    print(errors)
    assert len(steps) == 12
    assert max(errors) < INNER_TOLERANCE


def test_both_directions_are_those_of_two_calls(nets, reference, size):
    img0, img1 = reference[size]["b.frame0"], reference[size]["b.frame1"]
    calls: list[int] = []
    handle = nets[size].fnet.register_forward_hook(lambda *_: calls.append(1))
    both = nets[size].bidirectional(img0, img1)
    handle.remove()
    assert len(calls) == 2  # once per frame
    assert both.shape == (1, 4, 133, 171)
    assert torch.equal(both[:, :2], nets[size](img0, img1))
    assert torch.equal(both[:, 2:], nets[size](img1, img0))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (8, 8), (127, 9), (64, 130), (120, 128)])
def test_frames_too_small_for_upstream_are_padded(nets, size, height, width):
    image = texture(height, width)
    flow = nets[size](image, image.flip(-1))
    assert flow.shape == (1, 2, height, width)
    assert torch.isfinite(flow).all()
    x, y = max(width + -width % 8, 128) - width, max(height + -height % 8, 128) - height
    around = (x // 2, x - x // 2, y // 2, y - y // 2)
    whole = nets[size](F.pad(image, around, "replicate"), F.pad(image.flip(-1), around, "replicate"))
    assert torch.equal(flow, whole[..., around[2] : around[2] + height, around[0] : around[0] + width])


def test_inputs_stay_and_samples_do_not_touch(nets, reference, size):
    img0, img1 = reference[size]["a.frame0"], reference[size]["a.frame1"]
    before = img0.clone()
    both = nets[size](torch.cat((img0, img1)), torch.cat((img1, img0)))
    assert torch.equal(img0, before)
    # One convolution of two frames rounds otherwise than two of one, and twelve iterations amplify that.
    assert torch.allclose(both[:1], nets[size](img0, img1), atol=INNER_TOLERANCE)
    assert torch.allclose(both[1:], nets[size](img1, img0), atol=INNER_TOLERANCE)


def test_batch_norm_keeps_its_statistics_in_training(nets, reference):
    net = copy.deepcopy(nets["large"]).train()
    flow = net(reference["large"]["a.frame0"], reference["large"]["a.frame1"])
    assert torch.equal(flow, nets["large"](reference["large"]["a.frame0"], reference["large"]["a.frame1"]))
    assert torch.equal(net.cnet.norm1.running_mean, nets["large"].cnet.norm1.running_mean)


@pytest.mark.parametrize("dtype", HALF_TOLERANCE)
def test_half_precision_is_near_float32(nets, reference, size, dtype):
    frames = reference[size]["a.frame0"], reference[size]["a.frame1"]
    flow = to_precision(copy.deepcopy(nets[size]), dtype)(*frames)
    difference = (flow - nets[size](*frames)).abs()
    print(f"{size}, {dtype}: {difference.max():.3f}, mean {difference.mean():.4f}")
    largest, mean = HALF_TOLERANCE[dtype]
    assert flow.dtype == torch.float32
    assert 0 < difference.max() < largest
    assert difference.mean() < mean


def plain_correlation(features0: Tensor, features1: Tensor, flow: Tensor, radius: int) -> Tensor:
    """Correlation by its definition, pixel by pixel."""
    channels, height, width = features0.shape[1:]
    side = 2 * radius + 1
    result = torch.zeros(1, 4 * side * side, height, width)
    pooled = features1
    for level in range(4):
        rows, columns = pooled.shape[2:]
        for y in range(height):
            for x in range(width):
                at_x, at_y = ((float(flow[0, i, y, x]) + p) / 2**level for i, p in ((0, x), (1, y)))
                for k in range(side * side):
                    px, py = at_x + k // side - radius, at_y + k % side - radius
                    left, top = int(np.floor(px)), int(np.floor(py))
                    for i, j in ((0, 0), (1, 0), (0, 1), (1, 1)):
                        if 0 <= left + i < columns and 0 <= top + j < rows:
                            weight = (1 - abs(px - left - i)) * (1 - abs(py - top - j))
                            dot = features0[0, :, y, x] @ pooled[0, :, top + j, left + i]
                            result[0, level * side * side + k, y, x] += weight * dot / channels**0.5
        pooled = F.avg_pool2d(pooled, 2)
    return result


@pytest.mark.parametrize("made", [AllPairs, OnDemand])
def test_correlation_is_that_of_its_definition(made):
    generator = torch.Generator().manual_seed(0)
    features0, features1 = (torch.randn(1, 5, 17, 19, generator=generator) for _ in range(2))
    flow = torch.randn(1, 2, 17, 19, generator=generator) * 6
    found = made(features0, features1, 1)(flow)
    assert torch.allclose(found, plain_correlation(features0, features1, flow, 1), atol=1e-5)


@pytest.mark.parametrize("scale", [0.0, 3.0, 40.0, 1e30])
def test_both_ways_to_look_up_agree(scale):
    generator = torch.Generator().manual_seed(2)
    features0, features1 = (torch.randn(2, 16, 35, 50, generator=generator) for _ in range(2))
    flow = torch.randn(2, 2, 35, 50, generator=generator) * scale
    first, second = (made(features0, features1, 4)(flow) for made in (AllPairs, OnDemand))
    assert first.shape == (2, 324, 35, 50)
    assert torch.allclose(first, second, atol=1e-5)
    assert bool(first.any()) == (scale < 1e3)


def test_the_way_to_look_up_goes_by_size():
    features = torch.zeros(1, 1, 16, 24)
    needed = volume_bytes(16, 24)
    assert needed == 4 * (16 * 24) * (16 * 24 + 8 * 12 + 4 * 6 + 2 * 3)
    assert isinstance(correlation(features, features, radius=3, limit=needed), AllPairs)
    assert isinstance(correlation(features, features, radius=3, limit=needed - 1), OnDemand)


def test_both_ways_to_look_up_carry_the_same_gradient():
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(1, 4, 18, 20, generator=generator)
    flow = torch.randn(1, 2, 18, 20, generator=generator) * 4
    gradients = []
    for made in (AllPairs, OnDemand):
        learned = features.clone().requires_grad_(True)
        with torch.enable_grad():
            made(learned, learned.flip(-1), 2)(flow).square().sum().backward()
        gradients.append(learned.grad)
    assert gradients[0] is not None and gradients[1] is not None
    assert gradients[0].abs().max() > 1
    assert torch.allclose(gradients[0], gradients[1], rtol=1e-4, atol=1e-4)


def test_checkpoints_of_the_authors_are_canonical_but_for_their_prefix(keyed_state, size):
    state = made_state(keyed_state, size)
    for given in (state, {f"module.{key}": value for key, value in state.items()}):
        found = canonical_keys(given)
        assert found is not None
        assert list(found) == list(state)
        assert all(torch.equal(value, state[key]) for key, value in found.items())
        assert is_small(found) == (size == "small")


def test_checkpoints_of_torchvision_become_those_of_the_authors(keyed_state, size):
    state = made_state(keyed_state, size)
    theirs = to_torchvision(state, small=size == "small")
    # What torchvision's model has: nothing twice.
    assert len(theirs) == {"large": 169, "small": 106}[size]
    found = canonical_keys(theirs)
    assert found is not None
    assert list(found) == list(state)
    assert all(torch.equal(value, state[key]) for key, value in found.items())


def test_other_weights_are_not_taken_for_raft(keyed_state, live_net, spec):
    assert canonical_keys(live_net(spec).state_dict()) is None
    assert canonical_keys({}) is None
    for state in (made_state(keyed_state, "large"), made_state(keyed_state, "small")):
        assert not spec.detect(state)
        assert canonical_keys({key: value for key, value in state.items() if key != "cnet.conv2.bias"}) is None
        assert canonical_keys({**state, "beta": torch.ones(1)}) is None
        assert canonical_keys({**state, "fnet.conv1.bias": torch.zeros(3)}) is None


def test_the_parts_of_raft_rrin_take_both_kinds(keyed_state, size):
    state = made_state(keyed_state, size)
    take = RAFT_RRIN.parts[0].take
    for given in (state, to_torchvision(state, small=size == "small")):
        found = take(given)
        assert found is not None
        assert list(found) == [f"raft.{key}" for key in state]
