"""Only what changed runs: files × history × branch → the jobs that the real CircleCI files plan, and forbid.

Two models are wired in, so that each row also shows which other model is left alone.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from common.local.pipeline.config import Continue, Value
from common.local.pipeline.errors import ConfigError, PipelineError
from common.local.pipeline.plan import Plan, continuation, plan, schedule, source
from common.scaffold.wiring import SETUP
from tests.e2e.pipeline_repo import ROOT, PipelineRepo, make_template

TRAIN_ABALONE = {"abalone/train-abalone", "abalone/request-deployment", "abalone/approve-abalone"}
TRAIN_CHURN = {"churn/train-churn", "churn/request-deployment", "churn/approve-churn"}
DEPLOY_ABALONE, DEPLOY_CHURN = {"abalone/deploy-abalone"}, {"churn/deploy-churn"}
STAGE_ABALONE = {"abalone/deploy-abalone-to-staging", "abalone/deploy-abalone-to-production"}
NIGHTLY = {f"nightly-{model}/{job}-{model}" for model in ("abalone", "churn") for job in ("batch", "monitor")}
RETRAIN_CHURN = {
    f"retrain-churn/{job}" for job in ("retrain-churn", "request-deployment", "approve-churn", "deploy-churn")
}
BRANCH_CHECKS = {"checks/check", "checks/audit"}
MAIN_CHECKS, MORNING_CHECKS = BRANCH_CHECKS | {"checks/in-step"}, BRANCH_CHECKS | {"checks/dashboard"}


@dataclass(frozen=True)
class Scenario:
    """What was pushed, and the jobs that run; every other job of the file is forbidden.

    `setup` are the jobs of a setup phase, and `due` is what `models due` says there. `switches` are the parameters whose
    default main has set to true.
    """

    name: str
    history: Callable[[PipelineRepo], object]
    jobs: set[str]
    branch: str = "feature"
    tag: str = ""
    parameters: dict[str, Value] = field(default_factory=dict)
    setup: set[str] = field(default_factory=set)
    due: dict[str, Value] = field(default_factory=dict)
    switches: tuple[str, ...] = ()


def continued(repo: Path, planned: Plan, due: dict[str, Value]) -> Plan:
    """The plan after its setup phase, where it has one."""
    if not planned.setup:
        return planned
    [step] = [step for job in planned.jobs for step in job.steps if isinstance(step, Continue)]
    passed = json.loads(step.parameters) if step.parameters.startswith("{") else due
    return continuation(repo, planned, step.configuration_path, passed)


def on_branch(*files: str) -> Callable[[PipelineRepo], object]:
    def history(repo: PipelineRepo) -> None:
        repo.branch("feature")
        repo.commit(*files)

    return history


def on_main(*commits: tuple[str, ...]) -> Callable[[PipelineRepo], object]:
    def history(repo: PipelineRepo) -> None:
        for files in commits:
            repo.commit(*files)

    return history


def several_commits_while_main_moved_on(repo: PipelineRepo) -> None:
    repo.branch("feature")
    repo.commit("abalone_model/train_register.py")
    repo.commit("docs/page.md")
    repo.commit("README.md")
    repo.checkout("main")
    repo.commit("churn_model/train_register.py")
    repo.checkout("feature")


def merged(*how: str) -> Callable[[PipelineRepo], object]:
    """A branch of two commits (abalone, then docs), merged into a main that has moved on."""

    def history(repo: PipelineRepo) -> None:
        repo.branch("feature")
        repo.commit("abalone_model/train_register.py")
        repo.commit("docs/page.md")
        repo.checkout("main")
        repo.commit("churn_model/train_register.py")
        repo.git("merge", "--quiet", *how, "feature")
        if "--squash" in how:
            repo.git("commit", "--quiet", "--message", "squashed")

    return history


def rebased(*commits: tuple[str, ...]) -> Callable[[PipelineRepo], object]:
    """A branch of these commits, rebased onto main and merged by fast-forward."""

    def history(repo: PipelineRepo) -> None:
        repo.branch("feature")
        for files in commits:
            repo.commit(*files)
        repo.checkout("main")
        repo.commit("README.md")
        repo.git("rebase", "--quiet", "main", "feature")
        repo.checkout("main")
        repo.git("merge", "--quiet", "--ff-only", "feature")

    return history


def first_commit(repo: PipelineRepo) -> None:
    repo.git("checkout", "--quiet", "--orphan", "fresh")
    repo.commit()
    repo.git("branch", "--quiet", "--force", "main", "fresh")
    repo.checkout("main")


def rename(repo: PipelineRepo) -> None:
    repo.branch("feature")
    repo.git("mv", "churn_model/deploy.py", "abalone_model/from_churn.py")
    repo.commit()


def deletion(repo: PipelineRepo) -> None:
    repo.branch("feature")
    repo.git("rm", "--quiet", "abalone_model/gather_data.py")
    repo.commit()


def empty_commit(repo: PipelineRepo) -> None:
    repo.git("commit", "--quiet", "--allow-empty", "--message", "nothing")


def reverted(repo: PipelineRepo) -> None:
    repo.commit("abalone_model/train_register.py")
    repo.git("revert", "--no-edit", "HEAD")


def tagged(repo: PipelineRepo) -> None:
    repo.commit("abalone_model/deploy.py")
    repo.git("tag", "v1")


def equal_to_main(repo: PipelineRepo) -> None:
    repo.commit("abalone_model/deploy.py")
    repo.branch("feature")


def change_undone_on_branch(repo: PipelineRepo) -> None:
    repo.branch("feature")
    repo.commit("abalone_model/train_register.py", "docs/page.md")
    repo.git("checkout", "main", "--", "abalone_model")
    repo.commit()


def renamed_branch(name: str) -> Callable[[PipelineRepo], object]:
    def history(repo: PipelineRepo) -> None:
        repo.branch(name)
        repo.commit("abalone_model/train_register.py")

    return history


SCENARIOS = [
    # files
    Scenario("docs only", on_branch("docs/data/page.md", "README.md"), BRANCH_CHECKS),
    Scenario("abalone's folder", on_branch("abalone_model/train_register.py"), TRAIN_ABALONE | BRANCH_CHECKS),
    Scenario("churn's folder", on_branch("churn_model/deploy.py"), TRAIN_CHURN | BRANCH_CHECKS),
    Scenario("code that trains", on_branch("common/data/split.py"), TRAIN_ABALONE | TRAIN_CHURN | BRANCH_CHECKS),
    Scenario("declarations", on_branch("common/model.py"), TRAIN_ABALONE | TRAIN_CHURN | BRANCH_CHECKS),
    Scenario("the step that trains", on_branch("common/steps/train.py"), TRAIN_ABALONE | TRAIN_CHURN | BRANCH_CHECKS),
    Scenario("the step that deploys", on_branch("common/steps/deploy.py"), BRANCH_CHECKS),
    Scenario("requirements", on_branch("requirements.txt"), TRAIN_ABALONE | TRAIN_CHURN | BRANCH_CHECKS),
    Scenario("code that only deploys", on_branch("common/deployment/plan.py"), BRANCH_CHECKS),
    Scenario("plumbing", on_branch("common/aws.py"), BRANCH_CHECKS),
    Scenario("the local AWS", on_branch("common/local/data/fake.py"), BRANCH_CHECKS),
    Scenario("tests", on_branch("tests/unit/data/test_split.py"), BRANCH_CHECKS),
    Scenario("the CircleCI files", on_branch(".circleci/README.md"), BRANCH_CHECKS),
    Scenario("a folder of like name", on_branch("old/abalone_model/x.py", "abalone_model2/x.py"), BRANCH_CHECKS),
    Scenario("a file with a space is missed by the orb", on_branch("abalone_model/a file.py"), BRANCH_CHECKS),
    Scenario("rename churn to abalone", rename, TRAIN_ABALONE | BRANCH_CHECKS),
    Scenario("deletion", deletion, TRAIN_ABALONE | BRANCH_CHECKS),
    # branches
    Scenario("commits while main moved on", several_commits_while_main_moved_on, TRAIN_ABALONE | BRANCH_CHECKS),
    Scenario("change that was undone", change_undone_on_branch, BRANCH_CHECKS),
    Scenario("new branch equal to main shows main's last commit",
             equal_to_main,
             TRAIN_ABALONE | BRANCH_CHECKS),
    Scenario("forked pull request", renamed_branch("pull/7"), BRANCH_CHECKS, branch="pull/7"),
    Scenario("branch named like main", renamed_branch("main-2"), TRAIN_ABALONE | BRANCH_CHECKS, branch="main-2"),
    # main
    Scenario("merge commit", merged("--no-ff", "--no-edit"), DEPLOY_ABALONE | MAIN_CHECKS, branch="main"),
    Scenario("squash merge", merged("--squash"), DEPLOY_ABALONE | MAIN_CHECKS, branch="main"),
    Scenario("rebase of one commit", rebased(("abalone_model/deploy.py",)), DEPLOY_ABALONE | MAIN_CHECKS, "main"),
    Scenario("rebase of several commits shows the last only",
             rebased(("abalone_model/deploy.py",), ("churn_model/deploy.py",)),
             DEPLOY_CHURN | MAIN_CHECKS, branch="main"),
    Scenario("several commits pushed to main at once",
             on_main(("abalone_model/deploy.py",), ("docs/page.md",)), MAIN_CHECKS, branch="main"),
    Scenario("direct commit to main", on_main(("requirements.txt",)), DEPLOY_ABALONE | DEPLOY_CHURN | MAIN_CHECKS,
             branch="main"),
    Scenario("docs on main", on_main(("docs/page.md",)), MAIN_CHECKS, branch="main"),
    Scenario("revert of a merge", reverted, DEPLOY_ABALONE | MAIN_CHECKS, branch="main"),
    Scenario("first commit of all", first_commit, DEPLOY_ABALONE | DEPLOY_CHURN | MAIN_CHECKS, branch="main"),
    Scenario("tag", tagged, set(), branch="", tag="v1"),
    # manual triggers: what path filtering sees does not add to them
    Scenario("train by hand on main", on_main(("churn_model/deploy.py",)),
             {"train-again/train", "train-again/request-deployment", "train-again/approve", "train-again/deploy",
              *BRANCH_CHECKS},
             branch="main", parameters={"action": "train", "model": "abalone"}),
    Scenario("train by hand on a branch", on_branch("docs/page.md"),
             {"train-again/train", "train-again/request-deployment", "train-again/approve", *BRANCH_CHECKS},
             parameters={"action": "train", "model": "churn"}),
    Scenario("deploy by hand on main", on_main(("docs/page.md",)), {"deploy-again/deploy", *BRANCH_CHECKS},
             branch="main", parameters={"action": "deploy", "model": "abalone"}),
    Scenario("deploy by hand on a branch", on_branch("abalone_model/deploy.py"), BRANCH_CHECKS,
             parameters={"action": "deploy", "model": "abalone"}),
    Scenario("roll back by hand on main", on_main(("abalone_model/deploy.py",)), {"roll-back/rollback", *BRANCH_CHECKS},
             branch="main", parameters={"action": "rollback", "model": "abalone", "to-version": 3}),
    Scenario("deploy by hand after a commit that changes no file", empty_commit, {"deploy-again/deploy", *BRANCH_CHECKS},
             branch="main", parameters={"action": "deploy", "model": "abalone"}),
    # schedules: whatever the last commit changed
    Scenario("nightly", on_main(("abalone_model/deploy.py",)), NIGHTLY | BRANCH_CHECKS, branch="main",
             parameters={"action": "nightly"}),
    Scenario("nightly after a commit that changes no file", empty_commit, NIGHTLY | BRANCH_CHECKS, branch="main",
             parameters={"action": "nightly"}),
    Scenario("nightly on a branch", on_branch("abalone_model/deploy.py"), BRANCH_CHECKS,
             parameters={"action": "nightly"}),
    Scenario("one model is due", on_main(("abalone_model/deploy.py",)), RETRAIN_CHURN | MORNING_CHECKS, branch="main",
             parameters={"action": "retrain"}, setup={"retrain/due"},
             due={"retrain-churn": "drift in 3 of the last 4 windows"}),
    Scenario("no model is due", on_main(("abalone_model/deploy.py",)), MORNING_CHECKS, branch="main",
             parameters={"action": "retrain"}, setup={"retrain/due"}),
    Scenario("a branch is not retrained", on_branch("docs/page.md"), BRANCH_CHECKS,
             parameters={"action": "retrain"}, setup={"retrain/due"}, due={"retrain-churn": "drift"}),
    # with an environment for staging
    Scenario("a branch where there is staging", on_branch("abalone_model/deploy.py"), TRAIN_ABALONE | BRANCH_CHECKS,
             switches=("staging",)),
    Scenario("merge where there is staging", on_main(("abalone_model/deploy.py",)), STAGE_ABALONE | MAIN_CHECKS,
             branch="main", switches=("staging",)),
    Scenario("merge where production is asked for", on_main(("abalone_model/deploy.py",)),
             STAGE_ABALONE | {"abalone/request-production"} | MAIN_CHECKS,
             branch="main", switches=("staging", "ask-before-production")),
    Scenario("merge where production would be asked for but there is no staging", on_main(("abalone_model/deploy.py",)),
             DEPLOY_ABALONE | MAIN_CHECKS, branch="main", switches=("ask-before-production",)),
    Scenario("one model is due where there is staging", on_main(("docs/page.md",)),
             RETRAIN_CHURN - {"retrain-churn/deploy-churn"}
             | {f"retrain-churn/deploy-churn-to-{where}" for where in ("staging", "production")} | MORNING_CHECKS,
             branch="main", parameters={"action": "retrain"}, setup={"retrain/due"}, due={"retrain-churn": "drift"},
             switches=("staging",)),
    Scenario("train by hand on main where there is staging", on_main(("docs/page.md",)),
             {f"train-again/{job}" for job in
              ("train", "request-deployment", "approve", "deploy-to-staging", "deploy-to-production")} | BRANCH_CHECKS,
             branch="main", parameters={"action": "train", "model": "abalone"}, switches=("staging",)),
    Scenario("train by hand on a branch where there is staging", on_branch("docs/page.md"),
             {"train-again/train", "train-again/request-deployment", "train-again/approve", *BRANCH_CHECKS},
             parameters={"action": "train", "model": "churn"}, switches=("staging", "ask-before-production")),
    Scenario("deploy by hand where production is asked for", on_main(("docs/page.md",)),
             {f"deploy-again/{job}" for job in ("deploy-to-staging", "request-production", "deploy-to-production")}
             | BRANCH_CHECKS,
             branch="main", parameters={"action": "deploy", "model": "abalone"},
             switches=("staging", "ask-before-production")),
    Scenario("roll back where there is staging", on_main(("docs/page.md",)), {"roll-back/rollback", *BRANCH_CHECKS},
             branch="main", parameters={"action": "rollback", "model": "abalone"}, switches=("staging",)),
]  # fmt: skip


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("scenarios") / "template")


@pytest.fixture
def repo(template: Path, tmp_path: Path) -> PipelineRepo:
    return PipelineRepo.create(tmp_path / "repo", template)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_push_runs_exactly_these_jobs(repo: PipelineRepo, scenario: Scenario) -> None:
    if scenario.switches:
        repo.switch_on(*scenario.switches)
    scenario.history(repo)
    of = source(repo.path, scenario.branch, scenario.tag)
    planned = plan(repo.path, of, scenario.parameters)
    assert ({job.id for job in planned.jobs} if planned.setup else set()) == scenario.setup
    assert {job.id for job in continued(repo.path, planned, scenario.due).jobs} == scenario.jobs


@pytest.mark.parametrize(("name", "jobs"), [("nightly", NIGHTLY | BRANCH_CHECKS), ("retrain", MORNING_CHECKS)])
def test_schedules_of_the_project_play_what_they_are_called(repo: PipelineRepo, name: str, jobs: set[str]) -> None:
    played = schedule(ROOT, name)
    planned = plan(repo.path, source(repo.path, played.branch), played.parameters)
    assert {job.id for job in continued(repo.path, planned, {}).jobs} == jobs


def test_schedule_that_does_not_exist_is_an_error(repo: PipelineRepo) -> None:
    with pytest.raises(PipelineError, match=r"no schedule 'weekly'(?s:.)*it has nightly, retrain"):
        schedule(ROOT, "weekly")
    with pytest.raises(PipelineError, match="it has none"):
        schedule(repo.path, "nightly")


def test_reason_to_retrain_reaches_its_job_and_no_shell_command(repo: PipelineRepo) -> None:
    reason = 'drift in "day minutes"; rm -rf $HOME'
    planned = plan(repo.path, source(repo.path, "main"), {"action": "retrain"})
    jobs = {job.name: job for job in continued(repo.path, planned, {"retrain-abalone": reason}).jobs}
    assert jobs["retrain-abalone"].environment["BECAUSE"] == reason
    assert reason not in str(jobs["retrain-abalone"].steps)
    assert jobs["deploy-abalone"].serial_group == "local/repo/deploy-abalone"


@pytest.mark.parametrize("action", ["none", "train", "deploy", "retrain"])
@pytest.mark.parametrize("ask", [False, True])
def test_production_waits_for_staging_and_for_the_click_where_it_is_asked_for(
    repo: PipelineRepo, action: str, ask: bool
) -> None:
    repo.switch_on("staging", *["ask-before-production"] * ask)
    repo.commit("abalone_model/deploy.py")
    asked: dict[str, Value] = {} if action == "none" else {"action": action}
    given = asked | ({"model": "abalone"} if action in ("train", "deploy") else {})
    planned = continued(repo.path, plan(repo.path, source(repo.path, "main"), given), {"retrain-abalone": "drift"})
    [production] = [job for job in planned.jobs if job.contexts == ("deploy",)]
    [staging] = [job for job in planned.jobs if job.contexts == ("deploy-staging",)]
    clicks = [job for job in planned.jobs if job.name == "request-production"]
    assert set(production.requires) == {staging.name, *(click.name for click in clicks)}
    assert [set(click.requires) for click in clicks] == [{staging.name}] * ask
    assert (production.serial_group, staging.serial_group) == ("local/repo/deploy-abalone", "")
    assert "./models smoke abalone" in str(staging.steps)
    assert "smoke" not in str(production.steps)


def test_parameter_that_the_continuation_does_not_declare_is_refused(repo: PipelineRepo) -> None:
    planned = plan(repo.path, source(repo.path, "main"), {"action": "retrain"})
    with pytest.raises(ConfigError, match=r"Unexpected argument\(s\).*retrain-trout"):
        continued(repo.path, planned, {"retrain-trout": "drift"})


def test_manual_trigger_reaches_the_jobs_with_its_model_and_version(repo: PipelineRepo) -> None:
    parameters: dict[str, Value] = {"action": "rollback", "model": "churn", "to-version": 12}
    jobs = {job.name: job for job in plan(repo.path, source(repo.path, "main"), parameters).jobs}
    assert "./models rollback churn --to 12 --reason" in str(jobs["rollback"].steps)
    assert jobs["rollback"].serial_group == "local/repo/deploy-churn"


def test_deploys_by_merge_and_by_hand_share_the_models_serial_group(repo: PipelineRepo) -> None:
    repo.commit("abalone_model/deploy.py")
    main = source(repo.path, "main")
    merged_jobs = plan(repo.path, main).jobs
    by_hand = plan(repo.path, main, {"action": "deploy", "model": "abalone"}).jobs
    groups = {job.serial_group for job in (*merged_jobs, *by_hand) if job.serial_group}
    assert groups == {"local/repo/deploy-abalone"}


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"actoin": "train"}, r"Unexpected argument\(s\).*actoin"),
        ({"retrain-abalone": "$(id)"}, r"Unexpected argument\(s\).*retrain-abalone"),
        ({"staging": False}, r"Unexpected argument\(s\).*staging"),
        ({"action": "launch"}, "action='launch'"),
        ({"action": "train", "model": "trout"}, "model='trout'"),
        ({"to-version": "newest"}, "to-version='newest'"),
    ],
)
def test_manual_trigger_with_wrong_parameters_is_refused(
    repo: PipelineRepo, parameters: dict[str, Value], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        plan(repo.path, source(repo.path, "main"), parameters)


def test_parameter_that_a_trigger_gives_has_to_be_declared_by_the_continuation(repo: PipelineRepo) -> None:
    repo.edit(SETUP, lambda document: document["parameters"].update(spare={"type": "integer", "default": 0}))
    repo.commit()
    assert plan(repo.path, source(repo.path, "main")).jobs
    with pytest.raises(ConfigError, match=r"Unexpected argument\(s\) for .circleci/dynamic_config.yml: spare"):
        plan(repo.path, source(repo.path, "main"), {"spare": 1})


def test_parameter_that_a_trigger_gives_conflicts_where_the_setup_phase_passes_it_too(repo: PipelineRepo) -> None:
    def change(document: dict[str, Any]) -> None:
        filtered = document["workflows"]["setup"]["jobs"][0]["path-filtering/filter"]
        filtered["mapping"] += '\n.* action "<< pipeline.parameters.action >>"'

    repo.edit(SETUP, change)
    repo.commit()
    assert plan(repo.path, source(repo.path, "main")).jobs
    with pytest.raises(ConfigError, match="Conflicting pipeline parameters: action"):
        plan(repo.path, source(repo.path, "main"), {"action": "train"})


def test_committed_files_are_played_not_those_in_the_working_tree(repo: PipelineRepo) -> None:
    (repo.path / ".circleci/config.yml").write_text("broken: [")
    assert plan(repo.path, source(repo.path, "main")).jobs


def test_branches_of_the_remote_are_compared_with_the_remotes_main(repo: PipelineRepo, tmp_path: Path) -> None:
    repo.git("clone", "--quiet", str(repo.path), str(tmp_path / "clone"))
    clone = PipelineRepo(tmp_path / "clone")
    clone.commit("churn_model/deploy.py")  # on the clone's main, not pushed
    clone.branch("feature")
    clone.commit("abalone_model/deploy.py")
    jobs = {job.id for job in plan(clone.path, source(clone.path)).jobs}
    assert jobs == TRAIN_ABALONE | TRAIN_CHURN | BRANCH_CHECKS


def test_unrelated_history_is_an_error_not_an_empty_change(repo: PipelineRepo) -> None:
    repo.git("checkout", "--quiet", "--orphan", "unrelated")
    repo.commit("README.md")
    with pytest.raises(PipelineError, match="no common ancestor"):
        plan(repo.path, source(repo.path, "unrelated"))


def test_shallow_clone_is_an_error(repo: PipelineRepo, tmp_path: Path) -> None:
    repo.commit("README.md")
    repo.git("clone", "--quiet", "--depth", "1", f"file://{repo.path}", str(tmp_path / "shallow"))
    with pytest.raises(PipelineError, match="shallow clone"):
        plan(tmp_path / "shallow", source(tmp_path / "shallow", "main"))


def test_missing_base_branch_is_an_error(repo: PipelineRepo) -> None:
    repo.git("branch", "--quiet", "--move", "main", "trunk")
    repo.branch("feature")
    with pytest.raises(PipelineError, match="does not exist"):
        plan(repo.path, source(repo.path, "feature"))


@pytest.mark.parametrize(("branch", "tag"), [("nowhere", ""), ("", "v9"), ("main", "v1")])
def test_reference_that_does_not_exist_is_an_error(repo: PipelineRepo, branch: str, tag: str) -> None:
    with pytest.raises(PipelineError):
        source(repo.path, branch, tag)


def test_detached_checkout_has_to_be_named(repo: PipelineRepo) -> None:
    repo.git("checkout", "--quiet", "--detach")
    with pytest.raises(PipelineError, match="no branch is checked out"):
        source(repo.path)
