"""Network to train: first weights, aids that are gone afterwards, and the way a step runs it."""
