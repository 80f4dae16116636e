"""What it takes to translate a TIFF of any size from file to file."""
