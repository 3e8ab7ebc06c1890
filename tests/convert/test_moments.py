"""vsrrin.convert.moments: positions and times as people write them."""

import re
from fractions import Fraction

import pytest

from vsrrin.convert.moments import parse_position, written
from vsrrin.errors import ArgumentError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("83.5", Fraction(167, 2)),
        ("1:23.5", Fraction(167, 2)),
        (" 01:01:23.001 ", Fraction(3683001, 1000)),
        ("120:00", Fraction(7200)),
        (".25", Fraction(1, 4)),
        ("0.1", Fraction(1, 10)),
        ("2004f", 2004),
    ],
)
def test_positions(text: str, found: Fraction | int) -> None:
    got = parse_position(text, "--at")
    assert got == found
    assert type(got) is type(found)


@pytest.mark.parametrize("text", ["", "-1", "1:60", "1:60:00", "1e3", "f", "-3f", "1.5f", "1:2:3:4", "nan"])
def test_what_is_no_position(text: str) -> None:
    with pytest.raises(ArgumentError, match=re.escape("--at must be seconds (83.5), mm:ss (1:23.5), hh:mm:ss")):
        parse_position(text, "--at")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [("0", "0.000 s"), ("1/3", "0.333 s"), ("59.9996", "1:00.000"), ("3683.001", "1:01:23.001")],
)
def test_times_as_they_are_written(seconds: str, text: str) -> None:
    assert written(Fraction(seconds)) == text
