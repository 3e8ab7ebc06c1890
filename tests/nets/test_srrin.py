"""SRRIN against results of the published implementation.

tests/data/srrin.npz holds frames and the results that the fork gives for them in float32 with weights made from the
keys (see `keyed_state`), for a size that fits and for one that its loader pads, at the top and on the right;
tests/data/srrin.layout.json has the keys, the shapes and a digest of those weights.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from vsrrin.checkpoint import loader
from vsrrin.nets import identify
from vsrrin.nets.parts.precision import to_precision
from vsrrin.nets.parts.softsplat import splat_softmax
from vsrrin.nets.parts.warp import PUBLISHED, backward_warp
from vsrrin.nets.srrin import SPEC, SRRIN

DATA = Path(__file__).resolve().parent.parent / "data"
LAYOUT = json.loads((DATA / "srrin.layout.json").read_text())
KEYS = LAYOUT["files"][0]["keys"]
TOLERANCE = 1e-4


def published(net: SRRIN) -> SRRIN:
    """The net with the fork's name of the flow network."""
    net.Flow = net.Flow_L
    del net.Flow_L
    return net


def ours(key: str) -> str:
    return key.replace("Flow.", "Flow_L.") if key.startswith("Flow.") else key


@pytest.fixture(scope="module")
def reference() -> dict[str, Tensor]:
    with np.load(DATA / "srrin.npz") as file:
        return {key: torch.from_numpy(file[key]) for key in file.files if key != "meta"}


@pytest.fixture(scope="module")
def state(keyed_state) -> dict[str, Tensor]:
    """Weights under the published names."""
    made: dict[str, Tensor] = keyed_state(published(SRRIN()), LAYOUT["gains"])
    return made


@pytest.fixture(scope="module")
def net(state) -> SRRIN:
    net = SRRIN().eval().requires_grad_(False)
    net.load_state_dict({ours(key): value for key, value in state.items()})
    return net


def run(net: SRRIN, reference: dict[str, Tensor], case: str, t: float) -> Tensor:
    """One case, padded to 16 as the fork's loader does."""
    img0, img1 = reference[f"{case}.frame0"], reference[f"{case}.frame1"]
    height, width = img0.shape[-2:]
    padding = (0, -width % 16, -height % 16, 0)
    img0, img1 = (F.pad(x, padding, mode="replicate") for x in (img0, img1))
    result: Tensor = net(img0, img1, torch.full((1, 1, 1, 1), t))
    return result[..., -height:, :width]


def still(arithmetic: str) -> SRRIN:
    """A small net whose output layers are all zero: no flow, an even mask, no residue."""
    net = SRRIN(arithmetic, width=4).eval()
    for part in (net.Mask, net.Flow_L, net.refine_flow, net.final):
        torch.nn.init.zeros_(part.last.weight)
        torch.nn.init.zeros_(part.last.bias)
    return net


def test_keys_and_shapes_are_the_published_ones(net):
    found = {key: tuple(value.shape) for key, value in net.state_dict().items()}
    assert list(found.items()) == [(ours(entry["key"]), tuple(entry["shape"])) for entry in KEYS]
    assert sum(p.numel() for p in net.parameters()) == LAYOUT["total_parameters"]


def test_made_weights_are_those_of_the_reference(state):
    digest = hashlib.sha256()
    for entry in KEYS:
        digest.update(entry["key"].encode() + state[entry["key"]].numpy().astype("<f4").tobytes())
    assert digest.hexdigest() == LAYOUT["files"][0]["weights_sha256"]


