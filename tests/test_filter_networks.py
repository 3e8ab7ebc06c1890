"""vsrrin.filter with every network, loaded from a file as a user would."""

import math
import random
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
import vapoursynth as vs
from torch import Tensor

import vsrrin
from tests.clip.test_clip_checks import with_durations
from tests.clip.test_repeats import held
from tests.conftest import planes, same_picture
from tests.nets.conftest import GAINS, SMALL, _keyed_state
from vsrrin.checkpoint import loader
from vsrrin.engine.backends.torch_backend import TorchBackend
from vsrrin.nets import NETS, NetSpec

SIDECAR = dict.fromkeys(loader.SIDECAR_GIVEN, "a test")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A small network of each kind with weights of chance, saved."""
    folder = tmp_path_factory.mktemp("weights")
    paths = {}
    for spec in NETS:
        net = SMALL.get(spec.name, spec.default)().eval().requires_grad_(False)
        with torch.no_grad():
            net.load_state_dict(_keyed_state(net, GAINS[spec.name]))
        paths[spec.name] = str(folder / f"{spec.name}.safetensors")
        loader.save(net, spec, paths[spec.name], arithmetic=spec.arithmetics[0], sidecar=SIDECAR)
    return paths


@pytest.fixture
def clip(bunny: vs.VideoNode) -> vs.VideoNode:
    return bunny[:4].resize.Bicubic(150, 98)


@pytest.mark.parametrize("spec", NETS, ids=lambda spec: spec.name)
def test_every_network_makes_every_frame_the_same_in_any_order(
    files: dict[str, str], clip: vs.VideoNode, spec: NetSpec
) -> None:
    output = vsrrin.interpolate(clip, 4, files[spec.name], scene="off")
    assert output.num_frames == 16
    straight = [frame.copy() for frame in output.frames()]
    assert [frame.props["_VSRRIN_Kind"] for frame in straight[:9]] == ["source", "new", "new", "new"] * 2 + ["source"]
    for n in range(4):
        assert same_picture(straight[4 * n], clip.get_frame(n))
    assert not any(same_picture(a, b) for a, b in pairwise(straight[:13]))
    again = vsrrin.interpolate(clip, 4, files[spec.name], scene="off")
    order = random.Random(0).sample(range(16), 16)
    with ThreadPoolExecutor(3) as pool:
        assert all(pool.map(lambda n: same_picture(again.get_frame(n), straight[n]), order))


def difference(first: vs.VideoFrame, second: vs.VideoFrame) -> float:
    """Mean of the luma."""
    return float(np.abs(planes(first)[0].astype(int) - planes(second)[0]).mean())


LOOK_FAR = ("rrin", "srrin", "raft_rrin", "rrin_lite", "rrin_lite_quick", "cain", "bmbc")


@pytest.mark.parametrize("spec", NETS, ids=lambda spec: spec.name)
def test_every_network_can_be_tiled(files: dict[str, str], clip: vs.VideoNode, spec: NetSpec) -> None:
    # At a third of the way: what does not move lies between two levels halfway, where rounding errors would decide.
    factor = 3 if spec.name == "plain" else 2
    tiled, whole = (
        vsrrin.interpolate(clip[:2], factor, files[spec.name], scene="off", tile=tile, overlap=16 if tile else None)
        for tile in (96, 0)
    )
    assert tiled.get_frame(1).props["_VSRRIN_Kind"] == "new"
    apart = difference(tiled.get_frame(1), whole.get_frame(1))
    # It was cut up; but who looks no further than the overlap, or at flow alone, which is that of the whole frame, does
    # not notice.
    assert apart > 0 or spec.name not in LOOK_FAR
    assert apart == 0 or spec.name != "plain"
    # Weights of chance look further than trained ones; and CAIN's attention averages over all that it is given.
    assert apart < (1 if spec.name == "cain" else 0.25) * difference(whole.get_frame(1), clip.get_frame(0))


def test_a_network_that_knows_only_the_middle_says_so_when_the_graph_is_built(
    files: dict[str, str], clip: vs.VideoNode
) -> None:
    for factor in (2, 4, 8, Fraction(4, 3), Fraction(8, 5)):
        assert vsrrin.interpolate(clip, factor, files["cain"]).num_frames == math.ceil(4 * factor)
    assert vsrrin.interpolate(clip, fps=2 * clip.fps, model=files["cain"]).num_frames == 8
    for factor in (3, 16, "5/2", Fraction(5, 3)):
        with pytest.raises(vs.Error, match=r"vsrrin.interpolate: cain knows only the middle of a pair.*use factor 2"):
            vsrrin.interpolate(clip, factor, files["cain"])
    with pytest.raises(vs.Error, match="knows only the middle"):
        vsrrin.interpolate(clip, fps=60, model=files["cain"])


def test_it_looks_at_all_times_of_a_variable_rate(files: dict[str, str]) -> None:
    steady = [Fraction(1, 25)] * 1150
    clip = vs.core.std.BlankClip(width=64, height=64, format=vs.GRAY8, length=1201, fpsnum=0, fpsden=1, keep=True)
    with pytest.raises(vs.Error, match="knows only the middle"):
        vsrrin.interpolate(with_durations(clip, [*steady, Fraction(1, 7), *steady[:50]]), fps=50, model=files["cain"])


def test_motion_that_is_not_there_cannot_be_scaled(files: dict[str, str], clip: vs.VideoNode) -> None:
    with pytest.raises(vs.Error, match=r"scale must be 1 or None for cain, not 0\.5"):
        vsrrin.interpolate(clip, 2, files["cain"], scale=0.5)


@pytest.mark.parametrize(("factor", "once"), [(2, False), ("3/2", False), (3, True), ("5/2", True)])
def test_residues_are_found_once_a_pair_if_pairs_have_several_new_frames(
    small_bunny: vs.VideoNode, monkeypatch: pytest.MonkeyPatch, factor: int | str, once: bool
) -> None:
    original, calls = TorchBackend.share, []

    def note(backend: TorchBackend, *given: Tensor) -> Tensor:
        calls.append(1)
        return original(backend, *given)

    monkeypatch.setattr(TorchBackend, "share", note)
    options = {"device": "cpu", "backend": "torch", "precision": "fp32", "scene": "off"}
    output = vsrrin.interpolate(small_bunny, factor, "balanced", **options)
    pairs = {frame.props["_VSRRIN_Left"] for frame in output.frames() if frame.props["_VSRRIN_Kind"] == "new"}
    assert len(calls) == (len(pairs) if once else 0)


def test_a_network_that_knows_only_the_middle_spreads_runs_of_two(
    small_bunny: vs.VideoNode, files: dict[str, str]
) -> None:
    clip = held(small_bunny.resize.Bicubic(64, 48), *(2,) * 8)
    for longest, factor in ((3, 2), (2, 3), (4, 1)):
        with pytest.raises(vs.Error, match=r"1, 2 or 4 with duplicates=\"spread\" and a longest run of 2"):
            vsrrin.interpolate(clip, factor, files["cain"], duplicates="spread", longest_run=longest)
    output = vsrrin.interpolate(clip, 2, files["cain"], duplicates="spread", longest_run=2)
    assert [f.props["_VSRRIN_Kind"] for f in output.frames()][:8] == (["source"] + ["new"] * 3) * 2
