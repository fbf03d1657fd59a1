"""Everything that a `deploy.py` can declare, read from the types: what is added to them joins by itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, get_args

from common.deployment.alarms import Alarm
from common.deployment.modes import DeclaredEndpoint
from common.deployment.rollout import AllAtOnce, Rollout
from tests.functional.deployment.deployment_kit import ERRORS

SLOW = Alarm("ModelLatency", "Maximum", above=1.5e6)
"""A second and a half: machines that run tests are slow, too."""

_VALUES: dict[str, Any] = {
    "instance_type": "ml.t2.medium",
    "instance_count": 2,  # a canary needs a fleet that it can be a part of
    "alarms": (ERRORS, SLOW),
    "percent": 50,
    "step_percent": 50,
    "batch_percent": 50,
    "memory_mb": 1024,
    "max_concurrency": 10,
    "max_concurrent": 4,
}
"""Of the fields of declarations; those that are not here have their defaults."""


def rollouts(bake_seconds: int) -> list[Rollout]:
    """One of each kind of rollout."""
    return [_example(kind, bake_seconds=bake_seconds) for kind in get_args(Rollout)]


def declarations(bake_seconds: int = 60) -> list[DeclaredEndpoint]:
    """Each way of inference with each rollout that it can have.

    Args:
        bake_seconds: in AWS's time; the fast local AWS waits a thousandth of it.
    """
    found = []
    for kind in get_args(DeclaredEndpoint):
        if "rollout" in {field.name for field in dataclasses.fields(kind)}:
            found += [_with_rollout(kind, rollout) for rollout in rollouts(bake_seconds)]
        else:
            found.append(_example(kind))
    return found


def name_of(endpoint: DeclaredEndpoint) -> str:
    """For the ids of tests and the lines of tables, e.g. `Endpoint-Canary`."""
    return "-".join(type(part).__name__ for part in (endpoint, endpoint.rollout) if part is not None)


def baking(endpoint: DeclaredEndpoint, seconds: int) -> DeclaredEndpoint:
    """The same declaration with another baking time."""
    [same] = [each for each in declarations(seconds) if name_of(each) == name_of(endpoint)]
    return same


def one_of_each_rollout(among: Sequence[DeclaredEndpoint]) -> list[DeclaredEndpoint]:
    """The first declaration of each kind of rollout."""
    return list({type(each.rollout): each for each in reversed(among)}.values())[::-1]


def _with_rollout(kind: type[Any], rollout: Rollout) -> DeclaredEndpoint:
    instances = 1 if isinstance(rollout, AllAtOnce) else _VALUES["instance_count"]
    declared: DeclaredEndpoint = _example(kind, rollout=rollout, instance_count=instances)
    return declared


def _example(kind: type[Any], **given: Any) -> Any:
    known = _VALUES | given
    return kind(**{field.name: known[field.name] for field in dataclasses.fields(kind) if _is_needed(field, known)})


def _is_needed(field: dataclasses.Field[Any], known: dict[str, Any]) -> bool:
    return field.name in known or field.default is dataclasses.MISSING
