"""Batch transform: every object below a prefix goes through a model's containers and comes out beside it as `….out`."""
