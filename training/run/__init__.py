"""Training run: its steps, processes, folder, states and logs."""
