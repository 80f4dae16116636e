"""The page to draw on without a server: a folder, or one file, in which the model runs in the browser."""
