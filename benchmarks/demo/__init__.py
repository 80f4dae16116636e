"""What a step of each model of the demo costs: ``python -m benchmarks.demo``."""
