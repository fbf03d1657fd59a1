"""The lines that the CircleCI files and the tests' table have for each model: written, found, and taken out again.

The files are edited as text, so that comments and formatting stay, and only below lines that are known; what came out is
then parsed, and has to be what it was but for the model.
"""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import yaml

from common.errors import ModelsError, UsageError

SETUP, CONTINUATION, TABLE = ".circleci/config.yml", ".circleci/dynamic_config.yml", "tests/models.py"

Texts = Mapping[str, str]
"""The text of each file that names the models, by its path in the repository."""


@dataclass(frozen=True)
class Place:
    """Where a file has a block for each model, in the order of their names.

    `below` are lines that lead there, each somewhere after the one before; `key` begins a model's block, and all its
    other lines are indented deeper, but for one that closes a bracket. `gap` is the number of blank lines after a block.
    `of_rows`: only models of rows have one; a fleet is neither scored in batches nor retrained by what a monitor finds.
    """

    file: str
    below: tuple[str, ...]
    key: str
    gap: int = 0
    of_rows: bool = False

    def __str__(self) -> str:
        return f"{self.file}, below '{self.below[0].strip()}'"


_CHOICE = "      - $name\n"
_WHY = "  # why the model is to be trained again, as `models due` says it; empty where it is not\n"
_EACH_NIGHT = "  # By the schedule nightly: what came in is scored, and compared with what the model was trained on.\n"
_AGAIN = "  # By the schedule retrain, where `models due` gave a reason: trained again on fresh data, on main.\n"
BLOCKS = {
    Place(SETUP, ("  model:\n", "      - none\n"), _CHOICE): _CHOICE,
    Place(SETUP, ("          mapping: |\n",), "            $name_model/"): "            ${name}_model/.* $name true\n",
    Place(CONTINUATION, ("parameters:\n",), "  $name:"): "  $name: {type: boolean, default: false}\n",
    Place(CONTINUATION, ("  model:\n", "      - none\n"), _CHOICE): _CHOICE,
    Place(CONTINUATION, ("workflows:\n",), "  $name:", gap=1): """\
  $name:
    when: (pipeline.parameters.$name or pipeline.parameters.$code) and pipeline.parameters.action == "none"
    jobs:
      - train:
          name: train-$name
          model: $name
          context: train
          filters: pipeline.git.branch != "" and pipeline.git.branch != "main" and not (pipeline.git.branch starts-with "pull/")
      - request-deployment: {type: approval, requires: [train-$name]}
      - approve: {name: approve-$name, model: $name, context: approve, requires: [request-deployment]}
      - deploy:
          name: deploy-$name
          model: $name
          context: deploy
          serial-group: << pipeline.project.slug >>/deploy-$name
          filters: pipeline.git.branch == "main" and not pipeline.parameters.staging
      - deploy-to-staging:
          name: deploy-$name-to-staging
          model: $name
          context: deploy-staging
          filters: pipeline.git.branch == "main" and pipeline.parameters.staging
      - request-production:
          type: approval
          requires: [deploy-$name-to-staging]
          filters: pipeline.parameters.ask-before-production
      - deploy:
          name: deploy-$name-to-production
          model: $name
          context: deploy
          serial-group: << pipeline.project.slug >>/deploy-$name
          requires: [deploy-$name-to-staging, request-production]
""",
    Place(CONTINUATION, ("parameters:\n", _WHY), "  retrain-$name:", of_rows=True): """\
  retrain-$name: {type: string, default: ""}
""",
    Place(CONTINUATION, ("workflows:\n", _EACH_NIGHT), "  nightly-$name:", gap=1, of_rows=True): """\
  nightly-$name:
    when: pipeline.parameters.action == "nightly" and pipeline.git.branch == "main"
    jobs:
      - batch: {name: batch-$name, model: $name, context: operate}
      - monitor: {name: monitor-$name, model: $name, context: operate, requires: [{batch-$name: [success, failed]}]}
""",
    Place(CONTINUATION, ("workflows:\n", _AGAIN), "  retrain-$name:", gap=1, of_rows=True): """\
  retrain-$name:
    when: pipeline.parameters.retrain-$name != "" and pipeline.git.branch == "main"
    jobs:
      - retrain: {name: retrain-$name, model: $name, because: << pipeline.parameters.retrain-$name >>, context: train}
      - request-deployment: {type: approval, requires: [retrain-$name]}
      - approve: {name: approve-$name, model: $name, context: approve, requires: [request-deployment]}
      - deploy:
          name: deploy-$name
          model: $name
          context: deploy
          serial-group: << pipeline.project.slug >>/deploy-$name
          requires: [approve-$name]
          filters: not pipeline.parameters.staging
      - deploy-to-staging:
          name: deploy-$name-to-staging
          model: $name
          context: deploy-staging
          requires: [approve-$name]
          filters: pipeline.parameters.staging
      - request-production:
          type: approval
          requires: [deploy-$name-to-staging]
          filters: pipeline.parameters.ask-before-production
      - deploy:
          name: deploy-$name-to-production
          model: $name
          context: deploy
          serial-group: << pipeline.project.slug >>/deploy-$name
          requires: [deploy-$name-to-staging, request-production]
""",
}
"""The places in the CircleCI files, and a model's block in each."""

TABLE_PLACE = Place(TABLE, ("MODELS: dict[str, Example] = {\n",), '    "$name":')
"""The place in the tests' table. The block there depends on the kind of model, and comes with its template."""


