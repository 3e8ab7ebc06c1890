"""Banks: samples made beforehand, in files that are read in any order."""
