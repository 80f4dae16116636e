"""Videos: videos and animated GIFs, read, translated and written frame by frame."""
