"""RAFT: recurrent all-pairs field transforms for optical flow; a shared piece, no network of its own here.

Paper: Teed, Deng: "RAFT: recurrent all-pairs field transforms for optical flow", ECCV 2020.
Upstream: https://github.com/princeton-vl/RAFT at 2888e15.
Code licence: upstream BSD 3-clause; this file is an independent implementation, under vsrrin's licence.
Weights licence: upstream's and torchvision's, BSD 3-clause; what they were trained on has terms of its own.

Differs from upstream:

- Frames are in [0, 1] and of any size: padding to a multiple of 8 is that of upstream's demo (border repeated, on both
  sides). Sides below 128 are padded to 128; upstream returns NaN for them.
- Both directions in one call share the features of the frames.
- Where the volume of all pairs would be large, correlation is computed when it is looked up.
- What the context contributes to the gates is computed once, not in every iteration, and the weights of the
  enlargement in the last iteration only.
- In half precision, hidden state, flow, correlation and everything about positions stay float32.
- Batch norm always uses its running statistics.
"""

import re
from collections.abc import Collection, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .raft_corr import correlation
from .raft_layers import LARGE, SMALL, STRIDE, Encoder, UpdateBlock

# The coarsest level of the correlation has a pixel for every 64 of the frame, and upstream divides by one less.
_LEAST_SIDE = 128
VOLUME_BYTES = 2**28
"""What the correlation of all pairs may take by default: enough for 480p."""


class RAFT(nn.Module):
    """Network for optical flow by repeated correction.

    Attributes:
        iterations: Number of corrections; at least 1.
        volume_bytes: Bytes that the correlation of all pairs of pixels may take; for larger frames it is computed
            where it is needed, with the same values up to rounding. Goes by frame size alone.
    """

    def __init__(self, *, small: bool, iterations: int = 12) -> None:
        """Make the layers.

        Args:
            small: Whether to make the small net of the paper, with 1 million parameters instead of 5.
            iterations: Number of corrections.
        """
        super().__init__()
        sizes = SMALL if small else LARGE
        self.hidden, self.radius = sizes.hidden, sizes.radius
        self.iterations = iterations
        self.volume_bytes = VOLUME_BYTES
        self.fnet = Encoder(sizes, sizes.features, "instance")
        self.cnet = Encoder(sizes, sizes.hidden + sizes.context, "none" if small else "batch")
        self.update_block = UpdateBlock(sizes)

    def forward(self, img0: Tensor, img1: Tensor) -> Tensor:
        """Return the flow from frame 0 to frame 1.

        Args:
            img0: Frame 0, (N, 3, H, W) float32 in [0, 1], of any size.
            img1: Frame 1, likewise.

        Returns:
            (N, 2, H, W) float32, (dx, dy) in pixels.
        """
        image0, image1 = _prepared(img0), _prepared(img1)
        return _cropped(self._flow(image0, self.fnet(image0), self.fnet(image1)), img0)

    def bidirectional(self, img0: Tensor, img1: Tensor) -> Tensor:
        """Return the flow between two frames, each direction as :meth:`forward` returns it.

        Args:
            img0: Frame 0, (N, 3, H, W) float32 in [0, 1], of any size.
            img1: Frame 1, likewise.

        Returns:
            (N, 4, H, W) float32, (dx, dy) in pixels of 0 -> 1, then of 1 -> 0.
        """
        image0, image1 = _prepared(img0), _prepared(img1)
        features0, features1 = self.fnet(image0), self.fnet(image1)
        there = self._flow(image0, features0, features1)
        back = self._flow(image1, features1, features0)
        return _cropped(torch.cat((there, back), 1), img0)

    def _flow(self, image0: Tensor, features0: Tensor, features1: Tensor) -> Tensor:
        """Flow (N, 2, H, W) of a prepared frame, from its and the other's features."""
        context: Tensor = self.cnet(image0)
        hidden = torch.tanh(context[:, : self.hidden])
        steps = self.update_block.gru.steps(torch.relu(context[:, self.hidden :]))
        count, _, height, width = context.shape
        flow = context.new_zeros(count, 2, height, width)
        # Last of all: the encoder needs its memory no longer.
        look_up = correlation(features0, features1, radius=self.radius, limit=self.volume_bytes)
        for _ in range(self.iterations):
            flow = flow.detach()  # gradients go through the hidden state alone, as upstream trains
            motion = self.update_block.encoder(flow, look_up(flow))
            hidden = self.update_block.gru(hidden, motion, steps)
            flow = flow + self.update_block.flow_head(hidden)
        return self.update_block.enlarge(flow, hidden)


