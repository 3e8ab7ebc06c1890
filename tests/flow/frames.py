"""Real frames for tests of flow."""

from collections.abc import Iterator
from itertools import islice

import av
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.conftest import BUNNY

type Grey = NDArray[np.uint8]


def pictures(first: int, step: int = 1) -> Tensor:
    """Two frames of the bundled clip, (2, 3, 480, 854), [0, 1]."""
    with av.open(str(BUNNY)) as container:
        frames = list(islice(container.decode(video=0), first, first + step + 1, step))
    both = np.stack([frame.to_ndarray(format="rgb24") for frame in frames])
    return torch.from_numpy(both).permute(0, 3, 1, 2).float() / 255


def greys(first: int, step: int = 1, height: int = 240, width: int = 427) -> tuple[Grey, Grey]:
    """The top left of two frames at half of their size, in 8 bit."""

    def reduced() -> Iterator[Grey]:
        for picture in pictures(first, step).mean(1).mul(255).numpy():
            small = cv2.resize(picture, (427, 240), interpolation=cv2.INTER_AREA)
            yield np.rint(small).astype(np.uint8)[:height, :width].copy()

    grey0, grey1 = reduced()
    return grey0, grey1


def tensor(*pictures: Grey) -> Tensor:
    """Pictures as (N, H, W) float32."""
    return torch.from_numpy(np.stack(pictures).astype(np.float32))


def apart(flow: Tensor, expected: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distance at each pixel between flow (1, 2, H, W) and OpenCV's (H, W, 2)."""
    distance: NDArray[np.float32] = np.linalg.norm(flow[0].permute(1, 2, 0).numpy() - expected, axis=-1)
    return distance
