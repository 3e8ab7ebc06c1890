"""Guard against steps whose loss or gradient is not finite."""

import math
from collections.abc import Iterable

from training.errors import TrainingError


class Guard:
    """Counter of failed steps, which stops a run that does nothing else.

    Args:
        patience: Failed steps in a row after which the run stops.
    """

    def __init__(self, patience: int) -> None:
        self.skipped = 0
        """Steps that failed so far."""
        self.in_a_row = 0
        """Steps that failed since the last one that did not."""
        self._patience = patience

    def passes(self, values: Iterable[float], step: int) -> bool:
        """Return whether all values are finite and the step can be taken.

        Raises:
            TrainingError: Too many in a row were not.
        """
        if all(map(math.isfinite, values)):
            self.in_a_row = 0
            return True
        self.skipped += 1
        self.in_a_row += 1
        if self.in_a_row >= self._patience:
            raise TrainingError(
                f"loss or gradient were not finite in {self.in_a_row} steps in a row, up to step {step}. The last "
                "state is kept. Try a lower optim.learning_rate, a longer optim.warmup, a smaller optim.clip, or "
                'optim.precision = "fp32"'
            )
        return False
