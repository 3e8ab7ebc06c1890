"""What every network in NETS has to do alike."""

import copy
from pathlib import Path

import pytest
import torch

from vsrrin.checkpoint import loader
from vsrrin.errors import ArgumentError, FrameSizeError
from vsrrin.flow.dis import PRESETS
from vsrrin.nets import identify
from vsrrin.nets.parts.precision import to_precision
from vsrrin.nets.parts.unet import UNet

SIDECAR = {"training_data": "-", "metrics": "-", "licence": "-", "source": "-", "created_with": "-"}
# Largest and mean difference from float32 with hidden layers in half precision, for weights that amplify as the ones
# of `live_net` do; trained ones amplify less.
HALF_TOLERANCE = {torch.bfloat16: (0.05, 0.005), torch.float16: (0.005, 0.0005)}
# Networks whose result may go beyond [0, 1], by the overshoot of sharp sampling or by a residue; the engine sees to it.
UNBOUNDED = ("rrin_lite", "rrin_lite_quick", "plain")


def test_spec_is_complete(spec):
    for field in ("name", "paper", "upstream", "code_licence", "weights_licence", "weights_from"):
        assert getattr(spec, field).strip(), field
    assert spec.arithmetics and len(set(spec.arithmetics)) == len(spec.arithmetics)
    assert spec.size_multiple & (spec.size_multiple - 1) == 0
    assert spec.bytes_per_pixel > 24  # two frames alone take that
    assert spec.flow_preset in PRESETS


def test_shape_type_and_range(spec, live_net, pair):
    out = pair.run(live_net(spec), spec)
    assert out.shape == pair.img0.shape
    assert out.dtype == torch.float32
    beyond = 0.5 if spec.name in UNBOUNDED else 0
    assert -beyond <= out.min() < out.max() <= 1 + beyond


def test_residues_of_a_pair_serve_all_its_times(spec, live_net, pair):
    net = live_net(spec)
    assert spec.shares == hasattr(net, "share")
    if not spec.shares:
        return
    estimate = net.estimate(pair.img0, pair.img1, *pair.extra(spec))
    shared = net.share(pair.img0, pair.img1, estimate)
    assert shared.shape[2:] == estimate.shape[2:] and torch.equal(shared[:, : estimate.shape[1]], estimate)
    own, found = (
        {t: net.synthesize(pair.img0, pair.img1, x, pair.time(t)) for t in (0.25, 0.5)} for x in (estimate, shared)
    )
    assert torch.allclose(found[0.5], own[0.5], atol=1e-5)
    # Random weights see noise; so what there is to compare with is how much they add at all.
    plain = net.synthesize(
        pair.img0, pair.img1, torch.cat((estimate, torch.zeros_like(shared[:, 6:])), 1), pair.time(0.25)
    )
    added, missed = ((x - own[0.25])[..., 8:-8, 8:-8].square().mean() for x in (plain, found[0.25]))
    assert 0 < missed < added
    twice = net.share(*(torch.cat((x, x)) for x in (pair.img0, pair.img1, estimate)))
    assert torch.allclose(twice, torch.cat((shared, shared)), atol=1e-4)