@pytest.mark.parametrize("t", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("case", ["a", "b"])
def test_result_is_that_of_upstream(net, reference, case, t):
    error = (run(net, reference, case, t) - reference[f"{case}.t{t}.out"]).abs().max()
    print(f"case {case}, t={t}: largest error {error:.1e}")
    assert error < TOLERANCE


def test_inner_values_are_those_of_upstream(net, reference):
    img0, img1, t = reference["a.frame0"], reference["a.frame1"], torch.full((1, 1, 1, 1), 0.5)
    logits: list[Tensor] = []
    handle = net.Mask.register_forward_hook(lambda _module, _args, out: logits.append(out))
    estimate = net.estimate(img0, img1)
    net.synthesize(img0, img1, estimate, t)
    handle.remove()
    flow_t_0, flow_t_1 = net.flow_at(img0, img1, estimate, t)
    warped1 = backward_warp(img1, flow_t_1, PUBLISHED)
    metric = net.metric(img0, warped1)
    found = {
        "flow_t_0": flow_t_0,
        "flow_t_1": flow_t_1,
        "mask": torch.sigmoid(logits[0]),
        "warp_1": warped1,
        "metric": metric,
        "splat_0": splat_softmax(img0, flow_t_0, metric),
    }
    errors = {name: float((value - reference[f"a.t0.5.inner.{name}"]).abs().max()) for name, value in found.items()}
    print(errors)
    assert max(errors.values()) < TOLERANCE


@pytest.mark.parametrize(
    ("arithmetic", "name"),
    [
        ("early", "before_2020_09_03_on_torch_1_4_and_later"),
        ("early_torch_1_3", "upsample_align_corners_false"),
    ],
)
def test_earlier_states_of_the_fork_are_arithmetics(net, reference, rebuild, arithmetic, name):
    result = run(rebuild(SPEC, net.state_dict(), arithmetic), reference, "a", 0.5)
    assert (result - reference[f"alt.{name}"]).abs().max() < TOLERANCE
    assert (result - reference["a.t0.5.out"]).abs().max() > 0.1


def test_checkpoint_of_the_forks_trainer_loads(keyed_state, pair, tmp_path):
    small = SRRIN(width=4).eval()
    weights = keyed_state(published(SRRIN(width=4)), LAYOUT["gains"])
    torch.save({"model": weights, "optim": {}, "epoch": 3}, tmp_path / "srrin0003.pth")
    model = loader.load(tmp_path / "srrin0003.pth")
    assert (model.spec, model.arithmetic) == (SPEC, "published")
    small.load_state_dict({ours(key): value for key, value in weights.items()})
    assert torch.equal(pair.run(model.net, SPEC), pair.run(small, SPEC))


def test_exact_arithmetic_leaves_a_still_picture_sharp(pair):
    """No flow: frame 0 splatted to its place and frame 1 read at its place are frame 0 itself if both are it."""
    net, blurred = still("exact"), still("published")
    assert torch.allclose(net(pair.img0, pair.img0, pair.time(0.5)), pair.img0, atol=1e-5)
    assert (blurred(pair.img0, pair.img0, pair.time(0.5)) - pair.img0).abs().max() > 0.01


def test_frame_0_is_carried_along_the_flow_and_frame_1_read_along_it(pair):
    """Flow (-2, 0) both ways: what is read from frame 1 and what comes from frame 0 lie 2 px to the right and left."""
    net = still("exact")
    net.refine_flow.last.bias.copy_(torch.tensor([-2.0, 0.0, -2.0, 0.0]))
    out = net(pair.img0, pair.img1, pair.time(0.5))
    expected = (pair.img0[..., 4:] + pair.img1[..., :-4]) / 2
    assert torch.allclose(out[..., 2:-2], expected, atol=1e-5)
    near_0 = net(pair.img0, pair.img1, pair.time(1e-6))
    assert torch.allclose(near_0[..., 2:-2], pair.img0[..., 4:], atol=1e-4)


def test_the_worse_match_weighs_more(pair):
    """As published: the metric is the difference itself, times beta; a negative beta would turn it round."""
    net = still("exact")
    metric = net.metric(pair.img0, pair.img1)
    assert torch.allclose(metric, (pair.img0 - pair.img1).abs().mean(1, keepdim=True))
    net.beta.fill_(-2.0)
    assert torch.allclose(net.metric(pair.img0, pair.img1), -2 * metric)


@pytest.mark.parametrize("beta", [-1e4, 1e4, 3e38])
def test_large_beta_gives_a_picture(net, pair, beta):
    changed = SRRIN().eval()
    changed.load_state_dict({**net.state_dict(), "beta": torch.tensor([beta])})
    out = pair.run(changed, SPEC)
    assert torch.isfinite(out).all()
    assert out.std() > 0.05


def test_beta_stays_float32_in_half_precision(net):
    changed = SRRIN(width=4)
    changed.beta.fill_(1.001)  # bfloat16 knows 1 and 1.0078
    to_precision(changed, torch.bfloat16)
    assert changed.beta.dtype == torch.float32
    assert changed.beta.item() == pytest.approx(1.001)
    assert changed.Mask.midconv.weight.dtype == torch.bfloat16


@pytest.mark.parametrize(("height", "width"), [(16, 16), (16, 80), (48, 16)])
@pytest.mark.parametrize("t", [1e-6, 0.999999])
def test_small_frames_and_times_near_the_ends(net, pair, height, width, t):
    img0, img1 = pair.img0[..., :height, :width], pair.img1[..., :height, :width]
    out = net(img0, img1, pair.time(t))
    assert out.shape == img0.shape
    assert torch.isfinite(out).all() and 0 <= out.min() < out.max() <= 1


def test_estimate_is_flow_in_pixels_of_the_pictures_it_was_given(net, pair):
    assert net.estimate(pair.img0, pair.img1).shape == (1, 4, 64, 96)
    assert net.estimate(pair.img0[..., ::2, ::2], pair.img1[..., ::2, ::2]).shape == (1, 4, 32, 48)


def test_detects_only_its_own_keys(net):
    state = net.state_dict()
    assert SPEC.detect(state) and identify(state) is SPEC
    assert not SPEC.detect({key: value for key, value in state.items() if key != "beta"})
    assert not SPEC.detect({**state, "beta": torch.ones(2)})
    assert not SPEC.detect({key: value for key, value in state.items() if key != "final.last.weight"})
    assert not SPEC.detect({**state, "Mask.last.weight": torch.zeros(1, 32, 3, 3)})


def test_width_comes_from_the_shapes():
    small = SRRIN(width=8)
    built = SPEC.build(small.state_dict(), "exact")
    assert {k: v.shape for k, v in built.state_dict().items()} == {k: v.shape for k, v in small.state_dict().items()}
