"""vsrrin.flow.refinement beside OpenCV."""

import cv2
import numpy as np
import torch

from vsrrin.flow.dis import PRESETS, _dis
from vsrrin.flow.refinement import refined

from .frames import apart, greys, tensor


def test_flow_is_refined_as_by_opencv() -> None:
    grey0, grey1 = greys(10, 2, 160, 200)
    start = _dis(PRESETS["fast"]).calc(grey0, grey1, None)  # type: ignore[call-overload]
    judge = cv2.VariationalRefinement.create()
    judge.setFixedPointIterations(1)
    judge.setEpsilon(0.01)
    expected = np.stack(judge.calcUV(grey0, grey1, start[..., 0].copy(), start[..., 1].copy()), -1)
    flow = torch.from_numpy(start).permute(2, 0, 1)[None]
    with torch.no_grad():
        found = refined(tensor(grey0), tensor(grey1), flow)
    assert apart(flow, expected).mean() > 0.02  # it does something
    assert apart(found, expected).mean() < 1e-4
    assert apart(found, expected).max() < 0.05


def test_a_batch_is_refined_like_each_of_its_pictures() -> None:
    both = tensor(*greys(10, 2, 64, 80))
    flow = torch.randn(2, 2, 64, 80, generator=torch.Generator().manual_seed(0))
    together = refined(both, both.flip(0), flow)
    for k in (0, 1):
        alone = refined(both[k : k + 1], both[1 - k : 2 - k], flow[k : k + 1])
        torch.testing.assert_close(together[k : k + 1], alone, atol=1e-5, rtol=0)


def test_what_is_flat_stays_as_it_is() -> None:
    flat, flow = torch.full((1, 20, 30), 90.0), torch.full((1, 2, 20, 30), 3.0)
    torch.testing.assert_close(refined(flat, flat, flow), flow)
