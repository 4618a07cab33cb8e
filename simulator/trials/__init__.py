"""Small whole runs of the real template, each with one thing that happens, to let faults happen in."""
