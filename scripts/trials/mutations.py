"""Damage to files, chosen by chance and made again from the same seed."""

import re
from random import Random

_BOX = re.compile(
    rb"[a-z]{4}|[A-Z]{4}|\x1a\x45\xdf\xa3|\x1f\x43\xb6\x75|\x16\x54\xae\x6b|\x11\x4d\x9b\x74|\x1c\x53\xbb\x6b"
)
"""Names of boxes and chunks, and of Matroska's elements."""
_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
_BLOCK = 4096


def mutated(data: bytes, seed: int) -> tuple[bytes, str]:
    """Return damaged bytes, and the names of what was done to them."""
    chooser = Random(seed)
    done = []
    for _ in range(chooser.choice((1, 1, 1, 2, 3, 8))):
        damage = chooser.choice(_DAMAGES)
        data = damage(bytearray(data), chooser) if data else data
        done.append(damage.__name__.removeprefix("_"))
    return data, ", ".join(done)


def _flipped_bits(data: bytearray, chooser: Random) -> bytes:
    for _ in range(chooser.choice((1, 1, 4, 32))):
        data[_position(data, chooser)] ^= 1 << chooser.randrange(8)
    return bytes(data)


def _random_run(data: bytearray, chooser: Random) -> bytes:
    start = _position(data, chooser)
    length = min(chooser.choice((1, 2, 4, 16, 256)), len(data) - start)
    data[start : start + length] = chooser.randbytes(length)
    return bytes(data)


def _zeros(data: bytearray, chooser: Random) -> bytes:
    start = _position(data, chooser)
    length = min(chooser.choice((1, 4, 64, 1024)), len(data) - start)
    data[start : start + length] = bytes(length)
    return bytes(data)


def _truncated(data: bytearray, chooser: Random) -> bytes:
    return bytes(data[: _position(data, chooser)])


def _removed_block(data: bytearray, chooser: Random) -> bytes:
    start = _position(data, chooser)
    del data[start : start + chooser.randint(1, _BLOCK)]
    return bytes(data)


def _repeated_block(data: bytearray, chooser: Random) -> bytes:
    start = _position(data, chooser)
    block = data[start : start + chooser.randint(1, _BLOCK)]
    data[start:start] = block * chooser.choice((1, 1, 3))
    return bytes(data)


def _swapped_boxes(data: bytearray, chooser: Random) -> bytes:
    starts = [max(found.start() - 4, 0) for found in _BOX.finditer(data)]
    if len(starts) < 3:
        return bytes(data)
    a, b, c = sorted(chooser.choices(starts, k=3))
    return bytes(data[:a] + data[b:c] + data[a:b] + data[c:])


def _extreme_number(data: bytearray, chooser: Random) -> bytes:
    """Set a number of 1 to 8 bytes to an extreme, mostly beside the name of a box."""
    names = [found for found in _BOX.finditer(data)]
    position = _position(data, chooser)
    if names and chooser.random() < 0.7:
        name = chooser.choice(names)
        position = chooser.choice((max(name.start() - 4, 0), name.end(), name.end() + chooser.randrange(32)))
    width = chooser.choice((1, 2, 4, 8))
    value = chooser.choice(_EXTREMES) & (1 << 8 * width) - 1
    end = min(position + width, len(data))
    data[position:end] = value.to_bytes(width, chooser.choice(("big", "little")))[: max(end - position, 0)]
    return bytes(data)


def _position(data: bytearray, chooser: Random) -> int:
    """Return a position in the data, often one in the headers at its beginning."""
    return chooser.randrange(min(len(data), 1024) if chooser.random() < 0.4 else len(data))


_DAMAGES = (
    _flipped_bits,
    _random_run,
    _zeros,
    _truncated,
    _removed_block,
    _repeated_block,
    _swapped_boxes,
    _extreme_number,
    _extreme_number,
)
