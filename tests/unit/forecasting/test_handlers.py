"""What an endpoint answers for a customer, and how it refuses what it cannot answer."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from common.forecasting import handlers
from common.forecasting.artifacts import CustomerModel, DamagedModel, forecaster_digest, load_model, pack_model
from common.forecasting.handlers import BadRequest, Request, UnsupportedMediaType, answer, input_fn, output_fn
from common.forecasting.structural import Structural
from common.training.code import code_archive
from energy_model.consumers import Generated
from energy_model.holidays import HOLIDAYS
from tests.unit.forecasting.generated import series_of
from tests.unit.forecasting.simple import Mean

MODEL = CustomerModel("8", 20_453.0, forecaster_digest({"name": "mean"}), {"mean": 51.123456789})


def test_the_days_after_the_last_reading_are_forecast() -> None:
    assert answer(Mean(), MODEL, 2) == [
        {"ds": "2026-01-01", "yhat": 51.123457, "yhat_lower": 43.123457, "yhat_upper": 59.123457},
        {"ds": "2026-01-02", "yhat": 51.123457, "yhat_lower": 43.123457, "yhat_upper": 59.123457},
    ]
    assert answer(Mean(), MODEL, 1, level=0.5)[0]["yhat_upper"] == 56.123457
    assert len(answer(Mean(), MODEL, 366)) == 366


def test_the_time_of_day_of_the_last_reading_is_kept() -> None:
    evening = CustomerModel("8", 20_453.75, MODEL.forecaster, MODEL.parameters)
    assert [day["ds"] for day in answer(Mean(), evening, 2)] == ["2026-01-01T18:00:00Z", "2026-01-02T18:00:00Z"]


@pytest.mark.parametrize(
    ("body", "request_"),
    [
        ('{"period": 7}', Request(7, 0.8)),
        (b'{"period": 7}', Request(7, 0.8)),
        (json.dumps('{"period": 7}'), Request(7, 0.8)),
        ('{"period": 366, "level": 0.95}', Request(366, 0.95)),
    ],
)
@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON", None]
)
def test_json_is_read_also_when_it_is_encoded_twice(
    body: str | bytes, request_: Request, content_type: str | None
) -> None:
    assert input_fn(body, content_type) == request_


PERIOD = "The period must be a whole number of days from 1 to 366, "


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{}", PERIOD + "and there is none."),
        ('{"period": 0}', PERIOD + "not 0."),
        ('{"period": 367}', PERIOD + "not 367."),
        ('{"period": -7}', PERIOD + "not -7."),
        ('{"period": 7.5}', PERIOD + "not 7.5."),
        ('{"period": true}', PERIOD + "not true."),
        ('{"period": null}', PERIOD + "not null."),
        ('{"period": "7"}', PERIOD + 'not "7".'),
        ('{"period": "é"}', PERIOD + 'not "\\\\u00e9".'),
        ('{"period": NaN}', PERIOD + "not NaN."),
        ('{"period": 7, "level": 1}', "The level must be a number between 0 and 1, not 1."),
        ('{"period": 7, "level": 0.9999999999999999}', "The level must be a number between 0 and 1, not 0.99"),
        ('{"period": 7, "level": NaN}', "The level must be a number between 0 and 1, not NaN."),
        ('{"period": 7, "level": false}', "The level must be a number between 0 and 1, not false."),
        ('{"periods": 7}', "The request has the unknown field 'periods'. There are period and level."),
        ("[7]", 'The request is no JSON object. Send, for example, {"period": 7}.'),
        ("7", 'The request is no JSON object. Send, for example, {"period": 7}.'),
        ("", "The request is no JSON: Expecting value: line 1 column 1 (char 0). Send, "),
        ("{'period': 7}", "The request is no JSON: Expecting property name"),
        (json.dumps("{"), "The request is no JSON: Expecting property name"),
        ("[" * 100_000, "The request is no JSON: maximum recursion depth"),
        (b"\xff\xfe\x00", "The request is no JSON: "),
    ],
)
def test_what_cannot_be_answered_is_refused_with_400_and_the_fault(body: str | bytes, message: str) -> None:
    with pytest.raises(BadRequest) as refused:
        input_fn(body, "application/json")
    error: Any = refused.value
    assert error.message.startswith(message)
    assert error.message.isascii()
    assert (error.status_code, error.phrase) == (400, "Bad Request")


def test_another_content_type_is_refused_with_415() -> None:
    with pytest.raises(UnsupportedMediaType, match=r"The content type is text/csv\. Send application/json") as refused:
        input_fn("7", "text/csv")
    error: Any = refused.value
    assert error.status_code == 415


def test_the_answer_is_json_whatever_is_accepted() -> None:
    assert output_fn([{"ds": "2026-01-01", "yhat": 1.5}], "*/*") == (
        '[{"ds": "2026-01-01", "yhat": 1.5}]',
        "application/json",
    )


@pytest.fixture
def archived(tmp_path: Path) -> Path:
    """The unpacked code archive and model of a generated customer."""
    forecaster = Structural(holidays=HOLIDAYS)
    with tarfile.open(fileobj=io.BytesIO(code_archive(forecaster))) as archive:
        archive.extractall(tmp_path / "code", filter="data")
    [parameters] = forecaster.fit([series_of(8, Generated())])
    assert isinstance(parameters, dict)
    model = CustomerModel("8", 20_453.0, forecaster_digest(forecaster.to_json()), parameters)
    with tarfile.open(fileobj=io.BytesIO(pack_model(model))) as archive:
        archive.extractall(tmp_path / "model", filter="data")
    return tmp_path


SERVE = """
import sys
import inference
model = inference.model_fn(sys.argv[1])
print(inference.output_fn(inference.predict_fn(inference.input_fn('{"period": 7}', "application/json"), model), "*/*")[0])
print([name for name in ("scipy", "pandas", "prophet", "common") if name in sys.modules])
"""


def test_the_archive_serves_a_customer_and_imports_nothing_that_it_does_not_need(archived: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SERVE, str(archived / "model")],
        cwd=archived / "code", capture_output=True, text=True, check=True,
    )  # fmt: skip
    days, imported = done.stdout.splitlines()
    assert [day["ds"] for day in json.loads(days)] == [f"2026-01-0{number}" for number in range(1, 8)]
    assert all(0 < day["yhat_lower"] < day["yhat"] < day["yhat_upper"] < 1000 for day in json.loads(days))
    assert imported == "[]"


def test_a_model_of_another_forecaster_is_refused(archived: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = handlers._Installed(Mean(), forecaster_digest({"name": "mean"}))
    monkeypatch.setattr(handlers, "_forecaster", lambda: other)
    with pytest.raises(
        DamagedModel, match=r"model of customer 8 was fitted by forecaster \w{8}, and this endpoint has"
    ):
        handlers.model_fn(str(archived / "model"))


def test_an_answer_takes_about_a_millisecond_or_less(archived: Path) -> None:
    forecaster = Structural(holidays=HOLIDAYS)
    model = load_model(archived / "model")
    answer(forecaster, model, 7)
    start = time.process_time()
    for _ in range(50):
        answer(forecaster, model, 7)
    assert (time.process_time() - start) / 50 < 0.002
