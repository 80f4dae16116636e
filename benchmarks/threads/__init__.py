"""How CPU threads wait for each other: what it costs alone, and beside other programs."""
