"""A processing job from the request to its end: started or joined, followed in its log, and explained where it fails."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from common.aws import Aws
from common.environments import Network
from common.errors import ArtifactError, TrainingError
from common.model import Model
from common.settings import Settings
from common.training.processing import (
    Cluster,
    Input,
    Output,
    Script,
    processing_request,
    run_processing_job,
)
from tests.accounts import Account
from tests.archives import archive
from tests.functional.local.training_support import SCIKIT_LEARN, eventually, get, put

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import CreateProcessingJobRequestTypeDef

MODEL = Model("energy", "Energy", "consumption", "forecasting")
RAW, MADE, MESSAGE = "/opt/ml/processing/input/raw", "/opt/ml/processing/output/made", "/opt/ml/output/message"

UPPER = """
import pathlib, sys
from shared.words import upper
raw, made = map(pathlib.Path, sys.argv[1:])
for path in raw.iterdir():
    print("reads", path.name)
    (made / path.name).write_text(upper(path.read_text()))
"""
FAIL = """
import pathlib, sys
for number in range(12):
    print("line", number)
pathlib.Path(sys.argv[1]).write_text("2 of 3 customers are set aside")
sys.exit(1)
"""


@pytest.fixture
def client(aws: Account, monkeypatch: pytest.MonkeyPatch) -> Aws:
    for name, value in aws.env.items():
        monkeypatch.setenv(name, value)
    return Aws(Settings.from_environment())


def request_for(aws: Account, script: str, *arguments: str, **changes: Any) -> CreateProcessingJobRequestTypeDef:
    """A request that runs this script, out of an archive with a package beside it."""
    shared = {"shared/__init__.py": "", "shared/words.py": "upper = str.upper"}
    code = archive({"program.py": script} | shared)
    key = f"code/{hashlib.sha256(code).hexdigest()}.tar.gz"
    put(aws, key, code)
    request: dict[str, Any] = {
        "image": SCIKIT_LEARN,
        "script": Script(f"s3://{aws.bucket}/{key}", "program.py", arguments),
        "inputs": (),
        "outputs": (),
        "cluster": Cluster("ml.m5.large", volume_gb=1, max_run_seconds=60),
    }
    return processing_request(MODEL, Settings(aws.region, aws.bucket, aws.role), **request | changes)


def run(client: Aws, name: str, request: CreateProcessingJobRequestTypeDef) -> tuple[str, list[str]]:
    """The name of the completed job, and what was said of it."""
    said: list[str] = []
    job = run_processing_job(client, name, lambda: request, said.append)
    return job["ProcessingJobName"], said


def test_a_program_out_of_the_archive_processes_sharded_inputs(aws: Account, client: Aws) -> None:
    for name in "ab":
        put(aws, f"raw/{name}", name)
    request = request_for(
        aws,
        UPPER,
        *(RAW, MADE),
        inputs=[Input("raw", f"s3://{aws.bucket}/raw/", RAW, sharded=True)],
        outputs=[Output("made", MADE, f"s3://{aws.bucket}/made")],
        cluster=Cluster("ml.m5.large", instance_count=2),
        environment={"STAGE": "test"},
        network=Network(("subnet-1", "subnet-2"), ("sg-1",)),
    )
    name, said = run(client, "upper", request)
    assert (name, said[0]) == ("upper", "Processing job upper: started")
    assert sorted(line for line in said if line.startswith("reads")) == ["reads a", "reads b"]
    assert said[-1] == "  Completed"
    assert [get(aws, f"made/{key}") for key in "ab"] == [b"A", b"B"]
    job = aws.client("sagemaker").describe_processing_job(ProcessingJobName="upper")
    assert job["NetworkConfig"] == {"VpcConfig": {"Subnets": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}}
    assert job["Environment"] == {"STAGE": "test"}
    tags = aws.client("sagemaker").list_tags(ResourceArn=job["ProcessingJobArn"])["Tags"]
    assert tags == [{"Key": "model", "Value": "energy"}]


def test_a_job_that_runs_or_has_completed_is_joined(aws: Account, client: Aws) -> None:
    with ThreadPoolExecutor(2) as pool:
        slow = request_for(aws, "import time; print('up', flush=True); time.sleep(1)")
        first = pool.submit(run, client, "joined", slow)
        eventually(lambda: aws.client("sagemaker").list_processing_jobs()["ProcessingJobSummaries"])
        second = pool.submit(run, client, "joined", slow)
        assert second.result()[1][0] == "Processing job joined: found, InProgress"
        assert "up" in second.result()[1]
        assert first.result()[0] == "joined"
    name, said = run(client, "joined", request_for(aws, "never started"))
    assert (name, said) == ("joined", ["Processing job joined: found, Completed"])


def test_a_failed_job_is_told_with_its_message_and_the_end_of_its_log_and_tried_anew(aws: Account, client: Aws) -> None:
    with pytest.raises(TrainingError) as failed:
        run(client, "split", request_for(aws, FAIL, MESSAGE))
    what = "Processing job split is Failed: 2 of 3 customers are set aside"
    assert failed.value.what.splitlines() == [what, *(f"  | line {number}" for number in range(2, 12))]
    assert "/aws/sagemaker/ProcessingJobs, streams split/" in failed.value.remedy
    assert failed.value.told  # by AWS's event
    assert run(client, "split", request_for(aws, ""))[0] == "split-2"
    assert run(client, "split", request_for(aws, FAIL, MESSAGE))[0] == "split-2"


def test_without_a_message_the_reason_is_sagemakers(aws: Account, client: Aws) -> None:
    missing = Input("raw", f"s3://{aws.bucket}/nowhere/", RAW)
    with pytest.raises(TrainingError, match="Processing job split is Failed: ClientError: Data download failed"):
        run(client, "split", request_for(aws, "", inputs=[missing]))


def test_a_job_whose_time_is_up_is_told_from_one_that_was_stopped(aws: Account, client: Aws) -> None:
    endless = "import time; print('up', flush=True); time.sleep(600)"
    with pytest.raises(
        TrainingError, match=r"late is Stopped: it ran for \d s, and MaxRuntimeInSeconds is 1; declare"
    ) as late:
        run(client, "late", request_for(aws, endless, cluster=Cluster("ml.m5.large", max_run_seconds=1)))
    assert not late.value.told  # AWS's event does not say why

    def stop(line: str) -> None:
        if line == "up":
            aws.client("sagemaker").stop_processing_job(ProcessingJobName="asked")

    request = request_for(aws, endless)
    with pytest.raises(TrainingError, match="asked is Stopped: somebody stopped it"):
        run_processing_job(client, "asked", lambda: request, stop)


def test_a_request_that_sagemaker_refuses_names_what_is_wrong(aws: Account, client: Aws) -> None:
    request = request_for(aws, "", cluster=Cluster("ml.none.large"))
    with pytest.raises(TrainingError, match="SageMaker refused the processing job split") as refused:
        run(client, "split", request)
    assert "ml.none.large" in refused.value.what
    assert "what the model folder declares" in refused.value.remedy


def code_of(request: CreateProcessingJobRequestTypeDef) -> str:
    """The key of the code."""
    return request["ProcessingInputs"][0]["S3Input"]["S3Uri"].split("/", 3)[3]


def test_code_that_was_exchanged_starts_no_job(aws: Account, client: Aws) -> None:
    request = request_for(aws, "print('never')")
    put(aws, code_of(request), archive({"program.py": "print('mine')"}))
    with pytest.raises(
        ArtifactError, match=r"/code/[0-9a-f]{64}\.tar\.gz has been exchanged: its SHA-256 is"
    ) as refused:
        run(client, "exchanged", request)
    assert "restore the object from the bucket's versions" in refused.value.remedy
    assert aws.client("sagemaker").list_processing_jobs()["ProcessingJobSummaries"] == []


def test_code_that_is_exchanged_after_the_job_was_started_does_not_run(
    aws: Account, client: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The container compares what it was given itself."""
    request = request_for(aws, "print('never')")
    put(aws, code_of(request), archive({"program.py": "print('mine')"}))
    monkeypatch.setattr("common.training.processing.verified", lambda bucket, uri: b"")  # it was as it should be then
    with pytest.raises(TrainingError, match=r"(?s)is Failed.*input/code/[0-9a-f]{64}\.tar\.gz: FAILED") as refused:
        run(client, "later", request)
    assert "mine" not in refused.value.what


def test_the_entrypoint_keeps_to_sagemakers_limit() -> None:
    settings = Settings("eu-west-1", "bucket", "arn:aws:iam::123456789012:role/Execution")
    script = Script(f"s3://bucket/energy/code/{'0' * 64}.tar.gz", "split.py")
    request = processing_request(
        MODEL, settings, image=SCIKIT_LEARN, script=script, inputs=(), outputs=(), cluster=Cluster("ml.m5.large")
    )
    assert max(map(len, request["AppSpecification"]["ContainerEntrypoint"])) <= 256
    assert "ContainerArguments" not in request["AppSpecification"]  # SageMaker refuses an empty list
