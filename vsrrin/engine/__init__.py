"""Frame pairs in, new frames out, within a device's memory; knows nothing of VapourSynth."""
