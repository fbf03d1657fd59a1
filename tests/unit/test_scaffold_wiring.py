"""A model's lines in the files that name the models come and go without a trace, or nothing changes at all."""

import random
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import ModelsError, UsageError
from common.model import ROOT, all_models
from common.scaffold.wiring import BLOCKS, CONTINUATION, SETUP, TABLE, TABLE_PLACE, Texts, places_of, read, unwire, wire
from tests.clones import wiring

TEXTS = wiring(frozenset({"abalone", "churn"}))
KNOWN = all_models()
ENTRY = '    "$name": Example(\n        {"a": 1},\n        low=0,\n        high=1,\n    ),\n'
# One of these prefixes keeps a name from being a word of the CircleCI files; they stand before, between and after the models.
names = st.builds(
    str.__add__, st.sampled_from(["aa0", "b", "cc0", "zz"]), st.from_regex(r"[a-z0-9]{3,21}", fullmatch=True)
)


def wired(texts: Texts, *models: str) -> Mapping[str, str]:
    for name in models:
        texts = wire(texts, name, ENTRY)
    return texts


def edited(file: str, old: str, new: str, texts: Texts = TEXTS) -> dict[str, str]:
    assert texts[file].count(old) == 1, f"{old!r} occurs {texts[file].count(old)} times"
    return {**texts, file: texts[file].replace(old, new)}


def entry_of(name: str, texts: Texts) -> str:
    """The lines of a model in the tests' table."""
    without = unwire(texts, name)[TABLE].splitlines(keepends=True)
    lines = texts[TABLE].splitlines(keepends=True)
    start = next(at for at, line in enumerate(lines) if at == len(without) or line != without[at])
    return "".join(lines[start : start + len(lines) - len(without)])


@settings(max_examples=6)
@given(st.lists(names, min_size=1, max_size=3, unique=True), st.randoms())
def test_models_added_in_any_order_and_removed_in_any_other_leave_the_files_as_they_were(
    added: list[str], chance: random.Random
) -> None:
    texts = wired(TEXTS, *added)
    assert all(len(places_of(texts, name)) == len(BLOCKS) + 1 for name in added)
    chance.shuffle(added)
    assert wired(TEXTS, *added) == texts
    chance.shuffle(added)
    for name in added:
        texts = unwire(texts, name)
    assert texts == TEXTS


def test_the_models_of_the_repository_can_all_be_removed_and_come_back_as_they_are_written() -> None:
    repositorys = texts = read(ROOT)
    for model in KNOWN:
        texts = unwire(texts, model.name)
    assert "_model/" not in texts[SETUP]
    for model in reversed(KNOWN):
        texts = wire(texts, model.name, entry_of(model.name, repositorys), fleet=model.is_fleet)
    assert texts == repositorys


def test_a_workflow_edited_by_hand_goes_with_its_model_and_stays_with_the_others() -> None:
    more = "      - request-deployment: {type: approval, requires: [train-fraud]}\n"
    texts = edited(
        CONTINUATION,
        more,
        f"      # a second pair of eyes\n      - second-look: {{type: approval, requires: [train-fraud]}}\n\n{more}",
        wired(TEXTS, "fraud"),
    )
    assert unwire(texts, "fraud") == TEXTS
    assert unwire(wired(texts, "frauds"), "frauds") == texts


def test_a_comment_between_the_models_hides_none_of_them() -> None:
    line = "  churn: {type: boolean, default: false}\n"
    texts = edited(CONTINUATION, line, f"\n  # of the phone company\n{line}", wired(unwire(TEXTS, "churn"), "churn"))
    assert len(places_of(texts, "churn")) == len(BLOCKS) + 1
    assert unwire(wired(texts, "zebra"), "zebra") == texts


@pytest.mark.parametrize(
    "name", ["none", "train", "deploy", "model", "checks", "yes", "on", "null", "python", "steps", "parameters"]
)
def test_a_name_that_means_something_in_the_files_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="means something else"):
        wire(TEXTS, name, ENTRY)


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        (SETUP, "          mapping: |\n", "          mapping: >\n", "has no line 'mapping: |'"),
        (CONTINUATION, "\nworkflows:\n", "\nworkflows: # all\n", "has no line 'workflows:'"),
        (TABLE, "MODELS: dict[str, Example] = {\n", "MODELS = {\n", "has no line 'MODELS: dict"),
        (CONTINUATION, "  to-version:\n", "  to-version: [\n", "cannot be read"),
        (TABLE, "class Example:\n", "class Example\n", "cannot be read"),
    ],
)
def test_files_of_another_form_are_refused(file: str, old: str, new: str, said: str) -> None:
    with pytest.raises(ModelsError, match=said):
        wire(edited(file, old, new), "fraud", ENTRY)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (SETUP, "            fraud_model/.* fraud true\n", "            (fraud_model|fraud_data)/.* fraud true\n"),
        (CONTINUATION, "  fraud: {type: boolean, default: false}\n", "  'fraud': {type: boolean, default: false}\n"),
        (TABLE, '    "fraud": Example(\n', "    'fraud': Example(\n"),
    ],
)
def test_a_model_that_is_named_in_another_form_is_not_removed_in_part(file: str, old: str, new: str) -> None:
    with pytest.raises(ModelsError, match="cannot be told from the rest"):
        unwire(edited(file, old, new, wired(TEXTS, "fraud")), "fraud")


def test_a_model_that_only_some_files_name_is_removed_from_those() -> None:
    half = {**TEXTS, SETUP: wired(TEXTS, "fraud")[SETUP]}
    assert {place.file for place in places_of(half, "fraud")} == {SETUP}
    assert unwire(half, "fraud") == TEXTS


def test_the_place_in_the_tests_table_is_found() -> None:
    assert places_of({**TEXTS, TABLE: wired(TEXTS, "fraud")[TABLE]}, "fraud") == [TABLE_PLACE]
