"""Networks, one file each, and the parts that they share."""

from .registry import NETS, identify
from .spec import NetSpec

__all__ = ["NETS", "NetSpec", "identify"]
