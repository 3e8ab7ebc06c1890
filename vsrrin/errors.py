"""Errors of vsrrin.

::

    VsrrinError
    ├── ArgumentError (also ValueError)    an argument is of a wrong type or out of range
    │   └── FrameSizeError                 a frame or tensor has a size that cannot be processed
    ├── CheckpointError                    a weights file is missing, damaged, or of another network
    │   └── UnknownNetError                no network has that name, or these weights
    ├── BackendError                       a device, precision or backend is not available here
    └── ConvertError                       a file cannot be read, converted or written as asked

The filter turns each of them into a `vapoursynth.Error` with the prefix ``vsrrin.interpolate:``.
"""


class VsrrinError(Exception):
    """Base of all errors raised by vsrrin itself."""


class ArgumentError(VsrrinError, ValueError):
    """Argument of a wrong type or out of range; the message names it, what was given and what is allowed."""


class FrameSizeError(ArgumentError):
    """Frame or tensor of a size that cannot be processed."""


class CheckpointError(VsrrinError):
    """Weights file that is missing, damaged, or does not fit the network."""


class UnknownNetError(CheckpointError):
    """Unknown name of a network, or weights of no known network."""


class BackendError(VsrrinError):
    """Device, precision or backend that is not available on this machine."""


class ConvertError(VsrrinError):
    """File that cannot be read, converted or written; the message names it, what is wrong and what to do."""
