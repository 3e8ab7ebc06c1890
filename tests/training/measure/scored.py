"""Made-up results of two methods on three triplets."""

from dataclasses import fields
from fractions import Fraction
from typing import Any

from training.measure.scores import Score
from training.measure.triplets import Span

HALF, QUARTER = Fraction(1, 2), Fraction(1, 4)


def score(*values: Any) -> Score:
    """A score from the values of its fields, in order."""
    return Score(**dict(zip((field.name for field in fields(Score)), values, strict=True)))


SCORES = [
    score("a", "one", "x.mp4", Span(1, 2, HALF), 2.0, "slow", 30.0, 0.9, 50.0, 0.5, 3.0, 6.0, 0.1),
    score("b", "one", "x.mp4", Span(1, 2, HALF), 2.0, "slow", 31.0, 0.91, None, 0.4, 2.0, 5.0, 0.2),
    score("a", "one", "x.mp4", Span(1, 4, QUARTER), 12.0, "fast", 20.0, 0.5, -100.0, 3.0, 9.0, 20.0, 0.3),
    score("b", "one", "x.mp4", Span(1, 4, QUARTER), 12.0, "fast", 22.0, 0.6, -90.0, 2.0, 7.0, 15.0, 0.2),
    score("a", "one", "y.mp4", Span(1, 2, HALF), 2.5, "slow", 36.0, 0.95, 80.0, 0.1, 2.0, 3.0, 0.2),
    score("b", "one", "y.mp4", Span(1, 2, HALF), 2.5, "slow", 37.0, 0.96, 85.0, 0.0, 1.0, 2.0, 0.2),
]
