import pytest

from common.local.pipeline.config import Call, Checkout, Config, Run, load, strings
from common.local.pipeline.errors import ConfigError

HEAD = "version: 2.1\n"
FLOW = "workflows: {w: {jobs: [j]}}\n"


def job(steps: str) -> Config:
    return load(f"{HEAD}{FLOW}jobs: {{j: {{executor: e, steps: {steps}}}}}", "f.yml")


def test_steps_are_read_with_their_defaults() -> None:
    steps = job("[checkout, set-up, {run: make}, {c: {a: 1}}]").jobs["j"].steps
    assert steps == (Checkout(), Call("set-up", {}), Run("make", name="make"), Call("c", {"a": 1}))


def test_run_takes_what_circleci_allows() -> None:
    body = (
        "{command: c, name: n, environment: {A: 1}, working_directory: d, when: always, no_output_timeout: 1h, "
        "max_auto_reruns: 2, auto_rerun_delay: 1s}"
    )
    assert job(f"[{{run: {body}}}]").jobs["j"].steps == (Run("c", "n", {"A": "1"}, "d", "always", "1h", 2, "1s"),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "not valid YAML"),
        ("[]", "not a mapping"),
        ("version: 2\nworkflows: {}", "version is 2"),
        ("version: 2.1", "'workflows' is missing"),
        (f"{HEAD}{FLOW}job-groups: {{}}", "'job-groups' is not known"),
        (f"{HEAD}{FLOW}{FLOW}", "'workflows' stands twice"),
        (f"{HEAD}workflows: {{w: {{jobs: [j, j]}}}}", "'j' stands twice"),
        (f"{HEAD}workflows: {{w: {{jobs: []}}}}", "not a list of jobs"),
        (f"{HEAD}workflows: {{w: {{unless: x, jobs: [j]}}}}", "'unless' is not known"),
        (f"{HEAD}workflows: {{w: {{jobs: [{{j: {{type: lock}}}}]}}}}", "'lock' is not known"),
        (f"{HEAD}workflows: {{w: {{jobs: [{{j: {{filters: {{branches: {{}}}}}}}}]}}}}", "not a string"),
        (f"{HEAD}workflows: {{w: {{jobs: [{{j: {{requires: [{{x: failed}}]}}}}]}}}}", "not a list"),
        (f"{HEAD}workflows: {{w: {{jobs: [{{j: {{requires: [{{x: [canceled]}}]}}}}]}}}}", "x ends as canceled"),
        (f"{HEAD}workflows: {{w: {{jobs: [{{j: {{requires: [{{x: []}}]}}}}]}}}}", "x ends as nothing"),
        (f"{HEAD}workflows: {{w: {{jobs: [{{j: {{requires: x}}}}]}}}}", "not a list"),
        (f"{HEAD}{FLOW}parameters: {{p: {{type: steps}}}}", "neither one of"),
        (f"{HEAD}{FLOW}parameters: {{p: {{type: enum, default: a}}}}", "neither one of"),
        (f"{HEAD}{FLOW}executors: {{e: {{machine: true}}}}", "'machine' is not known"),
        (f"{HEAD}{FLOW}jobs: {{j: {{steps: [checkout]}}}}", "'executor' is missing"),
        (f"{HEAD}{FLOW}jobs: {{j: {{executor: e, parallelism: 2, steps: [checkout]}}}}", "'parallelism' is not known"),
        (f"{HEAD}{FLOW}jobs: {{j: {{executor: e, steps: []}}}}", "not a list of steps"),
    ],
)
def test_what_the_player_does_not_know_is_an_error_that_names_it(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load(text, "f.yml")


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("{run: {name: n}}", "'command' is missing"),
        ("{run: {command: c, background: true}}", "'background' is not known"),
        ("{run: {command: c, when: sometimes}}", "when is 'sometimes'"),
        ("{run: {command: c, max_auto_reruns: often}}", "not a whole number"),
        ("{run: {command: true}}", "not a string"),
        ("{restore_cache: {key: k}}", "'key' is not known"),
        ("{save_cache: {key: k}}", "'paths' is missing"),
        ("{store_artifacts: {}}", "'path' is missing"),
        ("{a: {}, b: {}}", "neither a step's name nor one step"),
    ],
)
def test_step_that_the_player_does_not_know_is_an_error_that_names_it(step: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"jobs: j: step 1.*{said}"):
        job(f"[{step}]")


def test_strings_finds_every_text_of_a_step() -> None:
    assert set(strings(job("[{run: {command: c, environment: {A: b}}}]").jobs)) >= {"c", "b", "e"}
