"""vsrrin.flow.pyramid_search"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import needs_numba
from vsrrin.flow.block_matching import coarse_motion

from .frames import greys

pytestmark = needs_numba


@pytest.mark.parametrize("finest", [0, 1])
def test_both_directions_meet(finest: int) -> None:
    from vsrrin.flow.pyramid_search import flows

    forth, back = flows(*greys(10, 2), (None, None), finest)
    assert np.linalg.norm(forth, axis=-1).mean() > 0.3
    assert np.median(np.linalg.norm(forth + back, axis=-1)) < 0.1


def test_a_start_leads_to_motion_that_is_not_found_without_it() -> None:
    from vsrrin.flow.pyramid_search import flows

    wide = greys(10)[0]
    grey0, grey1 = (np.ascontiguousarray(wide[:, x : x + 300]) for x in (100, 20))
    start = np.zeros((240, 300, 2), np.float32)
    start[..., 0] = 80
    for finest in (0, 1):
        told = flows(grey0, grey1, (start, -start), finest)[0][:, :200]
        alone = flows(grey0, grey1, (None, None), finest)[0][:, :200]
        assert (np.abs(told - (80, 0)).max(-1) < 1).mean() > 0.9
        assert (np.abs(alone - (80, 0)).max(-1) < 1).mean() < 0.5


def test_threads_change_nothing() -> None:
    from vsrrin.flow.pyramid_search import flows

    pair = greys(10, 2)
    starts = coarse_motion(*pair)
    assert starts is not None
    found, threads = [], torch.get_num_threads()
    for count in (1, 2):
        torch.set_num_threads(count)
        try:
            found.append(flows(*pair, starts, 0))
        finally:
            torch.set_num_threads(threads)
    for one, two in zip(*found, strict=True):
        assert np.array_equal(one, two)


@pytest.mark.parametrize("size", [(16, 16), (16, 500), (500, 17), (33, 47), (97, 31)])
@pytest.mark.parametrize("finest", [0, 1])
def test_pictures_of_any_size_and_content_have_a_flow(size: tuple[int, int], finest: int) -> None:
    from vsrrin.flow.pyramid_search import flows

    noise = np.random.default_rng(1).integers(0, 256, (2, *size), np.uint8)
    for pair in ((noise[0], noise[1]), (noise[0] // 128 * 255, 255 - noise[1] // 128 * 255), (noise[0] * 0, noise[1])):
        for flow in flows(*pair, (None, None), finest):
            assert flow.shape == (*size, 2)
            assert np.isfinite(flow).all()
    still = flows(noise[0], noise[0], (None, None), finest)
    assert max(np.abs(flow).max() for flow in still) < 1e-3


def test_flow_has_the_same_bits_on_a_processor_that_multiplies_and_adds_apart(tmp_path: Path) -> None:
    from vsrrin.flow.pyramid_search import flows

    pair, there = greys(10, 2), tmp_path / "flow.npy"
    np.save(tmp_path / "pair.npy", np.stack(pair))
    code = (
        "import sys, numpy as np; from vsrrin.flow.pyramid_search import flows;"
        "np.save(sys.argv[2], np.stack(flows(*np.load(sys.argv[1]), (None, None), 0)))"
    )
    other = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", code, str(tmp_path / "pair.npy"), str(there)]
    subprocess.run(command, check=True, env={**os.environ, **other})
    assert np.array_equal(np.load(there), np.stack(flows(*pair, (None, None), 0)))
