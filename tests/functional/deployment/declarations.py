"""Everything that a `deploy.py` can declare, read from the types: what is added to them joins by itself."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args, get_type_hints

from common.deployment.modes import DeclaredEndpoint
from common.deployment.rollout import AllAtOnce, Rollout
from tests.functional.deployment.deployment_kit import ERRORS

_VALUES: dict[str, Any] = {
    "instance_type": "ml.m5.large",
    "instance_count": 2,  # a canary needs a fleet that it can be a part of
    "alarms": (ERRORS,),
    "percent": 50,
    "step_percent": 50,
    "batch_percent": 50,
    "memory_mb": 1024,
    "max_concurrency": 10,
    "max_concurrent": 4,
    "at_least": 1,
    "at_most": 2,
    "invocations_per_instance": 1e6,
    "backlog_per_instance": 1e6,
}
"""Of the fields of declarations; those that are not here have their defaults."""


def rollouts(bake_seconds: int) -> list[Rollout]:
    """One of each kind of rollout."""
    return [_example(kind, bake_seconds=bake_seconds) for kind in get_args(Rollout)]


def declarations(bake_seconds: int = 60) -> list[DeclaredEndpoint]:
    """Each way of inference with each rollout that it can have, and once with each part that may be left out.

    Args:
        bake_seconds: in AWS's time; the fast local AWS waits a thousandth of it.
    """
    found: list[DeclaredEndpoint] = []
    for kind in get_args(DeclaredEndpoint):
        parts = _optional_parts(kind)
        if "rollout" in {field.name for field in dataclasses.fields(kind)}:
            ways = [_with_rollout(kind, rollout) for rollout in rollouts(bake_seconds)]
        else:
            ways = [_example(kind)]
        found += ways
        found += [dataclasses.replace(ways[0], **{name: _example(part)}) for name, part in parts.items()]
    return found


def name_of(endpoint: DeclaredEndpoint) -> str:
    """For the ids of tests and the lines of tables, e.g. `Endpoint-Canary`."""
    optional = [getattr(endpoint, name) for name in _optional_parts(type(endpoint))]
    return "-".join(type(part).__name__ for part in (endpoint, endpoint.rollout, *optional) if part is not None)


def baking(endpoint: DeclaredEndpoint, seconds: int) -> DeclaredEndpoint:
    """The same declaration with another baking time."""
    [same] = [each for each in declarations(seconds) if name_of(each) == name_of(endpoint)]
    return same


def _with_rollout(kind: type[Any], rollout: Rollout) -> DeclaredEndpoint:
    instances = 1 if isinstance(rollout, AllAtOnce) else _VALUES["instance_count"]
    declared: DeclaredEndpoint = _example(kind, rollout=rollout, instance_count=instances)
    return declared


def _optional_parts(kind: type[Any]) -> dict[str, type[Any]]:
    """The fields of a declaration that hold another declaration or None, with its type."""
    hints = get_type_hints(kind)
    return {
        field.name: part
        for field in dataclasses.fields(kind)
        for part in get_args(hints[field.name])
        if field.default is None and dataclasses.is_dataclass(part) and isinstance(part, type)
    }


def _example(kind: type[Any], **given: Any) -> Any:
    known = _VALUES | given
    return kind(**{field.name: known[field.name] for field in dataclasses.fields(kind) if _is_needed(field, known)})


def _is_needed(field: dataclasses.Field[Any], known: dict[str, Any]) -> bool:
    return field.name in known or field.default is dataclasses.MISSING
