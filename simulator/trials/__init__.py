"""Small whole runs of the real template, each of one incident, in which faults are injected."""
