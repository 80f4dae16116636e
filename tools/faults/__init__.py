"""The campaign of faults: commands are killed, starved and deceived, and what is promised is checked."""
