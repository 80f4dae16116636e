"""Files of a model: the training state, the bundle, and the official implementations' key names."""
