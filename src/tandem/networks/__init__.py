"""Networks: pure modules from tensors to tensors, built from specifications."""
