"""Which test rows are fresh: those that the package which serves was not evaluated on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from common.data.stored import Stored
from common.errors import DataError
from common.steps.candidate import Candidate

ROWS = pd.DataFrame({"rings": [7, 8, 9], "length": [0.1, 0.2, 0.3]})


def fresh(champion: Any) -> tuple[list[bool], str]:
    said: list[str] = []
    context = SimpleNamespace(bucket=None, say=said.append)
    model, given = SimpleNamespace(name="abalone"), {"champion_package": champion, "test_frame": ROWS}
    candidate = Candidate(context, model, None, "s1", None, False, "drift")  # type: ignore[arg-type]
    vars(candidate).update(given)  # parts that are made once
    return candidate.fresh.tolist(), "".join(said)


def test_rows_that_the_champion_was_evaluated_on_are_not_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    known = ROWS.iloc[[2, 0]][["length", "rings"]]  # in another order of rows and columns
    monkeypatch.setattr(Stored, "open", lambda *_: SimpleNamespace(records=lambda _: known))
    assert fresh(SimpleNamespace(data_version="d1")) == ([False, True, False], "")


def test_without_a_champion_every_row_is_fresh() -> None:
    assert fresh(None) == ([True, True, True], "")


def test_where_the_champions_rows_are_not_known_all_count_as_fresh_which_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def damaged(*_: object) -> None:
        raise DataError("s3://b/manifest.json is damaged.")

    for opened, why in ((lambda *_: None, "Data version d1 is gone"), (damaged, "manifest.json is damaged")):
        monkeypatch.setattr(Stored, "open", opened)
        rows, said = fresh(SimpleNamespace(data_version="d1"))
        assert rows == [True, True, True]
        assert "all test rows count as fresh" in said
        assert why in said
