"""A metric that is added in one place only is noticed before a training ends with it."""

from typing import get_args

import numpy as np
import pytest

from common.errors import UsageError
from common.evaluation.gate import HIGHER_IS_BETTER, Gate
from common.evaluation.metrics import evaluate
from common.model import ProblemType
from common.report.tables import METRICS


def test_every_metric_has_a_direction_and_a_name() -> None:
    truth, predictions = np.array([0.0, 1.0, 1.0]), np.array([0.1, 0.8, 0.4])
    computed = {name for problem in get_args(ProblemType) for name in evaluate(problem, truth, predictions)}
    assert computed == set(HIGHER_IS_BETTER) == set(METRICS)


def test_a_gate_may_name_just_the_metrics_of_its_problem() -> None:
    truth, predictions = np.array([0.0, 1.0, 1.0]), np.array([0.1, 0.8, 0.4])
    for problem in get_args(ProblemType):
        for metric in HIGHER_IS_BETTER:
            gate = Gate(metric, **{"at_least" if HIGHER_IS_BETTER[metric] else "at_most": 1.0})
            if metric in evaluate(problem, truth, predictions):
                gate.require_metric_of(problem)
            else:
                with pytest.raises(UsageError, match=metric):
                    gate.require_metric_of(problem)
