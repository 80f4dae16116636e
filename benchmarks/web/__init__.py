"""How fast the page without a server is."""
