"""Models behind HTTP: a service for programs, and a page to draw on."""
