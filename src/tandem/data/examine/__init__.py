"""A deep look at a dataset: what `tandem doctor DATA` finds."""