def read(root: Path) -> dict[str, str]:
    """The files that name the models, as they are in the working tree.

    Raises:
        ModelsError: one is missing.
    """
    try:
        return {file: (root / file).read_text() for file in (SETUP, CONTINUATION, TABLE)}
    except FileNotFoundError as error:
        raise ModelsError(f"{error.filename} is missing.", "Restore it: `git checkout -- .circleci tests`.") from error


def places_of(texts: Texts, name: str) -> list[Place]:
    """The places that have a block for the model."""
    return [place for place in (*BLOCKS, TABLE_PLACE) if name in _blocks(texts[place.file].splitlines(True), place)]


def wire(texts: Texts, name: str, table_entry: str, *, fleet: bool = False) -> dict[str, str]:
    """The files with the model in them.

    Args:
        table_entry: its lines in the tests' table.
        fleet: it is a fleet, which other shared code trains than a model of rows.

    Raises:
        ModelsError: a file is not of the form that this module knows, or the name means something in it already.
    """
    if yaml.safe_load(name) != name or any(_without(name, said) != said for said in _contents(texts).values()):
        raise UsageError(f"'{name}' means something else in the CircleCI files.", "Choose another name.")
    wired, code = dict(texts), "fleet-code" if fleet else "tabular-code"
    for place, block in {**BLOCKS, TABLE_PLACE: table_entry}.items():
        if fleet and place.of_rows:
            continue
        lines = wired[place.file].splitlines(keepends=True)
        blocks = _blocks(lines, place)
        before = max(other for other in blocks if other < name)
        at = blocks[before].stop + (place.gap if before else 0)
        lines[at:at] = [Template(block).substitute(name=name, code=code), "\n" * place.gap]
        wired[place.file] = "".join(lines)
    if unwire(wired, name) != dict(texts):
        raise _unknown_form(name)
    return wired


def unwire(texts: Texts, name: str) -> dict[str, str]:
    """The files without the model, wherever they name it.

    Raises:
        ModelsError: a file is not of the form that this module knows.
    """
    rest = dict(texts)
    for place in places_of(texts, name):
        lines = rest[place.file].splitlines(keepends=True)
        block = _blocks(lines, place)[name]
        gap = place.gap if lines[block.stop : block.stop + place.gap] == ["\n"] * place.gap else 0
        rest[place.file] = "".join(lines[: block.start] + lines[block.stop + gap :])
    if _contents(rest) != _without(name, _contents(texts)):
        raise _unknown_form(name)
    return rest


def _unknown_form(name: str) -> ModelsError:
    return ModelsError(
        f"What {SETUP}, {CONTINUATION} and {TABLE} say of '{name}' cannot be told from the rest; nothing was changed.",
        f"Bring their form back to main's (`git diff main -- .circleci {TABLE}`), or edit them by hand.",
    )


# ---- the text


def _blocks(lines: list[str], place: Place) -> dict[str, range]:
    """The lines of each model's block; those of "" are empty, and stand before the first."""
    at = 0
    for line in place.below:
        if line not in lines[at:]:
            raise ModelsError(
                f"{place.file} has no line '{line.strip()}', below which it names the models; nothing was changed.",
                f"Bring its form back to main's: `git diff main -- {place.file}`.",
            )
        at = lines.index(line, at) + 1
    blocks = {"": range(at, at)}
    before, after = place.key.split("$name")
    key = re.compile(f"{re.escape(before)}([a-z][a-z0-9]*){re.escape(after)}")
    while at < len(lines) and (found := key.match(lines[at])):
        blocks[found[1]] = _block(lines, at)
        at = _past_comments(lines, blocks[found[1]].stop)
    return blocks


def _past_comments(lines: list[str], at: int) -> int:
    while at < len(lines) and (not lines[at].strip() or lines[at].lstrip().startswith("#")):
        at += 1
    return at


def _block(lines: list[str], start: int) -> range:
    """The block that begins there: deeper lines, without blank ones at the end, and a bracket that closes it."""
    indent, stop = _indent(lines[start]), start + 1
    for at in range(start + 1, len(lines)):
        if lines[at].strip() and _indent(lines[at]) <= indent:
            closes = lines[at].lstrip()[0] in ")]}" and _indent(lines[at]) == indent
            return range(start, at + 1 if closes else stop)
        if lines[at].strip():
            stop = at + 1
    return range(start, stop)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


# ---- what the text says


def _contents(texts: Texts) -> dict[str, Any]:
    """What the files say, as plain values.

    Raises:
        ModelsError: one cannot be parsed.
    """
    try:
        return {file: _table(text) if file == TABLE else yaml.safe_load(text) for file, text in texts.items()}
    except (yaml.YAMLError, SyntaxError, ValueError) as error:
        raise ModelsError(f"The files that name the models cannot be read: {error}.", "Repair them first.") from error


def _table(text: str) -> list[Any]:
    """The statements of the tests' table, with its dictionaries as such."""
    return [
        {
            ast.literal_eval(key): ast.dump(value)
            for key, value in zip(said.value.keys, said.value.values, strict=True)
            if key
        }
        if isinstance(said, ast.AnnAssign) and isinstance(said.value, ast.Dict)
        else ast.dump(said)
        for said in ast.parse(text).body
    ]


def _without(name: str, said: Any) -> Any:
    """The same without the keys, list items and mapping lines that stand for the model."""
    match said:
        case dict():
            own = (name, f"nightly-{name}", f"retrain-{name}")
            return {key: _without(name, value) for key, value in said.items() if key not in own}
        case list():
            return [_without(name, value) for value in said if value != name]
        case str():
            return re.sub(rf"^\S+ {name} true\n", "", said, flags=re.MULTILINE)
        case _:
            return said
