from pathlib import Path

import pytest

from common.errors import UsageError
from common.local.pipeline.errors import ConfigError, PipelineError
from common.local.pipeline.plan import Schedule, schedules
from common.local.play import play_pipeline

ROOT = Path(__file__).resolve().parents[3]


def play(schedule: str, branch: str = "", *parameters: str) -> None:
    play_pipeline(
        ROOT, ROOT / "nowhere", (), (), branch=branch, tag="", parameters=parameters, schedule=schedule, approve=True,
        skip=(),
    )  # fmt: skip


def test_a_schedule_is_the_branch_and_the_parameters_of_what_circlecis_api_takes() -> None:
    text = '[{"name": "weekly", "timetable": {}, "parameters": {"branch": "main", "action": "nightly"}}]'
    assert schedules(text) == (Schedule("weekly", "main", {"action": "nightly"}),)


@pytest.mark.parametrize("text", ["", "{", '{"name": "weekly"}', '[{"name": "weekly"}]', '[{"parameters": {}}]', "[3]"])
def test_anything_else_is_no_schedule(text: str) -> None:
    with pytest.raises(ConfigError, match="no list of schedules"):
        schedules(text)


@pytest.mark.parametrize("given", [("main",), ("", "action=train")])
def test_a_schedule_is_played_as_it_is(given: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="branch and parameters of its own"):
        play("nightly", *given)


def test_an_unknown_schedule_is_told_beside_those_that_there_are() -> None:
    with pytest.raises(PipelineError, match="no schedule 'weekly'"):
        play("weekly")
