"""iam-simulate, an evaluator of IAM policies that others wrote, as a process of its own (it is AGPL: for tests only)."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.permissions.requests import Document, Request

INSTALL = "npm ci --prefix tests/permissions/simulator"
_FOLDER = Path(__file__).parent / "simulator"
# It knows the claims of some issuers by name, and stops at CircleCI's: for it they become those of one that it knows.
_CLAIM = re.compile(r"oidc\.circleci\.com/org/[^:\"]+:(aud|sub)\b")
_KNOWN_CLAIM = r"accounts.google.com:\1"


class Service(NamedTuple):
    """The names that AWS knows in a service."""

    actions: Mapping[str, Mapping[str, Any]]
    """Name to `resources` (type to the condition keys that it brings) and `keys`."""
    resources: Mapping[str, Mapping[str, Any]]
    """Type to `arn`, e.g. `arn:${Partition}:s3:::${BucketName}`, and `keys`."""


def require() -> None:
    """Skip the test where iam-simulate is not installed."""
    if not shutil.which("node"):
        pytest.skip(f"iam-simulate needs Node.js, which is not installed; then: {INSTALL}")
    if not (_FOLDER / "node_modules").is_dir():
        pytest.skip(f"iam-simulate is not installed: {INSTALL}")


def decide(requests: Sequence[Request]) -> list[bool]:
    """Whether each request is allowed.

    Raises:
        AssertionError: a request that iam-simulate cannot evaluate, or whose context has a key that AWS never sends with
            its action: both are faults of the request.
    """
    policies = {_name(document): document for request in requests for document in request.documents}
    answer = _run({"policies": policies, "requests": [_asked(request) for request in requests], "services": []})
    faults = [
        f"{request}: {decision.get('error') or 'has no ' + ', '.join(decision['ignored'])}"
        for request, decision in zip(requests, answer["decisions"], strict=True)
        if decision.get("error") or decision["ignored"]
    ]
    assert not faults, "\n".join(faults)
    return [decision["result"] == "Allowed" for decision in answer["decisions"]]


def known(services: Iterable[str]) -> tuple[dict[str, Service], frozenset[str]]:
    """The names of the services, those left out that AWS does not have; and the condition keys of every request."""
    answer = _run({"policies": {}, "requests": [], "services": sorted(services)})
    found = {name: Service(**names) for name, names in answer["names"].items() if names}
    return found, frozenset(answer["globalKeys"])


def _asked(request: Request) -> dict[str, Any]:
    return {
        "principal": request.principal,
        "action": request.action,
        "resource": request.resource,
        "account": request.owner,
        "context": dict(request.context),
        "identity": [_name(document) for document in request.identity],
        "attached": None if request.attached is None else _name(request.attached),
    }


def _name(document: Document) -> str:
    """A document's text is its name: many requests share few documents, and each is sent once."""
    return json.dumps(document, sort_keys=True)


def _run(asked: Mapping[str, Any]) -> Any:
    text = _CLAIM.sub(_KNOWN_CLAIM, json.dumps(asked))
    ended = subprocess.run(
        ["node", str(_FOLDER / "simulate.mjs")], input=text, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)
