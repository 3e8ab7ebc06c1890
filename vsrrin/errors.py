"""The errors of vsrrin.

::

    VsrrinError
    ├── ArgumentError (also ValueError)    an argument is of the wrong type or out of range
    │   └── FrameSizeError                 a frame or tensor has a size that cannot be processed
    ├── CheckpointError                    a weights file is missing, damaged, or of another network
    │   └── UnknownNetError                no network of that name, or none that has these weights
    ├── BackendError                       a device, precision or backend is not available here
    └── ConvertError                       a file cannot be read, converted or written as asked

The filter turns each of them into a `vapoursynth.Error` with the prefix ``vsrrin.interpolate:``.
"""


class VsrrinError(Exception):
    """Base of all errors raised by vsrrin itself."""


class ArgumentError(VsrrinError, ValueError):
    """An argument is of the wrong type or out of range; the text names it, what was given and what is allowed."""


class FrameSizeError(ArgumentError):
    """A frame or tensor has a size that cannot be processed."""


class CheckpointError(VsrrinError):
    """A weights file is missing, damaged, or does not fit the network."""


class UnknownNetError(CheckpointError):
    """No network of that name is known, or none that has these weights."""


class BackendError(VsrrinError):
    """A device, precision or backend is not available on this machine."""


class ConvertError(VsrrinError):
    """A file cannot be read, converted or written as asked; the text names it, what is wrong and what to do."""
