import pytest

from common.local.pipeline.config import Checkout, Parameter, Run, Value, load
from common.local.pipeline.errors import ConfigError, PipelineError
from common.local.pipeline.process import PlannedJob, process, resolve

HEAD = """
version: 2.1
executors: {e: {docker: [{image: i}]}}
commands:
  greet:
    parameters: {whom: {type: string, default: world}}
    steps: [{run: {name: greet, command: "echo << parameters.whom >>"}}]
jobs:
  plain: {executor: e, steps: [checkout]}
  typed:
    executor: e
    parameters: {model: {type: string}, version: {type: integer, default: 0}}
    environment: {MODEL: << parameters.model >>}
    steps:
      - greet: {whom: << parameters.model >>}
      - greet
      - run: {name: run, command: "use << parameters.model >> << parameters.version >>"}
"""


def planned(workflows: str, branch: str = "feature", tag: str = "", **parameters: Value) -> list[PlannedJob]:
    values: dict[str, Value] = {"pipeline.git.branch": branch, "pipeline.git.tag": tag, "pipeline.project.slug": "l/r"}
    values |= {f"pipeline.parameters.{name}": value for name, value in parameters.items()}
    return list(process(load(f"{HEAD}\nworkflows:\n{workflows}", "f.yml"), values))


def ids(workflows: str, branch: str = "feature", tag: str = "", **parameters: Value) -> list[str]:
    return [job.id for job in planned(workflows, branch, tag, **parameters)]


def test_workflow_runs_when_its_condition_holds() -> None:
    flows = "  a: {when: pipeline.parameters.x, jobs: [plain]}\n  b: {jobs: [plain]}"
    assert ids(flows, x=True) == ["a/plain", "b/plain"]
    assert ids(flows, x=False) == ["b/plain"]


def test_nothing_to_run_is_circlecis_failure() -> None:
    with pytest.raises(PipelineError, match="All workflows have been filtered"):
        ids("  a: {when: pipeline.parameters.x, jobs: [plain]}", x=False)


def test_commands_are_expanded_with_the_parameters_of_their_caller() -> None:
    (job,) = planned("  w: {jobs: [{typed: {model: abalone, version: << pipeline.parameters.v >>}}]}", v=4)
    assert [step.command for step in job.steps if isinstance(step, Run)] == [
        "echo abalone",
        "echo world",
        "use abalone 4",
    ]
    assert job.environment == {"MODEL": "abalone"}


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ("{typed: {}}", "lacks the argument 'model'"),
        ("{typed: {model: a, colour: red}}", r"Unexpected argument\(s\).*colour"),
        ("{typed: {model: a, version: many}}", "version='many'.*integer"),
        ("{typed: {model: true}}", "model=True.*string"),
        ("unheard-of", "job 'unheard-of' is not defined"),
    ],
)
def test_arguments_are_checked(job: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        planned(f"  w: {{jobs: [{job}]}}")


CHAIN = """
  w:
    jobs:
      - plain: {name: train, filters: pipeline.git.branch != "main"}
      - ask: {type: approval, requires: [train]}
      - plain: {name: approve, requires: [ask]}
      - plain: {name: deploy, filters: pipeline.git.branch == "main"}
      - plain: {name: last, requires: [approve: [success, failed], deploy]}
"""


def test_job_is_out_when_all_that_it_requires_is_filtered_out_and_so_are_those_behind_it() -> None:
    assert ids(CHAIN, branch="main") == ["w/deploy", "w/last"]


def test_requirements_that_are_filtered_out_are_ignored_when_others_remain() -> None:
    assert {job.name: job.requires for job in planned(CHAIN)} == {
        "train": {},
        "ask": {"train": ("success",)},
        "approve": {"ask": ("success",)},
        "last": {"approve": ("success", "failed")},
    }


def test_approval_has_no_steps_and_others_have_theirs() -> None:
    jobs = {job.name: job for job in planned(CHAIN)}
    assert jobs["ask"].approval
    assert jobs["ask"].steps == ()
    assert jobs["train"].steps == (Checkout(),)


def test_tag_runs_only_jobs_that_filter_for_themselves() -> None:
    flows = '  w: {jobs: [plain, {plain: {name: release, filters: pipeline.git.tag starts-with "v"}}]}'
    assert ids(flows, branch="", tag="v1") == ["w/release"]


def test_serial_group_is_filled_in() -> None:
    (job,) = planned("  w: {jobs: [{plain: {serial-group: << pipeline.project.slug >>/deploy-a}}]}")
    assert job.serial_group == "l/r/deploy-a"


def test_enum_takes_only_its_choices() -> None:
    declared = {"action": Parameter("enum", "none", ("none", "train"))}
    assert resolve(declared, {}, "f") == {"action": "none"}
    assert resolve(declared, {"action": "train"}, "f") == {"action": "train"}
    with pytest.raises(ConfigError, match=r"none \| train"):
        resolve(declared, {"action": "launch"}, "f")


def test_boolean_is_no_integer() -> None:
    with pytest.raises(ConfigError):
        resolve({"n": Parameter("integer", 0)}, {"n": True}, "f")
    with pytest.raises(ConfigError):
        resolve({"b": Parameter("boolean", False)}, {"b": 1}, "f")
