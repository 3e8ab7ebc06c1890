"""The command ``vsrrin``: arguments and printing."""
