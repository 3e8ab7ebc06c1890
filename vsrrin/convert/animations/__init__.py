"""Moving images: GIF, APNG and animated WebP, read frame by frame and written."""
