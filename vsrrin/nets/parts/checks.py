"""Checks of the tensors that networks are given."""

from torch import Tensor

from vsrrin.errors import ArgumentError, FrameSizeError


def check_inputs(
    function: str, multiple: int, img0: Tensor, img1: Tensor, *, t: Tensor | None = None, flow: Tensor | None = None
) -> None:
    """Check the frames, time and flow that a network is given.

    Args:
        function: Name for the message.
        multiple: What height and width must be multiples of.
        img0: Frame 0.
        img1: Frame 1.
        t: Time, or None where there is none.
        flow: Flow from outside, at half the frames' size, or None where there is none.

    Raises:
        FrameSizeError: An image is not (N, 3, H, W), they differ in shape, a side is no multiple of ``multiple``, or
            the flow is not (N, 4, H/2, W/2).
        ArgumentError: t is not (N, 1, 1, 1).
    """
    if img0.dim() != 4 or img0.shape[1] != 3 or img0.shape != img1.shape:
        raise FrameSizeError(
            f"{function}: img0 and img1 must be of one shape (N, 3, H, W), "
            f"got {tuple(img0.shape)} and {tuple(img1.shape)}."
        )
    height, width = img0.shape[-2:]
    if height % multiple or width % multiple or not height or not width:
        raise FrameSizeError(
            f"{function}: height and width must be multiples of {multiple}, got {height}x{width} (height x width). "
            "Pad the frames."
        )
    if flow is not None and flow.shape != (img0.shape[0], 4, height // 2, width // 2):
        raise FrameSizeError(
            f"{function}: flow must have shape ({img0.shape[0]}, 4, {height // 2}, {width // 2}), half the frames', "
            f"got {tuple(flow.shape)}."
        )
    if t is not None and t.shape != (img0.shape[0], 1, 1, 1):
        raise ArgumentError(f"{function}: t must have shape ({img0.shape[0]}, 1, 1, 1), got {tuple(t.shape)}.")
