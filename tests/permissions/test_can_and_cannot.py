"""Every row of the table is true of the policies that stand in the accounts: of four, and of one that does everything."""

from collections.abc import Sequence

import pytest

from tests.permissions import iam_simulate, requests
from tests.permissions.applied import Applied, Identity
from tests.permissions.cases import ROLES
from tests.permissions.outsiders import OUTSIDERS, TOKENS
from tests.permissions.requests import Request

Question = tuple[str, bool, Request]
"""(the row in words, whether it can, the request)."""


@pytest.fixture(scope="session")
def questions(applied: Applied, own: Identity) -> list[Question]:
    """All rows; where one account does everything, those left out that tell its environments apart."""
    found = [
        (f"{actor.title}, because: {row.because}", row.can, applied.request(actor, row))
        for actor in (*ROLES, *OUTSIDERS)
        for row in actor.rows
        if applied.apart or not (actor.apart or row.apart)
    ]
    tokens = TOKENS if applied.apart else [token for token in TOKENS if "@staging" not in token.role]
    return found + [(f"a token: {token.title}", token.can, applied.request_with(token, own)) for token in tokens]


def wrong(questions: Sequence[Question], decisions: Sequence[bool]) -> list[str]:
    return [
        f"{words}: {'can' if can else 'cannot'} {request.action} on {request.resource}"
        for (words, can, request), decided in zip(questions, decisions, strict=True)
        if decided is not can
    ]


def test_the_local_aws_decides_as_the_table_says(questions: list[Question]) -> None:
    assert wrong(questions, [requests.decide(request) for _, _, request in questions]) == []


def test_iam_simulate_decides_as_the_table_says(questions: list[Question]) -> None:
    iam_simulate.require()
    assert wrong(questions, iam_simulate.decide([request for _, _, request in questions])) == []
