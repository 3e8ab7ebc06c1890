"""Tests of a device: through the filter, every network makes the frames there that it makes on the CPU."""
