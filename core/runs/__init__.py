"""Runs as they lie on the disk: their directories, their event files, and what a reader makes of both."""
