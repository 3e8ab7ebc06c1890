"""Quality of new frames against true ones, during training and after it."""
