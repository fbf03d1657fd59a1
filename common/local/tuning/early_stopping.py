"""When a training job that reports its objective after each epoch is stopped before its end."""

from collections.abc import Sequence
from statistics import fmean, median

_JUDGES = 3
"""Completed jobs that it takes before any job is stopped: a median of fewer is one job's opinion."""


class MedianRule:
    """`TrainingJobEarlyStoppingType` Auto: stop a job that is worse than the median of the earlier jobs.

    As AWS documents it, the current objective is compared with the median of the running averages of earlier jobs up to the same
    epoch. As in the paper on its tuner (Perrone et al., *Amazon SageMaker Automatic Model Tuning*, 2021), no decision falls
    before an epoch that follows from how long completed jobs ran: here, half of their median length. A job that learns slowly and
    well would otherwise end in its first epochs.
    """

    def __init__(self, minimize: bool) -> None:
        self._sign = 1 if minimize else -1
        self._completed: list[Sequence[float]] = []

    def completed(self, curve: Sequence[float]) -> None:
        """Judge later jobs by this one, too: `curve` holds its objective after each epoch."""
        self._completed.append(tuple(curve))

    def stops(self, curve: Sequence[float]) -> bool:
        """Whether a job with this objective after each of its epochs so far is stopped now."""
        epochs = len(curve)
        if len(self._completed) < _JUDGES or epochs < median(len(other) for other in self._completed) / 2:
            return False
        averages = [fmean(other[:epochs]) for other in self._completed if len(other) >= epochs]
        return bool(averages) and self._sign * curve[-1] > self._sign * median(averages)
