"""Models as ONNX files: written from a bundle's numbers, proven against PyTorch, and run without it."""
