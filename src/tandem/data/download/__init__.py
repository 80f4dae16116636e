"""Published datasets: what there is, getting the archive, checking and unpacking it."""