def test_smallest_size(spec, live_net, pair):
    m = spec.size_multiple
    extra = tuple(x[..., : m // 2, : m // 2] for x in pair.extra(spec))
    out = live_net(spec)(pair.img0[..., :m, :m], pair.img1[..., :m, :m], pair.time(0.5), *extra)
    assert out.shape == (1, 3, m, m)
    assert torch.isfinite(out).all()


@pytest.mark.parametrize(("height", "width"), [(64, 90), (56, 96), (63, 95)])
def test_a_size_that_is_no_multiple_raises(spec, live_net, pair, height, width):
    net = live_net(spec)
    img0, img1 = pair.img0[..., :height, :width], pair.img1[..., :height, :width]
    extra = tuple(x[..., : height // 2, : width // 2] for x in pair.extra(spec))
    if not (height % spec.size_multiple or width % spec.size_multiple):  # it fits, or the net pads by itself
        assert net(img0, img1, pair.time(0.5), *extra).shape == img0.shape
        return
    with pytest.raises(FrameSizeError, match=rf"estimate.*multiples of {spec.size_multiple}, got {height}x{width}"):
        net.estimate(img0, img1, *extra)
    estimate = net.estimate(pair.img0, pair.img1, *pair.extra(spec))
    with pytest.raises(FrameSizeError, match=rf"synthesize.*multiples of {spec.size_multiple}, got {height}x{width}"):
        net.synthesize(img0, img1, estimate, pair.time(0.5))


def test_frames_that_do_not_match_raise(spec, live_net, pair):
    net = live_net(spec)
    for other in (pair.img1[:, :1], pair.img1[..., :80], pair.img1[0], pair.img1.repeat(2, 1, 1, 1)):
        with pytest.raises(FrameSizeError, match=r"img0 and img1 must be of one shape \(N, 3, H, W\)"):
            net.estimate(pair.img0, other, *pair.extra(spec))


def test_t_of_another_shape_raises(spec, live_net, pair):
    net = live_net(spec)
    estimate = net.estimate(pair.img0, pair.img1, *pair.extra(spec))
    for t in (torch.tensor(0.5), torch.tensor([0.5]), torch.full((2, 1, 1, 1), 0.5)):
        with pytest.raises(ArgumentError, match=r"t must have shape \(1, 1, 1, 1\)"):
            net.synthesize(pair.img0, pair.img1, estimate, t)


def test_flow_of_another_shape_raises(spec, live_net, pair):
    if spec.external_flow:
        with pytest.raises(FrameSizeError, match=r"flow must have shape \(1, 4, 32, 48\)"):
            live_net(spec).estimate(pair.img0, pair.img1, pair.flow[..., ::2, ::2])
    else:
        with pytest.raises(TypeError):
            live_net(spec).estimate(pair.img0, pair.img1, pair.flow)


def test_t_matters_only_where_it_is_arbitrary(spec, live_net, pair):
    difference = (pair.run(live_net(spec), spec, 0.25) - pair.run(live_net(spec), spec, 0.75)).abs().max()
    assert (difference > 1e-3) == spec.arbitrary_t


def test_forward_is_estimate_then_synthesize(spec, live_net, pair):
    net = live_net(spec)
    estimate = net.estimate(pair.img0, pair.img1, *pair.extra(spec))
    for t in (0.3, 0.5):
        assert torch.equal(net.synthesize(pair.img0, pair.img1, estimate, pair.time(t)), pair.run(net, spec, t))


def test_repeats_bit_for_bit_and_leaves_its_inputs(spec, live_net, pair):
    before = pair.img0.clone(), pair.img1.clone(), pair.flow.clone()
    first = pair.run(live_net(spec), spec)
    assert torch.equal(first, pair.run(live_net(spec), spec))
    assert all(torch.equal(x, y) for x, y in zip(before, (pair.img0, pair.img1, pair.flow), strict=True))


def test_samples_of_a_batch_do_not_touch(spec, live_net, pair):
    """Two pairs at two times in one call equal the two calls."""
    net = live_net(spec)
    flipped = [x.flip(0, 3).contiguous() for x in (pair.img0, pair.img1, *pair.extra(spec))]
    t = torch.tensor([0.25, 0.6]).view(2, 1, 1, 1)
    img0, img1, *extra = (
        torch.cat((x, y)) for x, y in zip((pair.img0, pair.img1, *pair.extra(spec)), flipped, strict=True)
    )
    both = net(img0, img1, t, *extra)
    assert torch.allclose(both[:1], pair.run(net, spec, 0.25), atol=1e-4)
    assert torch.allclose(both[1:], net(flipped[0], flipped[1], t[1:], *flipped[2:]), atol=1e-4)


def test_memory_layout_does_not_matter(spec, live_net, pair):
    net = live_net(spec)
    extra = tuple(x.to(memory_format=torch.channels_last) for x in pair.extra(spec))
    img0, img1 = (x.to(memory_format=torch.channels_last) for x in (pair.img0, pair.img1))
    assert torch.allclose(net(img0, img1, pair.time(0.5), *extra), pair.run(net, spec), atol=1e-4)
    laid_out = to_precision(copy.deepcopy(net), torch.float32)
    assert torch.allclose(pair.run(laid_out, spec), pair.run(net, spec), atol=1e-4)


def test_unclamped_is_the_frame_before_it_is_clamped(spec, live_net, pair):
    if spec.unclamped is None:
        return
    net, t = live_net(spec), pair.time(0.5)
    estimate = net.estimate(pair.img0, pair.img1, *pair.extra(spec))
    found = spec.unclamped(net, pair.img0, pair.img1, estimate, t)
    assert not torch.equal(found, found.clamp(0, 1))
    assert torch.equal(found.clamp(0, 1), net.synthesize(pair.img0, pair.img1, estimate, t))


def test_the_unet_that_finds_the_flow_is_named(spec, live_net, pair):
    net = live_net(spec)
    if spec.flow_unet is None:
        return
    assert type(unet := net.get_submodule(spec.flow_unet)) is UNet
    assert torch.equal(unet(torch.cat((pair.img0, pair.img1), 1)), net.estimate(pair.img0, pair.img1))


def test_the_mask_weighs_the_frames(spec, live_net, pair):
    if spec.mask is None:
        return
    net = copy.deepcopy(live_net(spec))
    found = []
    net.get_submodule(spec.mask.layer).register_forward_hook(lambda *result: found.append(spec.mask.weights(result[2])))
    pair.run(net, spec)
    (weights,) = found
    assert weights.shape[:2] == (1, 2) and tuple(weights.shape[2:]) in {(64, 96), (32, 48)}
    assert 0 <= weights.min() < weights.max() <= 1


@pytest.mark.parametrize("dtype", HALF_TOLERANCE)
def test_half_precision_is_near_float32(spec, live_net, pair, dtype):
    if not spec.supports_half:
        return
    net = to_precision(copy.deepcopy(live_net(spec)), dtype)
    out = pair.run(net, spec)
    assert out.dtype == torch.float32
    difference = (out - pair.run(live_net(spec), spec)).abs()
    largest, mean = HALF_TOLERANCE[dtype]
    assert 0 < difference.max() < largest
    assert difference.mean() < mean


def test_every_arithmetic_builds_and_gives_its_own_result(spec, live_net, rebuild, pair):
    state = live_net(spec).state_dict()
    results = [pair.run(rebuild(spec, state, arithmetic), spec) for arithmetic in spec.arithmetics]
    assert torch.equal(results[0], pair.run(live_net(spec), spec))
    for i, a in enumerate(results):
        assert all((a - b).abs().max() > 1e-3 for b in results[:i])


def test_round_trip_through_a_file(spec, live_net, pair, tmp_path: Path):
    net, path = live_net(spec), tmp_path / "weights.safetensors"
    assert identify(net.state_dict()) is spec
    loader.save(net, spec, path, arithmetic=spec.arithmetics[-1], sidecar=SIDECAR)
    assert loader.load(path).arithmetic == spec.arithmetics[-1]
    model = loader.load(path, arithmetic=spec.arithmetics[0])
    assert model.spec is spec
    assert all(torch.equal(net.state_dict()[key], value) for key, value in model.net.state_dict().items())
    assert torch.equal(pair.run(model.net, spec), pair.run(net, spec))


def test_trains(spec, live_net, pair):
    """Gradients reach every weight that is of use."""
    net = copy.deepcopy(live_net(spec)).train().requires_grad_(True)
    assert spec.trainable == bool(list(net.parameters()))
    if not spec.trainable:
        return
    with torch.enable_grad():
        # At t = 1/2 a bias that both directions of a flow share cancels.
        pair.run(net, spec, 0.3 if spec.arbitrary_t else 0.5).square().mean().backward()
    without = [name for name, p in net.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    still = [name for name, p in net.named_parameters() if p.grad is not None and not p.grad.any()]
    assert (without, still) == ([name for name, _ in net.named_parameters() if name.startswith(spec.unused)], [])
