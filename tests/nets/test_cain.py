"""CAIN against results of the published implementation.

tests/data/cain.npz holds frames and the results that upstream gives for them in float32 with weights made from the
keys (see `keyed_state`), not clamped, for a size that fits and for one that it pads; tests/data/cain.layout.json has
the keys, the shapes and a digest of those weights.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vsrrin.nets.cain import CAIN, SPEC

DATA = Path(__file__).resolve().parent.parent / "data"
LAYOUT = json.loads((DATA / "cain.layout.json").read_text())
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def reference() -> dict[str, Tensor]:
    with np.load(DATA / "cain.npz") as file:
        return {key: torch.from_numpy(file[key]) for key in file.files if key != "meta"}


@pytest.fixture(scope="module")
def net(keyed_state) -> CAIN:
    net = CAIN().eval().requires_grad_(False)
    net.load_state_dict(keyed_state(net, LAYOUT["gains"]))
    return net


@pytest.fixture
def blender() -> CAIN:
    """A net whose weights are set by hand so that it returns the average of both frames."""
    net = CAIN(groups=2, blocks=1, features=192).eval()
    for parameter in net.parameters():
        nn.init.zeros_(parameter)
    channels = torch.arange(192)
    inner = net.encoder.interpolate
    # Without convolutions every block and group passes on what it is given, and both ends add it up: twice 1/4.
    inner.headConv.weight[channels, channels, 1, 1] = 0.25
    inner.headConv.weight[channels, channels + 192, 1, 1] = 0.25
    inner.tailConv.weight[channels, channels, 1, 1] = 1.0
    return net


def frames(height: int, width: int, *, count: int = 1) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(height * 1000 + width)
    img0, img1 = torch.rand(2, count, 3, height, width, generator=random)
    return img0, img1


def half(count: int = 1) -> Tensor:
    return torch.full((count, 1, 1, 1), 0.5)


def padded(net: CAIN, img0: Tensor, img1: Tensor) -> tuple[Tensor, Tensor]:
    """What the layers are given."""
    seen: list[tuple[Tensor, Tensor]] = []
    handle = net.encoder.register_forward_pre_hook(lambda _module, args: seen.append(args))
    net.middle(img0, img1)
    handle.remove()
    return seen[0]


def test_keys_and_shapes_are_the_published_ones(net):
    expected = [(entry["key"], tuple(entry["shape"])) for entry in LAYOUT["files"][0]["keys"]]
    assert [(key, tuple(value.shape)) for key, value in net.state_dict().items()] == expected
    assert sum(p.numel() for p in net.parameters()) == LAYOUT["total_parameters"]


def test_made_weights_are_those_of_the_reference(net):
    digest = hashlib.sha256()
    for key, value in net.state_dict().items():
        digest.update(key.encode() + value.numpy().astype("<f4").tobytes())
    assert digest.hexdigest() == LAYOUT["files"][0]["weights_sha256"]


@pytest.mark.parametrize("case", ["a", "b"])
def test_result_is_that_of_upstream(net, reference, case):
    img0, img1, expected = (reference[f"{case}.{name}"] for name in ("frame0", "frame1", "t0.5.out"))
    error = (net.middle(img0, img1)[0] - expected).abs().max()
    print(f"case {case}, t=0.5: largest error {error:.1e}")
    assert error < TOLERANCE
    assert (net(img0, img1, half()) - expected.clamp(0, 1)).abs().max() < TOLERANCE
    assert expected.min() < -0.1 and expected.max() > 1.1


def test_inner_values_are_those_of_upstream(net, reference):
    _, features = net.middle(reference["a.frame0"], reference["a.frame1"])
    error = (features - reference["a.t0.5.inner.feats"]).abs().max()
    print(f"features: largest error {error:.1e}")
    assert error < TOLERANCE


def test_nothing_but_the_middle(net, reference):
    img0, img1 = reference["b.frame0"], reference["b.frame1"]
    estimate = net.estimate(img0, img1)
    assert estimate.shape == (1, 0, 70, 101)
    assert estimate.dtype == torch.float32
    early, late = (net.synthesize(img0, img1, estimate, torch.full((1, 1, 1, 1), t)) for t in (0.25, 0.75))
    assert torch.equal(early, late)


@pytest.mark.parametrize("size", [(1, 1), (1, 60), (2, 3), (7, 43), (43, 44), (44, 100), (127, 129), (128, 256)])
def test_pads_by_mirroring_on_both_sides_after_the_mean(blender, size):
    """Against numpy, which mirrors as often as it takes; for sides of 44 and more once, as upstream does."""
    images = frames(*size, count=2)
    for image, found in zip(images, padded(blender, *images), strict=True):
        missing = [-side % 128 for side in size]
        around = [(n // 2, n - n // 2) for n in missing]
        means = image.double().mean((2, 3), keepdim=True).float()
        expected = np.pad((image - means).numpy(), [(0, 0), (0, 0), *around], mode="reflect")
        assert np.abs(found.numpy() - expected).max() < 1e-6


@pytest.mark.parametrize(("size", "expected"), [((64, 96), (64, 96)), ((60, 97), (64, 104)), ((8, 3), (16, 16))])
def test_in_training_pads_only_what_the_layers_need(blender, size, expected):
    images = frames(*size)
    blender.train()
    shapes = [tuple(x.shape[2:]) for x in padded(blender, *images)]
    assert shapes == [expected, expected]
    assert torch.allclose(blender(*images, half()), sum(images) / 2, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (64, 96), (130, 43)])
def test_every_pixel_keeps_its_place(blender, size):
    """Shuffling, padding, cropping and means undo each other: an average of the layers is one of the frames."""
    img0, img1 = frames(*size, count=2)
    result = blender(img0, img1, half(2))
    assert result.shape == img0.shape
    assert torch.allclose(result, (img0 + img1) / 2, atol=1e-6)


def test_brightness_of_a_frame_only_shifts_the_result(net, reference):
    """Each frame's mean is taken off, and the mean of both means added."""
    img0, img1 = reference["b.frame0"], reference["b.frame1"]
    shift = torch.tensor([0.2, -0.1, 0.4]).view(1, 3, 1, 1)
    difference = net.middle(img0 + shift, img1)[0] - net.middle(img0, img1)[0]
    assert torch.allclose(difference, (shift / 2).expand_as(difference), atol=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (9, 44), (45, 8)])
def test_small_frames(live_net, size):
    img0, img1 = frames(*size, count=2)
    both = live_net(SPEC)(img0, img1, half(2))
    assert both.shape == img0.shape
    assert torch.isfinite(both).all()
    assert torch.allclose(both[1:], live_net(SPEC)(img0[1:], img1[1:], half()), atol=1e-5)


def test_detects_only_its_own_keys(net):
    state = net.state_dict()
    assert SPEC.detect(state)
    inner = "encoder.interpolate"
    assert not SPEC.detect({key: value for key, value in state.items() if key != f"{inner}.tailConv.weight"})
    assert not SPEC.detect({key: value for key, value in state.items() if "conv_du" not in key})
    assert not SPEC.detect({**state, f"{inner}.headConv.weight": torch.zeros(192, 192, 3, 3)})


def test_sizes_come_from_the_shapes():
    small = CAIN(groups=3, blocks=2, features=32)
    built = SPEC.build(small.state_dict(), "published")
    assert {k: v.shape for k, v in built.state_dict().items()} == {k: v.shape for k, v in small.state_dict().items()}
