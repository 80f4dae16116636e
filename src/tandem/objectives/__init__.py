"""Objectives: what each method computes and minimises, free of devices, files and optimisers."""
