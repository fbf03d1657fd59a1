from dataclasses import replace

import pytest

from common.evaluation.tuning_summary import TuningSummary
from common.report.plots.tuning import tuning_figure
from common.report.wording import tuning
from tests.reports import TUNING


def test_the_best_trial_has_the_best_objective_in_its_direction() -> None:
    best, greatest = TUNING.best, replace(TUNING, maximize=True).best
    assert best is not None
    assert greatest is not None
    assert (best.objective, greatest.objective) == (0.2551, 0.31)


def test_the_running_best_never_gets_worse_and_skips_trials_without_objective_and_stopped_ones() -> None:
    running = TUNING.running_best()
    assert [number for number, _ in running] == [1, 2, 5, 6, 7, 8]
    assert [value for _, value in running] == sorted((value for _, value in running), reverse=True)


def test_a_training_job_that_was_stopped_is_never_the_best_as_on_sagemaker() -> None:
    assert TUNING.best
    stopped = replace(TUNING.best, objective=0.1, status="Stopped")
    summary = replace(TUNING, trials=(*TUNING.trials, stopped))
    assert summary.best == TUNING.best
    assert summary.running_best() == TUNING.running_best()


def test_a_tuning_without_any_objective_has_no_best_and_can_be_shown() -> None:
    failed = replace(TUNING, trials=tuple(replace(trial, objective=None, status="Failed") for trial in TUNING.trials))
    assert failed.best is None
    assert failed.running_best() == []
    assert "none has a validation:logloss" in tuning(failed)
    assert "nan" not in tuning_figure(failed).chart.svg()


def test_parents_and_the_kind_of_warm_start_come_together() -> None:
    with pytest.raises(ValueError, match="if, and only if"):
        replace(TUNING, warm_start=None)
    with pytest.raises(ValueError, match="if, and only if"):
        replace(TUNING, parents=())
    cold: TuningSummary = replace(TUNING, parents=(), warm_start=None)
    assert tuning(cold).endswith("A cold start, without parents.")
