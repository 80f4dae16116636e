"""Training: the step, the state, and the loop that composes them."""
