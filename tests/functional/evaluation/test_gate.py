"""What the gate does over many retrainings, in which the same recipe meets fresh data of the same process."""

import pytest

from benchmarks.gate import GATE, counts, interval, retraining, retrainings


def test_the_gate_tells_a_degraded_model_from_one_of_equal_quality() -> None:
    refused = counts([retraining(seed) for seed in range(8)], GATE)
    assert refused.equal <= 2
    assert refused.degraded >= 5
    assert refused.degraded_on_same_rows >= 7
    assert refused.better == 0


@pytest.mark.long
def test_equal_models_are_refused_no_more_often_than_declared_and_degraded_ones_reliably() -> None:
    count = 300
    refused = counts(retrainings(range(1000, 1000 + count)), GATE)
    assert interval(refused.equal, count)[1] <= 1 - GATE.confidence
    assert interval(refused.degraded, count)[0] >= 0.8
    assert interval(refused.degraded_on_same_rows, count)[0] >= 0.9
    assert interval(refused.better, count)[1] <= 0.02
