"""Interpolation of VapourSynth clips: times, cuts, formats and frame properties."""
