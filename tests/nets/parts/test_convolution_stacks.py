"""vsrrin.nets.parts.convolution_stacks"""

import pytest
from torch import nn

from vsrrin.nets.parts.convolution_stacks import Levels, levels_of, take_levels


@pytest.mark.parametrize("ends", [(-1.5, 3.0), (0.0, 1.0), (0.2, 1.0), (-3.0, -1.0), (0.0, 0.0)])
def test_levels_cover_a_range_and_zero(ends: tuple[float, float]) -> None:
    levels = Levels.of(*ends)
    low, high = levels.ends
    assert 0 <= levels.zero <= 255
    assert high - low == pytest.approx(255 * levels.step)
    # Moved by half a step at most, so that zero is one of them.
    assert low <= min(ends[0], 0) + 0.501 * levels.step
    assert high >= ends[1] - 0.501 * levels.step


def test_a_module_takes_levels_once_it_is_said_to() -> None:
    module = nn.Identity()
    assert levels_of(module) is None
    take_levels(module, Levels(0.5, 3))
    assert levels_of(module) == Levels(0.5, 3)
