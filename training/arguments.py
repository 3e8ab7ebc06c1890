"""Kinds of values that commands are given."""

import argparse
from collections.abc import Callable


def whole(least: int) -> Callable[[str], int]:
    """A whole number from ``least`` on, as argparse takes types."""

    def read(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, not {value}")
        return value

    read.__name__ = "whole number"  # for argparse's messages
    return read
