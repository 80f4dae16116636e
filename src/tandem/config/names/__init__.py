"""Option names of other projects and what they are called here; see `tandem.config.names.table`."""
