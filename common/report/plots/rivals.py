"""The model and the champion, as the charts name and draw them."""

from collections.abc import Mapping

from common.evaluation.metrics import Values
from common.report.plots.chart import Style

Predicted = Mapping[Style, Values]
"""The predictions for the test rows of `model` and, where there is one, `champion`."""
WHOSE: Mapping[Style, str] = {"model": "this model", "champion": "champion"}
