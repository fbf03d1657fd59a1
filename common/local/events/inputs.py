"""What a target of a rule gets of an event: all of it, a part, a constant, or a template with values. Pure functions.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
"""

import json
import re
from collections.abc import Mapping
from typing import Any

Event = Mapping[str, Any]

_STEP = re.compile(r"\.([\w/-]+)|\[(\d+)\]|\['([^']+)'\]")
_PATH = re.compile(rf"\$(?:{_STEP.pattern})*")
_VARIABLE = re.compile(r"<([\w.-]+)>")
_RESERVED = ("aws.events.rule-arn", "aws.events.rule-name", "aws.events.event.ingestion-time", "aws.events.event",
             "aws.events.event.json")  # fmt: skip
_WAYS = ("Input", "InputPath", "InputTransformer")


class InputError(Exception):
    """What is wrong with a target's input, in words for whoever put it."""


def check_input(target: Mapping[str, Any]) -> None:
    """Check how a target is to be told, before any event comes.

    Raises:
        InputError: it says it in several ways, a path is not supported, or the template is neither JSON nor lines in quotes.
    """
    if len([way for way in _WAYS if way in target]) > 1:
        raise InputError(f"Only one of {', '.join(_WAYS)} must be provided for target {target['Id']}.")
    transformer = target.get("InputTransformer", {})
    paths = transformer.get("InputPathsMap", {})
    for path in [*paths.values(), *([target["InputPath"]] if "InputPath" in target else [])]:
        if not _PATH.fullmatch(path):
            raise InputError(f"Invalid JSONPath {path!r} of target {target['Id']}.")
    for name in paths:
        if name.lower().startswith("aws"):
            raise InputError(f"{name!r} of target {target['Id']} is reserved: variables must not start with AWS.")
    if "Input" in target and not _is_json(target["Input"]):
        raise InputError(f"The Input of target {target['Id']} is no JSON.")
    if transformer:
        _check_template(target["Id"], transformer["InputTemplate"], set(paths))


def _check_template(target: str, template: str, names: set[str]) -> None:
    for name in _VARIABLE.findall(template):
        if name not in names and name not in _RESERVED:
            raise InputError(
                f"The InputTemplate of target {target} uses <{name}>, which InputPathsMap does not define."
            )
    if not _is_text(template) and not _is_json(_VARIABLE.sub("0", template)):
        raise InputError(f"The InputTemplate of target {target} is neither JSON nor lines in double quotes.")


def told(target: Mapping[str, Any], event: Event, rule_arn: str) -> str:
    """The message that the target gets.

    Raises:
        InputError: a value makes the template something else than JSON, so that EventBridge gives the event up.
    """
    if "Input" in target:
        return str(target["Input"])
    if "InputPath" in target:
        found, value = _at(target["InputPath"], event)
        return _compact(value) if found else ""
    if "InputTransformer" in target:
        return _transformed(target["InputTransformer"], event, rule_arn)
    return _compact(event)


def _transformed(transformer: Mapping[str, Any], event: Event, rule_arn: str) -> str:
    template = transformer["InputTemplate"].strip()
    values = {name: _at(path, event) for name, path in transformer.get("InputPathsMap", {}).items()}
    without_detail = {name: value for name, value in event.items() if name != "detail"}
    reserved = (rule_arn, rule_arn.rpartition("/")[2], event["time"], without_detail, event)
    values |= {name: (True, value) for name, value in zip(_RESERVED, reserved, strict=True)}
    if _is_text(template):
        return _VARIABLE.sub(lambda match: _plain(values[match[1]]), template)
    filled = _VARIABLE.sub(lambda match: _member(values[match[1]], template, match), template)
    if not _is_json(filled):
        raise InputError("The event's values make the InputTemplate no JSON.")
    return _compact(json.loads(filled))


def _plain(found: tuple[bool, Any]) -> str:
    """A value within a line of text. It is not escaped, and what the event lacks does not appear."""
    there, value = found
    if not there:
        return ""
    return value if isinstance(value, str) else _compact(value)


def _member(found: tuple[bool, Any], template: str, match: re.Match[str]) -> str:
    """A value within JSON: with quotes of its own, unless the template has put some around it."""
    quoted = template[match.start() - 1 : match.start()] == '"' and template[match.end() : match.end() + 1] == '"'
    return _plain(found) if quoted else _compact(found[1])


def _at(path: str, event: Event) -> tuple[bool, Any]:
    """(whether it is there, the value) at a path such as `$.detail.TrainingJobName` or `$.resources[0]`."""
    value: Any = event
    for name, index, quoted in _STEP.findall(path):
        try:
            value = value[int(index)] if index else value[name or quoted]
        except (KeyError, IndexError, TypeError):
            return False, None
    return True, value


def _is_text(template: str) -> bool:
    """Whether a template is text: each line in double quotes, which stay in the message."""
    lines = [line.strip() for line in template.strip().splitlines()]
    return bool(lines) and all(re.fullmatch(r'"(?:[^"\\]|\\.)*"', line) for line in lines)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
