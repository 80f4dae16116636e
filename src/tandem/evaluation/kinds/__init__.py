"""Kinds of metrics: what several of them share."""
