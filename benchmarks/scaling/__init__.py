"""How a training step scales over processes: timing, and a model of its cost."""
