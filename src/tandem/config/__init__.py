"""Configuration: frozen dataclasses, presets, reading and writing them. Nothing here imports torch."""
