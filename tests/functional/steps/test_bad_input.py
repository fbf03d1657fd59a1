"""Bad input ends a step with one clear message and the remedy, and leaves bucket, registry and endpoint as they were."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from abalone_model.gather_data import COLUMNS
from common.data.sources import Bundled
from tests.accounts import REGION, Account
from tests.clones import TRAINING, Clone, state_of
from tests.functional.steps.step_kit import assert_refused, aws_that_answers

HEADER = ",".join(COLUMNS.names) + "\n"
ROWS = b"\n".join(Bundled("abalone").read().splitlines()[1:400]).decode() + "\n"
ELSEWHERE = pytest.mark.long
"""The unit tests of checks show the same problem; here is shown that the command ends with it."""
FIRST = ROWS.splitlines()[0].split(",")


@pytest.fixture(scope="module")
def released(aws_url: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, Account]:
    """A clone whose model serves, and the account that it serves in; no test may change either."""
    aws = Account(aws_url, f"{uuid.uuid4().int % 10**12:012d}")
    aws.client("s3").create_bucket(Bucket=aws.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    clone = Clone.create(tmp_path_factory.mktemp("bad-input"))
    clone.release(aws)
    return clone, aws


@pytest.fixture
def clone(released: tuple[Clone, Account]) -> Clone:
    return released[0]


@pytest.fixture
def aws(released: tuple[Clone, Account]) -> Iterator[Account]:
    """The account; everything in it has to be after the test what it was before."""
    before = state_of(released[1])
    yield released[1]
    assert state_of(released[1]) == before


def first_row(**changes: str) -> str:
    """The rows with other values in the first."""
    cells = [changes.get(name, value) for name, value in zip(COLUMNS.names, FIRST, strict=True)]
    return HEADER + ",".join(cells) + "\n" + ROWS


def rows_with(label: str) -> str:
    return "".join(",".join([*line.split(",")[:-1], label]) + "\n" for line in ROWS.splitlines())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(HEADER.replace("length", "size") + ROWS, "missing columns: length", id="missing column"),
        pytest.param(
            HEADER + ROWS + "M,0.4\n",
            "1 lines do not have the 9 values of a row: line 401 has 2",
            id="short line",
            marks=ELSEWHERE,
        ),
        pytest.param(
            first_row(length="long"),
            "column 'length': no number in 1 of 400 rows: 'long' at line 2",
            id="text",
            marks=ELSEWHERE,
        ),
        pytest.param(
            first_row(rings="True"), "column 'rings': a boolean where a number is wanted", id="boolean", marks=ELSEWHERE
        ),
        pytest.param(first_row(whole_weight="1000"), "column 'whole_weight': above 5", id="too large", marks=ELSEWHERE),
        pytest.param(
            first_row(sex="X"),
            "column 'sex': none of F, I, M in 1 of 400 rows: 'X' at line 2",
            id="category",
            marks=ELSEWHERE,
        ),
        pytest.param("", "is empty", id="empty"),
        pytest.param(ROWS + HEADER + ROWS, "the header is repeated among the data at line 400", id="header among rows"),
        pytest.param(rows_with("9"), "the label 'rings' is 9.0 in every row", id="constant label", marks=ELSEWHERE),
        pytest.param("\x00\x01\x02", "there are no rows", id="binary"),
    ],
)
def test_bad_data_are_refused(clone: Clone, aws: Account, tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "data.csv").write_text(content)
    done = clone.run(aws, "-m", "abalone_model.gather_data", "--refresh", ABALONE_SOURCE=str(tmp_path / "data.csv"))
    assert_refused(done, message)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("missing.csv", "missing.csv cannot be read: No such file"),
        ("s3://{bucket}/no/such.csv", "The bucket has no such object"),
        ("s3://no-such-bucket-anywhere/data.csv", "There is no such bucket"),
        ("https://127.0.0.1:1/data.csv", "could not be reached"),
    ],
)
def test_data_that_cannot_be_read_are_refused(clone: Clone, aws: Account, source: str, message: str) -> None:
    url = source.format(bucket=aws.bucket)
    assert_refused(clone.run(aws, "-m", "abalone_model.gather_data", "--refresh", ABALONE_SOURCE=url), message)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"AWS_REGION": None, "AWS_DEFAULT_REGION": None, "SAGEMAKER_BUCKET": None}, "AWS_REGION is not set"),
        ({"SAGEMAKER_BUCKET": "s3://models"}, "SAGEMAKER_BUCKET is malformed: 's3://models'"),
        ({"SAGEMAKER_EXECUTION_ROLE_ARN": "jobs"}, "SAGEMAKER_EXECUTION_ROLE_ARN is malformed"),
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "No AWS credentials were found"),
        ({"AWS_SECRET_ACCESS_KEY": None}, "AWS_SECRET_ACCESS_KEY"),
        ({"AWS_PROFILE": "nobody", "AWS_ACCESS_KEY_ID": None}, "nobody"),
        ({"AWS_ENDPOINT_URL": "localhost:4566"}, "AWS_ENDPOINT_URL is malformed: 'localhost:4566'"),
        ({"SAGEMAKER_BUCKET": "no-such-bucket-anywhere"}, "Check SAGEMAKER_BUCKET"),
    ],
)  # fmt: skip
def test_an_environment_that_does_not_say_where_to_work_is_refused(
    clone: Clone, aws: Account, variables: dict[str, str | None], message: str
) -> None:
    assert_refused(clone.models(aws, "approve", "abalone", **variables), message)


@pytest.mark.parametrize("command", [pytest.param("train", marks=pytest.mark.long), "status"])
@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ExpiredToken", "credentials that have expired. Log in again"),
        ("InvalidClientTokenId", "AWS does not know these credentials"),
        ("AccessDenied", "needs permission for"),
    ],
)
def test_refused_credentials_say_so(clone: Clone, aws: Account, command: str, code: str, message: str) -> None:
    with aws_that_answers(code, "The security token included in the request is not good") as url:
        assert_refused(clone.models(aws, command, "abalone", AWS_ENDPOINT_URL=url), message, "is not good")


def test_an_aws_that_cannot_be_reached_is_given_up_soon(clone: Clone, aws: Account) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    started = time.monotonic()
    done = clone.models(aws, "status", AWS_ENDPOINT_URL=url)
    assert_refused(done, "AWS did not answer", f"AWS_ENDPOINT_URL is {url}: start the local AWS with")
    assert time.monotonic() - started < 15


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "fraud"), "There is no model 'fraud'"),
        (("invoke", "abalone", "not json"), "The records are not JSON"),
        (("invoke", "abalone", "[]"), "These are no records"),
        (("invoke", "abalone", "@missing.csv"), "missing.csv cannot be read"),
    ],
)
def test_wrong_usage_exits_with_2(clone: Clone, aws: Account, arguments: tuple[str, ...], message: str) -> None:
    assert_refused(clone.models(aws, *arguments), message, code=2)


class TestCheckout:
    """What git holds is what is trained and deployed; everything else is refused."""

    @pytest.fixture
    def copy(self, clone: Clone, tmp_path: Path) -> Clone:
        """A clone of the clone's origin, to spoil."""
        clone.git("clone", "-q", str(clone.path.parent / "origin.git"), str(tmp_path / "copy"))
        return Clone(tmp_path / "copy")

    @pytest.mark.parametrize("step", ["gather_data", "train_register"])
    def test_what_is_not_committed_is_not_trained(self, copy: Clone, aws: Account, step: str) -> None:
        copy.tune(max_depth=2)
        (copy.path / "abalone_model/extra.py").write_text("")
        done = copy.run(aws, "-m", f"abalone_model.{step}")
        assert_refused(done, f"abalone_model/extra.py, {TRAINING}", "not committed", "git stash -u")

    def test_what_is_not_committed_is_not_deployed(self, copy: Clone, aws: Account) -> None:
        copy.edit("abalone_model/deploy.py", r"Canary\(percent=10", "Canary(percent=20")
        assert_refused(copy.run(aws, "-m", "abalone_model.deploy"), "abalone_model/deploy.py is not committed")

    def test_a_branch_is_not_deployed(self, copy: Clone, aws: Account) -> None:
        copy.git("switch", "-qc", "feature")
        copy.tune(max_depth=2)
        copy.commit()
        assert_refused(
            copy.run(aws, "-m", "abalone_model.deploy"), "holds another abalone than main", "git switch main"
        )

    def test_a_folder_without_git_is_refused(self, copy: Clone, aws: Account) -> None:
        shutil.rmtree(copy.path / ".git")
        for command in ("train", "approve", "status", "deploy"):
            assert_refused(copy.models(aws, command, "abalone"), "git cannot say", "from a git checkout")

    def test_a_shallow_clone_of_main_works(self, clone: Clone, aws: Account, tmp_path: Path) -> None:
        shallow = self._shallow(clone, tmp_path, "main")
        assert "is version 1, Approved" in shallow.succeed(aws, "train", "abalone")
        assert "serves already" in shallow.succeed(aws, "deploy", "abalone")
        assert shallow.models(aws, "status", "abalone", "--check").returncode == 0

    def test_a_shallow_clone_of_a_branch_says_what_to_fetch(self, clone: Clone, aws: Account, tmp_path: Path) -> None:
        clone.git("push", "-q", "origin", "main:elsewhere")
        shallow = self._shallow(clone, tmp_path, "elsewhere")
        for command in ("status", "deploy"):
            done = shallow.models(aws, command, "abalone")
            assert_refused(done, "does not know the branch main", "git fetch origin main:main")
        shallow.git("fetch", "-q", "--depth=1", "origin", "main:main")
        assert shallow.models(aws, "status", "abalone", "--check").returncode == 0

    def test_a_damaged_repository_is_explained(self, copy: Clone, aws: Account) -> None:
        shutil.rmtree(copy.path / ".git/objects")
        assert_refused(copy.models(aws, "train", "abalone"), "git cannot say")

    @staticmethod
    def _shallow(clone: Clone, folder: Path, branch: str) -> Clone:
        origin = (clone.path.parent / "origin.git").as_uri()
        command = ["git", "clone", "-q", "--depth=1", "--branch", branch, origin, str(folder / "shallow")]
        subprocess.run(command, check=True, capture_output=True)
        return Clone(folder / "shallow")


def test_another_source_than_was_gathered_from_is_told_since_it_is_not_read(clone: Clone, aws: Account) -> None:
    done = clone.run(aws, "-m", "abalone_model.gather_data", ABALONE_SOURCE="other.csv")
    assert done.returncode == 0, done.stderr
    assert (
        "that was from abalone, the copy that scikit-lego carries; --refresh gathers from file other.csv" in done.stdout
    )
