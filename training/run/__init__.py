"""A training run: its steps, processes, folder, states and logs."""
