"""Where the trials of a sweep run: the interface that the sweep uses, and this machine as its first implementation."""
