"""RRIN-lite, first generation: its arithmetic, the parts it leaves out, its range.

tests/data/rrin_lite.npz holds a pair, its flow, and what a separate implementation without checks or shortcuts gives
for them: `estimate` and results with weights made from the keys (`keyed_state`), and `plain.0.25`, with output layers
of zero.
"""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from vsrrin.nets.rrin_lite import SPEC, RRINLite

DATA = Path(__file__).resolve().parent.parent / "data"
GAINS = {"default": 1.4, "correct.out.": 4.0, "refine.out.": 2.0, "synth.last.": 0.2}
OUTPUTS = {"correct": "correct.out", "refine": "refine.out", "synth": "synth.last"}


@pytest.fixture(scope="module")
def reference() -> dict[str, Tensor]:
    with np.load(DATA / "rrin_lite.npz") as file:
        found = {key: torch.from_numpy(file[key]) for key in file.files}
    found["flow"] = F.avg_pool2d(found["flow"], 2) * 0.5  # the file has it at the frames' size
    return found


@pytest.fixture
def live(keyed_state) -> RRINLite:
    net = RRINLite().eval().requires_grad_(False)
    net.load_state_dict(keyed_state(net, GAINS))
    return net


def silence(net: RRINLite, *parts: str) -> RRINLite:
    """Set the output layers of some parts to zero."""
    for part in parts:
        layer = net.get_submodule(OUTPUTS[part])
        assert isinstance(layer, nn.Conv2d) and layer.bias is not None
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    return net


def calls_of(net: RRINLite, work) -> set[str]:
    """The parts that ran during ``work()``."""
    ran: set[str] = set()
    handles = [
        net.get_submodule(part).register_forward_hook(lambda _m, _a, _o, part=part: ran.add(part)) for part in OUTPUTS
    ]
    work()
    for handle in handles:
        handle.remove()
    return ran


def time(t: float) -> Tensor:
    return torch.full((1, 1, 1, 1), t)


def test_estimate_is_that_of_the_reference(live, reference):
    estimate = live.estimate(reference["img0"], reference["img1"], reference["flow"])
    assert estimate.shape == (1, 6, 16, 24)
    assert torch.allclose(estimate, reference["estimate"], atol=1e-4)


@pytest.mark.parametrize("t", [0.25, 0.5, 0.8])
def test_result_is_that_of_the_reference(live, reference, t):
    result = live(reference["img0"], reference["img1"], time(t), reference["flow"])
    assert torch.allclose(result, reference[f"out.{t}"], atol=1e-4)


@pytest.mark.parametrize("prepared", [False, True])
def test_fresh_net_returns_the_plain_result(reference, prepared):
    net = RRINLite().eval()
    if prepared:
        net.prepare()
    result = net(reference["img0"], reference["img1"], time(0.25), reference["flow"])
    assert torch.allclose(result, reference["plain.0.25"], atol=1e-5)


def test_plain_result_follows_known_motion(pair):
    """The true picture between two frames of a moving plane, away from the border that came into view."""
    net = RRINLite().eval().prepare()
    for t in (0.25, 0.5, 0.75):
        error = (pair.run(net, SPEC, t) - pair.at(t))[..., 4:-4, 4:-4].abs().max()
        blend = ((1 - t) * pair.img0 + t * pair.img1 - pair.at(t))[..., 4:-4, 4:-4].abs().max()
        assert error < 0.01
        assert blend > 0.03


@pytest.mark.parametrize("silent", [c for n in range(1, 4) for c in itertools.combinations(OUTPUTS, n)])
def test_leaving_parts_out_changes_no_bit(live, pair, silent):
    silence(live, *silent)
    everything = pair.run(live, SPEC, 0.3)
    assert calls_of(live, lambda: pair.run(live, SPEC)) == set(OUTPUTS)
    live.prepare()
    assert calls_of(live, lambda: pair.run(live, SPEC)) == set(OUTPUTS) - set(silent)
    assert torch.equal(pair.run(live, SPEC, 0.3), everything)


def test_leaving_parts_out_changes_no_bit_of_wide_range_video(pair):
    net = RRINLite().eval()
    wide0, wide1 = pair.img0 * 4 - 1.5, pair.img1 * 4 - 1.5
    everything = net(wide0, wide1, pair.time(0.3), pair.flow)
    net.prepare()
    assert torch.equal(net(wide0, wide1, pair.time(0.3), pair.flow), everything)
    assert everything.min() < -1 and everything.max() > 2


