"""Marks for stacks of convolutions, which backends other than PyTorch may run in their own way.

A stack depends on one tensor and its weights alone and knows no coordinates, so that it bears half precision and any
compiler; warps, flow and blending around it stay what they are. To PyTorch the mark means nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from torch import nn


@dataclass(frozen=True, slots=True)
class Stack:
    """Input of a stack: (N, channels, H, W), float32 or of the type of its layers.

    H and W are multiples of ``multiple``, and at least 2.
    """

    channels: int
    multiple: int


def mark_stack(module: nn.Module, channels: int, *, multiple: int = 1, method: str = "forward") -> None:
    """Mark a method of a module as a stack.

    Args:
        module: Maps (N, channels, H, W) to (N, C, H', W'), where H' / H and W' / W are the same for every size.
        channels: Of what it is given.
        multiple: What height and width are multiples of.
        method: The method.
    """
    module.stacks = {**stacks_of(module), method: Stack(channels, multiple)}  # type: ignore[assignment]  # as keep_fp32


def stacks_of(module: nn.Module) -> Mapping[str, Stack]:
    """Return the stacks that a module itself is marked to be (not those in it), by method."""
    return cast(Mapping[str, Stack], getattr(module, "stacks", {}))
