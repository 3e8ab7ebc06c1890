"""Types of arguments that several commands share."""

import argparse
from collections.abc import Callable


def whole(least: int) -> Callable[[str], int]:
    """Return an argparse type for whole numbers from ``least`` on."""

    def read(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, not {value}")
        return value

    read.__name__ = "whole number"  # for argparse's messages
    return read
