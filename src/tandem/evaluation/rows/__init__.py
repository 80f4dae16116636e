"""Rows of numbers: measured in batches, read ahead, cached, and put together from several processes."""
