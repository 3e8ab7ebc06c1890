"""Conversion between tensors and pictures in the layout of OpenCV, with their channels innermost in memory."""

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def interleaved(planes: Tensor) -> NDArray[np.float32]:
    """Return (C, H, W) on the CPU as (H, W, C) float32, a view where the memory is in this order."""
    planes = planes.detach().float()
    picture = planes.permute(1, 2, 0)
    in_order = picture.stride()[1:] == (picture.shape[2], 1) or picture.is_contiguous()
    return np.asarray(picture.numpy()) if in_order else merged(list(planes))


def merged(planes: list[Tensor]) -> NDArray[np.float32]:
    """Return planes (H, W) as (H, W, C), in a quarter of the time of a transposed copy."""
    picture = np.asarray(cv2.merge([plane.contiguous().numpy() for plane in planes]), np.float32)
    return np.atleast_3d(picture)  # OpenCV leaves out a single channel


def as_planes(picture: Any) -> Tensor:
    """Return (H, W) or (H, W, C) as (1, C, H, W), a view."""
    return torch.from_numpy(np.atleast_3d(picture)).permute(2, 0, 1)[None]
