"""The HTTP service against a plain handler around PyTorch."""
