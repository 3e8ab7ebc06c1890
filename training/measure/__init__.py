"""The quality of new frames against true ones, during training and after it."""
