"""Which options of a run the benchmarks of the training step take."""

STEP_OPTIONS = ("precision", "accumulate")
"""Options of training that change what a step costs and not what it means."""
