"""`make demo`: push, click and merge on this machine, through the real YAML, to live predictions."""
