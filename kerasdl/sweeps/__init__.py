"""Sweeps: many trials of one command, resumable, pruned, each in a process of its own, and added up at the end."""
