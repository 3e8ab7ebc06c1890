"""Quality and speed of vsrrin beside other interpolators, in one run."""
