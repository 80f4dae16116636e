"""Calibrating: how far the truth is from a model's samples, measured on held-out pairs."""
