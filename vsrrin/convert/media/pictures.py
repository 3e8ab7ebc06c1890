"""Cover pictures for a new file."""

import av.stream

from .streams import AnyPacket, Packets


class Picture:
    """A cover picture, passed on as it is."""

    def __init__(self, target: av.stream.Stream) -> None:
        self._target = target

    def feed(self, packet: AnyPacket) -> Packets:
        """Yield the picture at time 0."""
        packet.pts = packet.dts = 0
        packet.stream = self._target
        yield packet

    def finish(self) -> Packets:
        """Yield nothing: no packet is held back."""
        yield from ()
