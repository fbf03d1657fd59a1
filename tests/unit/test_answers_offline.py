"""What a fleet's models answer offline, with the code that travels with them."""

from __future__ import annotations

import pytest

from common.deployment import fleet
from common.deployment.fleet import answered_offline
from common.errors import ArtifactError
from common.training.code import pack

PROGRAM = """
import json
from pathlib import Path
def model_fn(folder): return Path(folder, "model.json").read_text()
def input_fn(body, kind): return json.loads(body)
def predict_fn(request, model): return [model, request]
def output_fn(answer, kind): return json.dumps(answer)
"""


def answers(program: str, *customers: str) -> dict[str, object]:
    models = {customer: pack({"model.json": customer.encode()}) for customer in customers}
    return answered_offline(
        pack({"inference.py": program.encode()}), models, {customer: {"period": 1} for customer in customers}
    )


def test_customers_are_answered_for_whatever_their_ids() -> None:
    assert answers(PROGRAM, "8", "code", "models") == {name: [name, {"period": 1}] for name in ("8", "code", "models")}


def test_code_that_prints_does_not_disturb_its_answers() -> None:
    assert answers(f"print('hello'){PROGRAM}", "8") == {"8": ["8", {"period": 1}]}


def test_code_that_fails_or_hangs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArtifactError, match="cannot answer with its code: ValueError: nonsense"):
        answers(f"{PROGRAM}def model_fn(folder): raise ValueError('nonsense')", "8")
    monkeypatch.setattr(fleet, "_ANSWER_SECONDS", 0.5)
    with pytest.raises(ArtifactError, match=r"cannot answer with its code: nothing came within 0\.5 s"):
        answers(f"import time; time.sleep(60){PROGRAM}", "8")


def test_an_archive_that_is_damaged_is_told() -> None:
    with pytest.raises(ArtifactError, match="damaged"):
        answered_offline(b"none", {}, {})
