"""tests.device.rendering"""

import numpy as np
import pytest

from .rendering import difference


@pytest.mark.parametrize(("kind", "step"), [(np.uint8, 2), (np.uint16, 512), (np.float32, 2 / 255)])
def test_difference_is_in_levels_of_8_bits(kind: type[np.generic], step: float) -> None:
    first, second = (np.zeros((4, 4), kind) for _ in range(2))
    assert difference([[first]], [[second]]) == (0.0, float("inf"))
    second[1, 2] = step  # type: ignore[call-overload]
    largest, psnr = difference([[first]], [[second]])
    assert largest == pytest.approx(2, rel=1e-6)
    assert psnr == pytest.approx(10 * np.log10(255**2 * 16 / 4))


def test_what_is_not_finite_is_as_far_off_as_can_be() -> None:
    first = np.zeros((4, 4), np.float32)
    assert difference([[first]], [[first * np.nan]]) == (float("inf"), float("-inf"))
