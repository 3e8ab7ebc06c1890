"""Errors of training.

::

    VsrrinError
    └── TrainingError          a training run cannot start or go on
        ├── RecipeError        a recipe is not valid
        └── DatasetError       training or validation data is missing, damaged or of an unknown form

The command-line programs print them as one line and exit with status 2.
"""

from vsrrin.errors import VsrrinError


class TrainingError(VsrrinError):
    """Training run that cannot start or go on; the text says why and what to do."""


class RecipeError(TrainingError):
    """Invalid recipe; the text names the file, the key, what was given and what is allowed."""


class DatasetError(TrainingError):
    """Missing, damaged or unknown data; the text names the file or folder."""
