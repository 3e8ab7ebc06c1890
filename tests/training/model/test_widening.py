"""training.model.widening"""

import itertools

import pytest
import torch
from torch import Tensor, nn

from tests.conftest import texture
from training.errors import RecipeError
from training.model.widening import widened
from vsrrin.nets.rrin import RRIN
from vsrrin.nets.srrin import SRRIN


def lively(net: nn.Module) -> nn.Module:
    """With biases, and flow of some pixels."""
    with torch.no_grad():
        for name, value in net.named_parameters():
            if name.endswith("bias"):
                value.uniform_(-0.2, 0.2)
        net.Flow_L.last.weight.mul_(30)  # type: ignore[operator, union-attr]
    return net


def pair() -> tuple[Tensor, Tensor]:
    return texture(64, 48, (0.0, 0.0)), texture(64, 48, (3.0, 1.0))


@pytest.mark.parametrize("made_by", [RRIN, SRRIN])
@pytest.mark.parametrize("width", [8, 12])
def test_what_is_computed_stays(made_by: type[RRIN] | type[SRRIN], width: int) -> None:
    torch.manual_seed(3)
    narrow, wide = lively(made_by("exact", width=4)), made_by("exact", width=width)
    before = wide(*pair(), torch.full((1, 1, 1, 1), 0.5))
    wide.load_state_dict(widened(narrow.state_dict(), wide.state_dict(), seed=1))
    with torch.no_grad():
        for t in (0.25, 0.5):
            expected = narrow(*pair(), torch.full((1, 1, 1, 1), t))
            found = wide(*pair(), torch.full((1, 1, 1, 1), t))
            assert (found - expected).abs().max() < 1e-4
        assert (before - expected).abs().max() > 0.01
        assert narrow.estimate(*pair()).abs().max() > 1


def test_channels_made_of_one_part_ways() -> None:
    torch.manual_seed(3)
    narrow, wide = lively(RRIN("exact", width=4)), RRIN("exact", width=8)
    wide.load_state_dict(widened(narrow.state_dict(), wide.state_dict(), seed=1))
    wide(*pair(), torch.full((1, 1, 1, 1), 0.5)).mean().backward()
    gradient = wide.Flow_L.down_path[1].block[0].weight.grad  # type: ignore[index, union-attr]
    assert isinstance(gradient, Tensor)
    for channel in range(0, 16, 2):
        one, other = gradient[channel], gradient[channel + 1]
        assert (one - other).norm() > 0.02 * one.norm() > 0


def test_parts_follow_from_the_seed() -> None:
    narrow, wide = RRIN(width=4).state_dict(), RRIN(width=8).state_dict()
    first, again, other = (widened(narrow, wide, seed) for seed in (1, 1, 2))
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert not all(torch.equal(value, other[name]) for name, value in first.items())


def test_the_same_width_stays_as_it_is() -> None:
    state = RRIN(width=4).state_dict()
    found = widened(state, RRIN(width=4).state_dict(), 1)
    assert all(torch.allclose(found[name], state[name], atol=1e-7) for name in state)


@pytest.mark.parametrize(
    ("narrow", "wide", "expected"),
    [
        ([4, 6, 3, 3], [6, 6, 3, 3], r"x is \[4, 6, 3, 3\] and cannot become \[6, 6, 3, 3\]"),
        ([4, 6, 3, 3], [8, 6, 5, 5], "cannot become"),
        ([4, 6, 3, 3], [2, 6, 3, 3], "cannot become"),
        ([4, 6, 3, 3], [8, 18, 3, 3], "some layers are 2 and some 3 times as wide"),
    ],
)
def test_what_cannot_be_widened_is_named(narrow: list[int], wide: list[int], expected: str) -> None:
    with pytest.raises(RecipeError, match=expected):
        widened({"x": torch.ones(narrow)}, {"x": torch.ones(wide)}, 1)


def test_names_that_only_one_has_are_left_out() -> None:
    found = widened({"x": torch.ones(2), "z": torch.ones(1)}, {"x": torch.ones(4), "y": torch.ones(1)}, 1)
    assert list(found) == ["x"] and found["x"].tolist() == list(itertools.repeat(1.0, 4))
