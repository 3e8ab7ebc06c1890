"""The networks: one file each, and the parts they share."""

from .registry import NETS, identify
from .spec import NetSpec

__all__ = ["NETS", "NetSpec", "identify"]
