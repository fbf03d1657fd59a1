"""Batch scoring: partitions of raw records through SageMaker's batch transform, with the package that serves.

A model folder declares in its `deploy.py` how it scores; docs/batch.md is the page for whoever does that.
"""

from common.batch.declare import Batch

__all__ = ["Batch"]
