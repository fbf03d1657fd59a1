"""Names in policies that AWS does not know: actions, resources that no action has, condition keys that no request brings.

IAM takes such a policy without a word, and it allows nothing, or denies nothing.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from tests.permissions.iam_simulate import Service
from tests.permissions.requests import Document

_ANY_NAME = re.compile(r"\$\{|tag-key")
_VARIABLE = re.compile(r"\$\{(.*?)\}")


def actions(document: Document) -> set[str]:
    """The actions that a document names, some with wildcards."""
    return {action for statement in _statements(document) for action in _actions(statement)}


def services(documents: Iterable[Document]) -> set[str]:
    """The services whose actions are named."""
    return {action.split(":")[0] for document in documents for action in actions(document) if action != "*"}


def faults(document: Document, known: Mapping[str, Service], global_keys: frozenset[str]) -> list[str]:
    """What the document names and AWS does not know, as sentences."""
    return [fault for statement in _statements(document) for fault in _faults(statement, known, global_keys)]


def _faults(statement: Mapping[str, Any], known: Mapping[str, Service], global_keys: frozenset[str]) -> Iterator[str]:
    meant: dict[str, tuple[Service, Mapping[str, Any]]] = {}
    for pattern in _actions(statement):
        if pattern == "*":
            continue
        service, _, name = pattern.partition(":")
        names = known[service].actions if service in known else {}
        found = [each for each in names if fnmatchcase(each.lower(), name.lower())]
        if not found:
            yield f"{pattern} is no action."
        for each in found:
            meant[f"{service}:{each}"] = (known[service], names[each])
    if not meant:
        return
    wildcards = any("*" in pattern for pattern in _actions(statement))
    # A wildcard or a denial may well reach actions that a resource or a key does not concern; a plain list may not.
    every = statement["Effect"] == "Allow" and not wildcards
    yield from _resource_faults(statement, meant, every)
    yield from _key_faults(statement, meant, every, global_keys)


def _resource_faults(
    statement: Mapping[str, Any], meant: Mapping[str, tuple[Service, Mapping[str, Any]]], every: bool
) -> Iterator[str]:
    resources = _list(statement.get("Resource", "*"))
    if "*" in resources:
        return
    concerns = {
        resource: {action for action, (service, names) in meant.items() if _has(service, names, resource)}
        for resource in resources
    }
    yield from (
        f"{resource} is a resource of none of {', '.join(meant)}." for resource, of in concerns.items() if not of
    )
    reached = set().union(*concerns.values())
    if every:
        yield from (
            f"{action} has no resource like {', '.join(resources)}." for action in meant if action not in reached
        )


def _has(service: Service, action: Mapping[str, Any], resource: str) -> bool:
    return any(overlap(resource, service.resources[kind]["arn"]) for kind in action["resources"])


def _key_faults(
    statement: Mapping[str, Any],
    meant: Mapping[str, tuple[Service, Mapping[str, Any]]],
    every: bool,
    global_keys: frozenset[str],
) -> Iterator[str]:
    federated = _list(statement.get("Principal", {}).get("Federated", [])) if _by_kind(statement) else []
    claims = {f"{arn.partition('oidc-provider/')[2]}:{claim}" for arn in federated for claim in ("aud", "sub")}
    for operator, keys in statement.get("Condition", {}).items():
        for key in keys:
            if key in claims or _is_known(key, global_keys):
                continue
            lacking = [action for action, (service, names) in meant.items() if not _brings(service, names, key)]
            tolerant = operator == "Null" or operator.endswith("IfExists")
            if len(lacking) == len(meant) or (every and not tolerant and lacking):
                yield f"{key} comes with no request of {', '.join(lacking)}."


def _by_kind(statement: Mapping[str, Any]) -> bool:
    return isinstance(statement.get("Principal"), Mapping)


def _brings(service: Service, action: Mapping[str, Any], key: str) -> bool:
    of_kinds = (
        known for kind, keys in action["resources"].items() for known in (*keys, *service.resources[kind]["keys"])
    )
    return _is_known(key, {*action["keys"], *of_kinds})


def _is_known(key: str, known: Iterable[str]) -> bool:
    """Some are known with a part that has any name: `aws:RequestTag/${TagKey}`, `aws:PrincipalTag/tag-key`."""
    text = key.lower()
    stems = ((each.lower(), _ANY_NAME.split(each.lower())[0]) for each in known)
    return any(text == each or (stem != each and text.startswith(stem)) for each, stem in stems)


@cache
def overlap(resource: str, kind: str) -> bool:
    """Whether a resource of a policy, with its wildcards, can be of a kind, e.g. `arn:${Partition}:s3:::${BucketName}`."""
    parts, kinds = resource.split(":", 5), kind.split(":", 5)
    return len(parts) == 6 and all(_overlap(part, _tokens(of)) for part, of in zip(parts, kinds, strict=True))


def _tokens(kind: str) -> tuple[str, ...]:
    """The characters of a kind's part; a variable as `any`, or `no /` where it ends at a slash."""
    plain, variables = _VARIABLE.split(kind)[::2], [*_VARIABLE.findall(kind), ""]
    ends = [() if not name else ("no /",) if name == "BucketName" else ("any",) for name in variables]
    return tuple(token for text, end in zip(plain, ends, strict=True) for token in (*text, *end))


@cache
def _overlap(text: str, kind: tuple[str, ...]) -> bool:
    if not text or not kind:
        return not text.strip("*") and all(len(each) > 1 for each in kind)
    if text[0] == "*":
        return _overlap(text[1:], kind) or _overlap(text, kind[1:])
    if len(kind[0]) > 1:
        return _overlap(text, kind[1:]) or (kind[0] != f"no {text[0]}" and _overlap(text[1:], kind))
    return text[0] in (kind[0], "?") and _overlap(text[1:], kind[1:])


def _statements(document: Document) -> list[Mapping[str, Any]]:
    statements = document["Statement"]
    return statements if isinstance(statements, list) else [statements]


def _actions(statement: Mapping[str, Any]) -> list[str]:
    return _list(statement.get("Action", statement.get("NotAction", [])))


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
