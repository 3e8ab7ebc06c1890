"""``python -m vsrrin`` is the command ``vsrrin``."""

import sys

from vsrrin.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
