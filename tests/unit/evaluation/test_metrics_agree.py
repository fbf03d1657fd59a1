"""A metric that is added in one place only is noticed before a training ends with it."""

import numpy as np

from common.evaluation import report
from common.evaluation.gate import HIGHER_IS_BETTER
from common.evaluation.metrics import evaluate


def test_every_metric_has_a_direction_and_a_name() -> None:
    computed = evaluate("regression", np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0]))
    assert set(computed) == set(HIGHER_IS_BETTER) == set(report._METRICS)
