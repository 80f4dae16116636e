"""Pictures, charts, static pages and progress lines that show what a run does; needs no torch."""
