"""The check of what networks are given."""

import pytest
import torch

from vsrrin.errors import FrameSizeError
from vsrrin.nets.parts.checks import check_inputs


def test_check_inputs_accepts_what_fits():
    frame = torch.rand(2, 3, 16, 32)
    check_inputs("f", 16, frame, frame, t=torch.full((2, 1, 1, 1), 0.5), flow=torch.zeros(2, 4, 8, 16))


def test_check_inputs_refuses_nothing_to_work_on():
    empty = torch.rand(1, 3, 0, 16)
    with pytest.raises(FrameSizeError, match="f: height and width must be multiples of 16, got 0x16"):
        check_inputs("f", 16, empty, empty)
