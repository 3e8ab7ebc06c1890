"""The networks: one file each, and the parts they share."""

from vsrrin.nets.registry import NETS, identify
from vsrrin.nets.spec import NetSpec

__all__ = ["NETS", "NetSpec", "identify"]
