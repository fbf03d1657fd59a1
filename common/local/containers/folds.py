"""Cross-validation of the built-in XGBoost (`_kfold`, `_num_cv_round`): the splits and the predictions it keeps."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt

from common.local.containers.base import AlgorithmError

Indices = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
_SEED = 0
"""The image shuffles anew each time; here the same job gives the same models."""


def splits(labels: Values, folds: int, repeats: int, stratified: bool) -> Iterator[tuple[Indices, Indices]]:
    """Row numbers to fit on and to hold out, for each fold of each repeat; stratified by label for classes."""
    from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold

    splitter = RepeatedStratifiedKFold if stratified else RepeatedKFold
    yield from splitter(n_splits=folds, n_repeats=repeats, random_state=_SEED).split(np.zeros(len(labels)), labels)


def mean_metrics(rounds: int, histories: Sequence[Mapping[str, Mapping[str, list[float]]]]) -> str:
    """A log line like those of a round, with each metric's last value averaged over the folds."""
    means = [
        f"\t{data}-{metric}:{fmean(history[data][metric][-1] for history in histories):.5f}"
        for metric in histories[0]["train"]
        for data in histories[0]
    ]
    return f"[{rounds}]" + "".join(means)


class Predictions:
    """What each row was predicted to be while it was held out, once per repeat."""

    def __init__(self, labels: Values, repeats: int, classes: bool) -> None:
        self._labels = labels
        self._classes = classes
        self._values = np.full((len(labels), repeats), np.nan)
        self._winners = np.full((len(labels), repeats), np.nan)
        self._seen = np.zeros(len(labels), dtype=int)

    def record(self, rows: Indices, predictions: Values) -> None:
        """Keep one fold's predictions: values, or the probability (of the likeliest class, when there are several)."""
        if predictions.ndim > 1:
            winners, values = predictions.argmax(axis=1), predictions.max(axis=1)
        else:
            winners, values = predictions > 0.5, predictions
        self._values[rows, self._seen[rows]] = values
        self._winners[rows, self._seen[rows]] = winners
        self._seen[rows] += 1

    def save(self, path: Path) -> None:
        """CSV without header: label and mean prediction; for classes label, mean probability and the commonest class.

        Raises:
            AlgorithmError: a row was never held out.
        """
        if np.isnan(self._values).any():
            raise AlgorithmError("some rows have no prediction from cross validation")
        columns: list[Any] = [self._labels, self._values.mean(axis=1)]
        if self._classes:
            columns.append([np.bincount(row.astype(int)).argmax() for row in self._winners])
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savetxt(path, np.column_stack(columns), delimiter=",", fmt="%f")
