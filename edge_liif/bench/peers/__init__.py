"""Others beside us, measured like every point of a sweep. `table.py` is the list; a new peer is one entry there."""
