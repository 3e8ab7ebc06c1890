"""Times made whole where files give several frames one time, or none."""

from fractions import Fraction

from vsrrin.convert.media.spread import apart, explaining_rate, filled

F = Fraction


def ms(*times: int) -> list[Fraction]:
    """Times in milliseconds."""
    return [F(time, 1000) for time in times]


def test_equal_times_are_spread_up_to_the_next_and_the_last_ones_up_to_the_end() -> None:
    assert apart(ms(0, 40, 40, 120, 120, 120), F(150, 1000)) == ms(0, 40, 80, 120, 130, 140)
    assert apart(ms(5, 6, 9), F(1)) == ms(5, 6, 9)


def test_unknown_times_are_filled() -> None:
    unknown = None
    assert filled([unknown, unknown, F(1), unknown, F(2)], F(1, 10)) == [F(8, 10), F(9, 10), 1, 1, 2]
    assert filled([unknown, unknown], F(1, 10)) == [0, F(1, 10)]


def test_the_rate_that_rounded_times_come_from() -> None:
    tick = F(1, 1000)
    rounded = [F(round(number / 2), 1000) for number in range(100)]
    assert explaining_rate(rounded, (F(1000),), tick) == 2000
    assert explaining_rate(rounded, (F(1990),), tick) == 1990  # a claim that fits comes first
    assert explaining_rate(ms(0, 40, 40, 120), (F(25),), tick) is None
    assert explaining_rate(ms(7, 7), (F(25),), tick) is None