@pytest.mark.parametrize("height", [16, 48, 64, 80, 128, 208])
def test_plain_pictures_made_in_bands_have_no_seams(height):
    """In bands of rows where nothing is at work, at once where something is: equal up to the rounding of torch's
    enlargement, which depends on the size it is given."""
    net = RRINLite().eval()
    chooser = torch.Generator().manual_seed(height)
    img0, img1 = (torch.rand(1, 3, height, 32, generator=chooser) for _ in range(2))
    flow = torch.randn(1, 4, height // 2, 16, generator=chooser) * 4
    everything = net(img0, img1, time(0.3), flow)
    net.prepare()
    assert (net(img0, img1, time(0.3), flow) - everything).abs().max() < 2e-5
    out = torch.full_like(img0, torch.nan)
    assert net.synthesize(img0, img1, net.estimate(img0, img1, flow), time(0.3), out=out) is out
    assert (out - everything).abs().max() < 2e-5


@pytest.mark.parametrize("part", OUTPUTS)
@pytest.mark.parametrize("kind", ["weight", "bias"])
def test_one_value_in_an_output_layer_brings_its_part_back(pair, part, kind):
    net = RRINLite().eval()
    getattr(net.get_submodule(OUTPUTS[part]), kind).data.view(-1)[-1] = 0.5
    net.prepare()
    assert calls_of(net, lambda: pair.run(net, SPEC)) == {part}


def test_nothing_is_left_out_unless_prepared(pair):
    net = RRINLite().eval()
    assert calls_of(net, lambda: pair.run(net, SPEC)) == set(OUTPUTS)


def test_training_runs_everything_and_undoes_prepare(pair):
    net = RRINLite().train().prepare()
    assert calls_of(net, lambda: pair.run(net, SPEC)) == set(OUTPUTS)
    net.eval().prepare().train().eval()
    assert calls_of(net, lambda: pair.run(net, SPEC)) == set(OUTPUTS)
    assert net.bytes_per_pixel == SPEC.bytes_per_pixel


def test_loading_weights_undoes_prepare(live, pair):
    net = RRINLite().eval().prepare()
    assert calls_of(net, lambda: pair.run(net, SPEC)) == set()
    net.load_state_dict(live.state_dict())
    assert torch.equal(pair.run(net, SPEC), pair.run(live, SPEC))


def test_memory_need_follows_what_runs(live):
    assert live.prepare().bytes_per_pixel == SPEC.bytes_per_pixel
    assert silence(live, "correct", "refine").prepare().bytes_per_pixel == SPEC.bytes_per_pixel
    assert 24 < silence(live, "synth").prepare().bytes_per_pixel < SPEC.bytes_per_pixel / 4


def test_estimate_has_no_channels_that_nobody_reads(live, pair):
    silence(live, "refine").prepare()
    assert live.estimate(pair.img0, pair.img1, pair.flow).shape == (1, 4, 32, 48)
    silence(live, "correct").prepare()
    estimate = live.estimate(pair.img0, pair.img1, pair.flow)
    assert torch.equal(estimate, pair.flow)


def test_result_stays_in_the_range_of_its_frames(live, pair):
    """A residue far out of range is clamped to the frames' range or [0, 1], whichever is wider, sample by sample."""
    nn.init.constant_(live.synth.last.bias, 50.0)
    img0 = torch.cat((pair.img0, pair.img0 * 2 - 0.5))
    img1 = torch.cat((pair.img1, pair.img1 * 2))
    high = live(img0, img1, torch.full((2, 1, 1, 1), 0.5), pair.flow.repeat(2, 1, 1, 1))
    assert torch.equal(high[0], torch.ones_like(high[0]))
    assert torch.equal(high[1], torch.full_like(high[1], float(max(img0[1].max(), img1[1].max()))))
    nn.init.constant_(live.synth.last.bias, -50.0)
    low = live(img0, img1, torch.full((2, 1, 1, 1), 0.5), pair.flow.repeat(2, 1, 1, 1))
    assert torch.equal(low[0], torch.zeros_like(low[0]))
    assert torch.equal(low[1], torch.full_like(low[1], float(min(img0[1].min(), img1[1].min()))))


def test_doubt_is_high_where_the_flows_disagree(live, pair):
    agree = live.estimate(pair.img0, pair.img1, pair.flow)[:, 4:, 4:-4, 4:-4]
    wrong = live.estimate(pair.img0, pair.img1, pair.flow * torch.tensor([1.0, 1, -1, -1]).view(1, 4, 1, 1))
    assert agree.max() < 0.01
    # Half of (6, -4) px away from where it started, in pixels of half size.
    assert torch.allclose(wrong[:, 4:], torch.tensor(13.0).sqrt().add(1).log(), atol=1e-3)


def test_sizes_come_from_the_shapes():
    small = RRINLite(correct_width=8, correct_blocks=1, refine_width=12, refine_blocks=2, synth_width=4, synth_depth=2)
    built = SPEC.build(small.state_dict(), "exact")
    assert {k: v.shape for k, v in built.state_dict().items()} == {k: v.shape for k, v in small.state_dict().items()}


def test_detects_only_its_own_keys(live):
    state = live.state_dict()
    assert SPEC.detect(state)
    for key in ("correct.stem.0.weight", "correct.stem.2.weight", "refine.stem.0.weight"):
        assert not SPEC.detect({k: v for k, v in state.items() if k != key})
    assert not SPEC.detect({**state, "correct.stem.0.weight": torch.zeros(32, 17, 3, 3)})
