"""Damaged and hostile files by the million, for every reader of what others have made."""