def _padding(height: int, width: int) -> tuple[int, int, int, int]:
    """(left, right, top, bottom) of what is added to a frame."""
    x, y = (max(side + -side % STRIDE, _LEAST_SIDE) - side for side in (width, height))
    return x // 2, x - x // 2, y // 2, y - y // 2


def _prepared(image: Tensor) -> Tensor:
    """A frame in [-1, 1], padded."""
    return F.pad(2 * image - 1, _padding(*image.shape[-2:]), mode="replicate")


def _cropped(flow: Tensor, image: Tensor) -> Tensor:
    height, width = image.shape[-2:]
    left, _, top, _ = _padding(height, width)
    return flow[..., top : top + height, left : left + width].contiguous()


# torchvision's names -> upstream's, applied in this order. Its blocks hold a convolution as 0 and its norm as 1.
_TORCHVISION = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"^feature_encoder\.", "fnet."),
        (r"^context_encoder\.", "cnet."),
        (r"^(.net\.)conv\.", r"\1conv2."),
        (r"^(.net\.)convnormrelu\.0\.", r"\1conv1."),
        (r"^(.net\.)convnormrelu\.1\.", r"\1norm1."),
        (r"\.convnormrelu(\d)\.0\.", r".conv\1."),
        (r"\.convnormrelu(\d)\.1\.", r".norm\1."),
        (r"^update_block\.motion_encoder\.", "update_block.encoder."),
        (r"^update_block\.encoder\.convcorr(\d)\.0\.", r"update_block.encoder.convc\1."),
        (r"^update_block\.encoder\.convflow(\d)\.0\.", r"update_block.encoder.convf\1."),
        (r"^update_block\.encoder\.conv\.0\.", "update_block.encoder.conv."),
        (r"^mask_predictor\.convrelu\.0\.", "update_block.mask.0."),
        (r"^mask_predictor\.conv\.", "update_block.mask.2."),
    )
)
_GRU = re.compile(r"^update_block\.recurrent_block\.convgru(\d)\.conv([zrq])\.")
_SECOND_NORM = re.compile(r"\.downsample\.1\.")


def canonical_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """Return a state dict of RAFT under the keys of its authors, without ``module.``, in their order.

    Args:
        state: One of the authors, with or without ``module.`` before each key, or one of torchvision's
            ``raft_large`` or ``raft_small``.

    Returns:
        A state dict that loads strictly into a `RAFT` of its size (see `is_small`), or None if it is neither.
    """
    state = {key.removeprefix("module."): value for key, value in state.items()}
    if any(key.startswith("feature_encoder.") for key in state):
        state = _from_torchvision(state)
    if "fnet.conv1.weight" not in state:
        return None
    with torch.device("meta"):
        expected = RAFT(small=is_small(state)).state_dict()
    if set(expected) != set(state) or any(state[key].shape != value.shape for key, value in expected.items()):
        return None
    return {key: state[key] for key in expected}


def is_small(keys: Collection[str]) -> bool:
    """Return whether canonical keys are those of the small net; only the large one learns to enlarge its flow."""
    return "update_block.mask.0.weight" not in keys


def _from_torchvision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    # A single step of the recurrent unit has no number upstream.
    numbered = any(key.startswith("update_block.recurrent_block.convgru2.") for key in state)
    renamed = {}
    for key, value in state.items():
        name = _GRU.sub(rf"update_block.gru.conv\2{r'\1' if numbered else ''}.", key)
        for pattern, replacement in _TORCHVISION:
            name = pattern.sub(replacement, name)
        renamed[name] = value
        if _SECOND_NORM.search(name):
            renamed[_SECOND_NORM.sub(".norm3.", name)] = value
    return renamed
