"""RRIN against results of the published implementation.

tests/data/rrin.npz holds frames and the results that upstream gives for them in float32 with weights made from the
keys (see `keyed_state`), for a size that fits and for one that upstream pads; tests/data/rrin.layout.json has the keys,
the shapes and a digest of those weights.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from vsrrin.nets.parts.warp import FORK, PUBLISHED, backward_warp
from vsrrin.nets.rrin import RRIN, SPEC

DATA = Path(__file__).resolve().parent.parent / "data"
LAYOUT = json.loads((DATA / "rrin.layout.json").read_text())
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def reference() -> dict[str, Tensor]:
    with np.load(DATA / "rrin.npz") as file:
        return {key: torch.from_numpy(file[key]) for key in file.files if key != "meta"}


@pytest.fixture(scope="module")
def net(keyed_state) -> RRIN:
    net = RRIN().eval().requires_grad_(False)
    net.load_state_dict(keyed_state(net, LAYOUT["gains"]))
    return net


def run(net: RRIN, reference: dict[str, Tensor], case: str, t: float) -> Tensor:
    """One case, padded to 32 as upstream's demo does."""
    img0, img1 = reference[f"{case}.frame0"], reference[f"{case}.frame1"]
    height, width = img0.shape[-2:]
    padding = (0, -width % 32, 0, -height % 32)
    img0, img1 = (F.pad(x, padding, mode="replicate") for x in (img0, img1))
    result: Tensor = net(img0, img1, torch.full((1, 1, 1, 1), t))
    return result[..., :height, :width]


def test_keys_and_shapes_are_the_published_ones(net):
    expected = [(entry["key"], tuple(entry["shape"])) for entry in LAYOUT["files"][0]["keys"]]
    assert [(key, tuple(value.shape)) for key, value in net.state_dict().items()] == expected
    assert sum(p.numel() for p in net.parameters()) == LAYOUT["total_parameters"]


def test_made_weights_are_those_of_the_reference(net):
    digest = hashlib.sha256()
    for key, value in net.state_dict().items():
        digest.update(key.encode() + value.numpy().astype("<f4").tobytes())
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
    found = {
        "flow_t_0": flow_t_0,
        "flow_t_1": flow_t_1,
        "mask": torch.sigmoid(logits[0]),
        "warp_0": backward_warp(img0, flow_t_0, PUBLISHED),
        "warp_1": backward_warp(img1, flow_t_1, PUBLISHED),
    }
    errors = {name: float((value - reference[f"a.t0.5.inner.{name}"]).abs().max()) for name, value in found.items()}
    print(errors)
    assert max(errors.values()) < TOLERANCE


def test_the_forks_warp_is_what_newer_torch_makes_of_upstream(net, reference):
    net.warp = FORK
    try:
        result = run(net, reference, "a", 0.5)
    finally:
        net.warp = PUBLISHED
    expected = reference["alt.grid_sample_default_of_torch_1_4_and_later"]
    assert (result - expected).abs().max() < TOLERANCE
    assert (result - reference["a.t0.5.out"]).abs().max() > 0.1


def test_the_forks_enlargement_is_the_aligned_one(net, reference, rebuild):
    fork = rebuild(SPEC, net.state_dict(), "fork")
    assert fork.warp == FORK
    fork.warp = PUBLISHED
    result = run(fork, reference, "a", 0.5)
    assert (result - reference["alt.upsample_align_corners_true"]).abs().max() < TOLERANCE
    assert (result - reference["a.t0.5.out"]).abs().max() > 0.1


def test_exact_arithmetic_leaves_a_still_picture_sharp(pair):
    """With all output layers zero, the net blends two warps by a flow of zero: frame 0 itself if both are it."""
    net = RRIN("exact", width=4).eval()
    for part in (net.Mask, net.Flow_L, net.refine_flow, net.final):
        torch.nn.init.zeros_(part.last.weight)
        torch.nn.init.zeros_(part.last.bias)
    t = pair.time(0.5)
    assert torch.allclose(net(pair.img0, pair.img0, t), pair.img0, atol=1e-5)
    published = RRIN("published", width=4).eval()
    published.load_state_dict(net.state_dict())
    assert (published(pair.img0, pair.img0, t) - pair.img0).abs().max() > 0.01


def test_estimate_is_flow_in_pixels_of_the_pictures_it_was_given(net, pair):
    assert net.estimate(pair.img0, pair.img1).shape == (1, 4, 64, 96)
    assert net.estimate(pair.img0[..., ::2, ::2], pair.img1[..., ::2, ::2]).shape == (1, 4, 32, 48)


def test_detects_only_its_own_keys(net):
    state = net.state_dict()
    assert SPEC.detect(state)
    assert not SPEC.detect({**state, "beta": torch.ones(1)})
    assert not SPEC.detect({key: value for key, value in state.items() if key != "final.last.weight"})
    assert not SPEC.detect({**state, "Mask.last.weight": torch.zeros(1, 32, 3, 3)})


def test_width_comes_from_the_shapes():
    small = RRIN(width=8)
    built = SPEC.build(small.state_dict(), "exact")
    assert {k: v.shape for k, v in built.state_dict().items()} == {k: v.shape for k, v in small.state_dict().items()}
