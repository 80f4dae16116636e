"""How fast the loader gives pairs by each of its ways, and for how long training steps wait for it."""
