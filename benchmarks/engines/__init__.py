"""What a model costs by engine, storage of weights and number of samples."""
