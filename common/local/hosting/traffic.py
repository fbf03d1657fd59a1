"""Which of several weighted targets answers the next request."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, count
from typing import Generic, TypeVar

Target = TypeVar("Target")

_TURN = 1 << 64
_GOLDEN_STEP = 0x9E3779B97F4A7C15
"""2⁶⁴ divided by the golden ratio, made odd."""


class Split(Generic[Target]):
    """Deals requests to targets in proportion to their weights.

    The choices follow a low-discrepancy sequence, the multiples of the golden ratio (Weyl): after any n requests each
    target's count is within O(log n) of its exact share, where drawing at random would stray by √n and a canary of a
    few requests would often see none. Counting up to the share instead (every tenth request) would be as exact, but
    locks in with callers that alternate between kinds of requests; multiples of an irrational number do not.

    Raises:
        ValueError: a weight is negative, or none is positive.
    """

    def __init__(self, weights: Sequence[tuple[Target, float]]) -> None:
        total = sum(weight for _, weight in weights)
        if total <= 0 or any(weight < 0 for _, weight in weights):
            raise ValueError("weights must not be negative, and one must be positive")
        self._targets = [target for target, weight in weights if weight > 0]
        sums = accumulate(weight for _, weight in weights if weight > 0)
        self._bounds = [round(part / total * _TURN) for part in sums][:-1]
        self._requests = count(1)

    def choose(self) -> Target:
        """The target of the next request. Safe from any thread."""
        return self._targets[bisect_right(self._bounds, next(self._requests) * _GOLDEN_STEP % _TURN)]
