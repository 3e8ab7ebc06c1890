"""Video files, cut into the shots of a dataset."""
