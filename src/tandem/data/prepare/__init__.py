"""Making datasets of image files: pairs from photos by a rule, pairs side by side and apart again, splits."""
