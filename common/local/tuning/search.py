"""Which hyperparameters a tuning job tries next: Optuna's samplers, asked and told."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from common.local.tuning.ranges import CategoricalRange, Range

_STARTUP_TRIALS = 4
"""Random trials before the model of the objective is asked: a tuning job has some ten trials in all."""


class Search:
    """The trials of one tuning job, in memory; trials are named by their numbers."""

    def __init__(self, config: Mapping[str, Any], ranges: Sequence[Range], max_resource: int | None = None) -> None:
        """`max_resource` is the number of epochs that Hyperband allots to its best jobs; other strategies have none."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._ranges = ranges
        self._distributions = {item.name: item.distribution() for item in ranges}
        self._max_resource = max_resource
        objective = config["HyperParameterTuningJobObjective"]["Type"]
        self._study = optuna.create_study(
            direction="minimize" if objective == "Minimize" else "maximize",
            sampler=_sampler(config),
            pruner=_pruner(config, max_resource),
        )
        self._trials: dict[int, Any] = {}
        if config["Strategy"] == "Grid":
            values = [item.values for item in ranges if isinstance(item, CategoricalRange)]
            for chosen in itertools.product(*values):
                self._study.enqueue_trial(dict(zip(self._distributions, chosen, strict=True)))

    def add_prior(self, hyperparameters: Mapping[str, str], objective: float) -> bool:
        """Learn from a trial of a parent; False when a value is missing or outside of this job's range."""
        import optuna

        values = {item.name: item.searched(hyperparameters.get(item.name, "")) for item in self._ranges}
        if None in values.values():
            return False
        trial = optuna.trial.create_trial(params=values, distributions=self._distributions, value=objective)
        self._study.add_trial(trial)
        return True

    def ask(self) -> tuple[int, dict[str, str]]:
        """The number of a new trial, and the hyperparameters to try."""
        trial = self._study.ask(self._distributions)
        self._trials[trial.number] = trial
        return trial.number, {item.name: item.text(trial.params[item.name]) for item in self._ranges}

    def stops(self, number: int, curve: Sequence[float]) -> bool:
        """Whether Hyperband ends the trial, whose objective after each epoch so far is `curve`, now."""
        if self._max_resource is None:
            return False
        trial = self._trials[number]
        trial.report(curve[-1], len(curve))
        return len(curve) > self._max_resource or bool(trial.should_prune())

    def tell(self, number: int, objective: float | None, *, stopped_after: int | None = None) -> None:
        """Record how a trial ended: with its objective, or without (None: it failed).

        `stopped_after` is the number of epochs of a trial that was ended early: what it would have reached is not known.
        """
        from optuna.trial import TrialState

        trial = self._trials.pop(number)
        if objective is None:
            self._study.tell(trial, state=TrialState.FAIL)
        elif stopped_after is None:
            self._study.tell(trial, objective)
        else:
            if self._max_resource is None:  # otherwise every epoch has been reported
                trial.report(objective, stopped_after)
            self._study.tell(trial, state=TrialState.PRUNED)


def _sampler(config: Mapping[str, Any]) -> Any:
    from optuna.samplers import RandomSampler, TPESampler

    seed = config.get("RandomSeed")
    if config["Strategy"] in ("Random", "Grid"):
        return RandomSampler(seed=seed)
    # the liar keeps jobs that run at the same time from trying the same
    return TPESampler(seed=seed, n_startup_trials=_STARTUP_TRIALS, multivariate=True, constant_liar=True)


def _pruner(config: Mapping[str, Any], max_resource: int | None) -> Any:
    from optuna.pruners import HyperbandPruner, NopPruner

    if max_resource is None:
        return NopPruner()
    hyperband = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
    return HyperbandPruner(min_resource=hyperband.get("MinResource", 1), max_resource=max_resource)
