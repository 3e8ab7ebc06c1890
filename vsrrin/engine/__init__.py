"""Interpolation of frame pairs within a device's memory, without VapourSynth."""
