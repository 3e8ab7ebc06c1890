"""Tools of the repository: set-up, checks, the demo, benchmarks; none of them is installed."""
