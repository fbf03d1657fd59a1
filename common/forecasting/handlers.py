"""How an endpoint answers for a customer: `{"period": 7}` in, the next seven days out.

SageMaker's scikit-learn image calls these functions, behind a multi-model endpoint in a process for each loaded model:
therefore nothing is imported that answering does not need.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import forecaster_from
from .artifacts import CustomerModel, DamagedModel, forecaster_digest, load_model
from .readings import iso_time
from .series import Forecaster

try:
    from sagemaker_inference.errors import BaseInferenceToolkitError
except ImportError:  # anywhere but in the image

    class BaseInferenceToolkitError(Exception):  # type: ignore[no-redef]
        """An error with a status of its own; every other one is answered with 500."""

        def __init__(self, status_code: int, message: str, phrase: str) -> None:
            super().__init__(message)
            self.status_code, self.message, self.phrase = status_code, message, phrase


LONGEST_PERIOD = 366
DEFAULT_LEVEL = 0.8
_HIGHEST_LEVEL = 1 - 1e-9
"""Nearer to 1, an interval has no end that a double can hold."""
_DIGITS = 8
_FIELDS = {"period", "level"}


class BadRequest(BaseInferenceToolkitError):  # type: ignore[misc]
    """The caller has to ask in another way; the message says which."""

    def __init__(self, message: str) -> None:
        super().__init__(400, message, "Bad Request")


class UnsupportedMediaType(BaseInferenceToolkitError):  # type: ignore[misc]
    """The request's body is of a type that is not read."""

    def __init__(self, message: str) -> None:
        super().__init__(415, message, "Unsupported Media Type")


class Request(NamedTuple):
    """So many days are to be forecast, with an interval that holds the reading with this probability."""

    period: int
    level: float


def model_fn(model_dir: str) -> CustomerModel:
    """The customer's model.

    Raises:
        DamagedModel: the archive holds none, or one that another forecaster than the endpoint's has fitted.
    """
    model = load_model(Path(model_dir))
    mine = _forecaster().digest
    if model.forecaster != mine:
        raise DamagedModel(
            f"the model of customer {model.customer} was fitted by forecaster {model.forecaster}, and this endpoint has {mine}"
        )
    return model


def input_fn(body: str | bytes, content_type: str | None) -> Request:
    """What is asked for: JSON, which may be encoded twice (a JSON text that holds JSON).

    Raises:
        UnsupportedMediaType: the content type is not JSON's.
        BadRequest: it is no JSON, or not a period, with or without a level.
    """
    kind = (content_type or "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise UnsupportedMediaType(f'The content type is {kind}. Send application/json, for example {{"period": 7}}.')
    document = _loads(body)
    if isinstance(document, str):
        document = _loads(document)
    if not isinstance(document, dict):
        raise BadRequest('The request is no JSON object. Send, for example, {"period": 7}.')
    unknown = sorted(document.keys() - _FIELDS)
    if unknown:
        raise BadRequest(f"The request has the unknown field {unknown[0]!a}. There are period and level.")
    return Request(_period(document), _level(document))


def predict_fn(request: Request, model: CustomerModel) -> list[dict[str, Any]]:
    """The forecast that was asked for."""
    return answer(_forecaster().forecaster, model, *request)


def output_fn(prediction: list[dict[str, Any]], accept: str) -> tuple[str, str]:  # noqa: ARG001 - the toolkit passes it
    """The answer as JSON, which is the only type that there is."""
    return json.dumps(prediction, allow_nan=False), "application/json"


def answer(
    forecaster: Forecaster, model: CustomerModel, period: int, level: float = DEFAULT_LEVEL
) -> list[dict[str, Any]]:
    """The days after the customer's last reading: `ds`, `yhat` and the bounds of the interval.

    `ds` is a date; where the last reading was not at midnight UTC, that time of each day, e.g. `2026-01-01T18:30:00Z`.
    """
    days = model.until + np.arange(1.0, period + 1)
    found = forecaster.forecast([model.parameters], days[np.newaxis], level)
    columns = [[float(f"{value:.{_DIGITS}g}") for value in bound[0].tolist()] for bound in found]
    return [
        {"ds": iso_time(day), "yhat": mean, "yhat_lower": lower, "yhat_upper": upper}
        for day, mean, lower, upper in zip(days.tolist(), *columns, strict=True)
    ]


class _Installed(NamedTuple):
    forecaster: Forecaster
    digest: str


@lru_cache(maxsize=1)
def _forecaster() -> _Installed:
    """The forecaster that this code was archived with."""
    document = json.loads(Path(__file__).with_name("forecaster.json").read_text())
    return _Installed(forecaster_from(document), forecaster_digest(document))


def _loads(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest(
            f'The request is no JSON: {ascii(str(error))[1:-1]}. Send, for example, {{"period": 7}}.'
        ) from error


def _period(document: dict[str, Any]) -> int:
    period = document.get("period")
    if isinstance(period, bool) or not isinstance(period, int) or not 1 <= period <= LONGEST_PERIOD:
        given = f"not {ascii(json.dumps(period)[:40])[1:-1]}" if "period" in document else "and there is none"
        raise BadRequest(f"The period must be a whole number of days from 1 to {LONGEST_PERIOD}, {given}.")
    return period


def _level(document: dict[str, Any]) -> float:
    level = document.get("level", DEFAULT_LEVEL)
    if isinstance(level, bool) or not isinstance(level, (int, float)) or not 0 < level <= _HIGHEST_LEVEL:
        raise BadRequest(f"The level must be a number between 0 and 1, not {ascii(json.dumps(level)[:40])[1:-1]}.")
    return float(level)
