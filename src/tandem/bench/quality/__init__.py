"""``tandem bench quality``: what several settings make of the same data, for the same time."""
