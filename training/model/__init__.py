"""The network to train: its first weights, aids that are gone afterwards, and how a step runs it."""
