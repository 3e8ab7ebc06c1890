"""Training of vsrrin's networks, from a folder of videos to a checkpoint that the filter loads."""
