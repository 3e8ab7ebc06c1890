"""A clip in, a clip out: times, cuts, formats and properties of VapourSynth frames."""
