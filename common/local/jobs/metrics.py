"""Metrics that are read from a job's log by regular expressions."""

import math
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

from common.local.containers.hyperparameters import METRICS

NAMESPACE = "/aws/sagemaker/TrainingJobs"
_BUILT_IN = re.compile(rf"#011(train|validation)-({'|'.join(METRICS)}):([^\s#]+)")
_ROUND = re.compile(r"\[[0-9]+\].*#011")


def as_logged(line: str) -> str:
    """A line as CloudWatch Logs shows it: tabs are written `#011`."""
    return line.replace("\t", "#011")


class MetricReader:
    """Collects what the definitions match in logged lines.

    The built-in definitions of XGBoost (`validation:rmse` is `.*\\[[0-9]+\\].*#011validation-rmse:(\\S+)`, and so on for
    each metric and both channels) are matched by one expression, which also ends a value at the next tab.
    """

    def __init__(self, definitions: Iterable[Mapping[str, str]], built_in: bool) -> None:
        self._definitions = [(definition["Name"], re.compile(definition["Regex"])) for definition in definitions]
        self._built_in = built_in
        self._final: dict[str, tuple[float, float]] = {}

    def read(self, lines: Iterable[str]) -> dict[str, list[float]]:
        """The values found in these lines, by metric; what matches but is no number is passed over, as on AWS."""
        found: dict[str, list[float]] = {}
        for line in lines:
            for name, text in self._matches(line):
                try:
                    value = float(text)
                except ValueError:
                    continue
                if math.isfinite(value):  # CloudWatch takes no others
                    found.setdefault(name, []).append(value)
        now = time.time()
        self._final |= {name: (values[-1], now) for name, values in found.items()}
        return found

    @property
    def final(self) -> list[dict[str, Any]]:
        """`FinalMetricDataList`: the last value of each metric."""
        return [{"MetricName": name, "Value": value, "Timestamp": at} for name, (value, at) in self._final.items()]

    def _matches(self, line: str) -> list[tuple[str, str]]:
        matches = []
        if self._built_in and _ROUND.search(line):
            matches = [(f"{channel}:{metric}", text) for channel, metric, text in _BUILT_IN.findall(line)]
        for name, expression in self._definitions:
            if match := expression.search(line):
                # the first group that took part: of alternatives, one did
                matches.append((name, next((text for text in match.groups() if text is not None), match[0])))
        return matches
