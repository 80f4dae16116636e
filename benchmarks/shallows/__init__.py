"""How many of the right answers a model gives to depths of shallow water, how often, and how far off."""
