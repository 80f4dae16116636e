"""Features of many image files, from the disk to rows, against the bare feature network."""
