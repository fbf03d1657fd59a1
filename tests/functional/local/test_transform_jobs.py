"""Transform jobs: objects in, objects out, in real containers."""

import gzip
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.accounts import REGION, Account
from tests.functional.local.training_support import eventually, put
from tests.functional.local.transform_support import job_request, log_lines, make_model, outputs, wait_until

LINE = {"AssembleWith": "Line"}


@pytest.fixture(scope="module")
def done(aws_url: str) -> tuple[Account, dict[str, Any]]:
    """An account with a job of each kind, which all have ended, by name."""
    aws = Account(aws_url, "626262626262")
    aws.client("s3").create_bucket(Bucket=aws.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    make_model(aws, "sums", OWN="model", SAGEMAKER_OVERRIDDEN="model")
    make_model(aws, "broken", "def model_fn(folder):\n    raise ValueError('half a model')\n")
    for prefix, objects in OBJECTS.items():
        for name, content in objects.items():
            put(aws, prefix + name, content)
    put(aws, "manifest", json.dumps([{"prefix": f"s3://{aws.bucket}/in/"}, "below/b.csv"]))
    requests = jobs(aws)
    for request in requests:
        aws.client("sagemaker").create_transform_job(**request)
    names = [request["TransformJobName"] for request in requests]
    return aws, {name: wait_until(aws, name, seconds=120) for name in names}


OBJECTS: dict[str, dict[str, str | bytes]] = {
    "in/": {"a.csv": "1,2\n3,4\n", "below/b.csv": "5,6", "empty.csv": "", "folder/": ""},
    "ids/": {"x.csv": "a1,1,2\nb2,3,4\n", "y.csv": "c3,5,6\n"},
    "faults/": {"1-good.csv": "1,2\n", "2-bad.csv": "1,2\nx,3\n", "3-crash.csv": "crash", "4-good.csv": "3,4\n"},
    "one/": {"lines.jsonl.gz": gzip.compress(b'{"x": [1, 2], "id": 1}\r\n{"x": [3], "id": 2}\n')},
    "env/": {"ask": "environment"},
    "slow/": {"1.csv": "1,2\n", "2.csv": "slow\n"},
}


def jobs(aws: Account) -> list[dict[str, Any]]:
    listed = {"S3DataType": "ManifestFile", "S3Uri": f"s3://{aws.bucket}/manifest"}
    lines = {"ContentType": "application/jsonlines", "CompressionType": "Gzip"}
    joined = {"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]"}
    return [
        job_request(aws, "plain", output=LINE, Tags=[{"Key": "model", "Value": "sums"}]),
        job_request(aws, "listed", source=listed, given={"SplitType": "None"}),
        job_request(aws, "joined", "ids/", output=LINE, instances=2, DataProcessing=joined),
        job_request(aws, "odd", "faults/", ModelClientConfig={"InvocationsMaxRetries": 1}, MaxConcurrentTransforms=1),
        job_request(
            aws,
            "single",
            "one/",
            given=lines,
            output=LINE | {"Accept": "application/jsonlines"},
            BatchStrategy="SingleRecord",
            DataProcessing={"JoinSource": "Input"},
        ),
        job_request(
            aws,
            "told",
            "env/",
            BatchStrategy="MultiRecord",
            MaxPayloadInMB=1,
            Environment={"SAGEMAKER_OVERRIDDEN": "job"},
        ),
        job_request(aws, "nowhere", "nothing/"),
        job_request(aws, "unhealthy", ModelName="broken"),
    ]


Done = tuple[Account, dict[str, Any]]


def test_every_object_comes_out_beside_its_key(done: Done) -> None:
    aws, described = done
    job = described["plain"]
    assert (job["TransformJobStatus"], job.get("FailureReason")) == ("Completed", None)
    assert job["CreationTime"] <= job["TransformStartTime"] <= job["TransformEndTime"]
    # the newline that AssembleWith adds follows the answer, which ends with its own
    assert outputs(aws, "plain") == {"a.csv.out": "3.0\n7.0\n\n", "below/b.csv.out": "11.0\n\n", "empty.csv.out": ""}
    lines = log_lines(aws, "plain")
    assert "2 lines" in lines
    assert any(
        line.endswith("BatchStrategy=MULTI_RECORD") and "[sagemaker logs]: MaxConcurrent" in line for line in lines
    )


def test_a_manifest_names_the_objects_and_what_is_not_split_is_one_request(done: Done) -> None:
    aws, _ = done
    assert outputs(aws, "listed") == {"below/b.csv.out": "11.0\n"}


def test_several_instances_share_the_objects_and_answers_are_joined(done: Done) -> None:
    aws, described = done
    assert described["joined"]["TransformJobStatus"] == "Completed", log_lines(aws, "joined")
    assert outputs(aws, "joined") == {"x.csv.out": "a1,3.0\nb2,7.0\n", "y.csv.out": "c3,11.0\n"}
    assert sum("MaxConcurrentTransforms" in line for line in log_lines(aws, "joined")) == 2


def test_an_object_that_fails_has_no_output_and_the_others_go_on(done: Done) -> None:
    aws, described = done
    assert outputs(aws, "odd") == {"1-good.csv.out": "3.0\n", "4-good.csv.out": "7.0\n"}
    job = described["odd"]
    assert (job["TransformJobStatus"], job["FailureReason"]) == (
        "Failed",
        "AlgorithmError: See job logs for more information",
    )
    told = [line.partition("[sagemaker logs]: ")[2] for line in log_lines(aws, "odd")]
    bad = f"{aws.bucket}/faults/2-bad.csv: "
    assert [bad + "AlgorithmError: 500", bad + "Message:"] == [line for line in told if line.startswith(bad)][:2]
    crash = [line for line in told if "3-crash.csv" in line]
    assert crash[0] == f"{aws.bucket}/faults/3-crash.csv: AlgorithmError: 503"


def test_single_records_of_gzipped_json_lines_are_joined(done: Done) -> None:
    aws, described = done
    assert described["single"]["TransformJobStatus"] == "Completed", log_lines(aws, "single")
    [content] = outputs(aws, "single").values()
    assert [json.loads(line) for line in content.splitlines()] == [
        {"x": [1, 2], "id": 1, "SageMakerOutput": {"sum": 3}},
        {"x": [3], "id": 2, "SageMakerOutput": {"sum": 3}},
    ]


def test_a_container_is_told_what_the_request_says(done: Done) -> None:
    aws, _ = done
    told = json.loads(outputs(aws, "told")["ask.out"])
    wanted = {"BATCH": "true", "BATCH_STRATEGY": "MULTI_RECORD", "MAX_PAYLOAD_IN_MB": "1", "OVERRIDDEN": "job"}
    assert {name: told.get(f"SAGEMAKER_{name}") for name in wanted} == wanted
    assert "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS" not in told


def test_what_an_input_lacks_is_the_reason(done: Done) -> None:
    aws, described = done
    assert f'No S3 objects found under S3 URL "s3://{aws.bucket}/nothing/"' in described["nowhere"]["FailureReason"]


def test_a_container_that_does_not_start_fails_the_job(done: Done) -> None:
    aws, described = done
    reason = "AlgorithmError: The primary container did not pass the ping health check."
    assert described["unhealthy"]["FailureReason"].startswith(reason)
    assert "ValueError: half a model" in "\n".join(log_lines(aws, "unhealthy"))


def test_jobs_are_described_listed_and_tagged(done: Done) -> None:
    aws, described = done
    sagemaker = aws.client("sagemaker")
    [request] = [request for request in jobs(aws) if request["TransformJobName"] == "plain"]
    del request["Tags"]
    assert {member: described["plain"][member] for member in request} == request
    assert sagemaker.list_tags(ResourceArn=described["plain"]["TransformJobArn"])["Tags"] == [
        {"Key": "model", "Value": "sums"}
    ]
    failed = sagemaker.list_transform_jobs(StatusEquals="Failed", SortBy="Name", SortOrder="Ascending")
    assert [item["TransformJobName"] for item in failed["TransformJobSummaries"]] == ["nowhere", "odd", "unhealthy"]
    with pytest.raises(ClientError, match=r"ResourceInUse.*already exists"):
        sagemaker.create_transform_job(**request)
    with pytest.raises(ClientError, match="the transform job is in status Completed"):
        sagemaker.stop_transform_job(TransformJobName="plain")
    for call in (sagemaker.describe_transform_job, sagemaker.stop_transform_job):
        with pytest.raises(ClientError, match="Could not find requested job with name: never"):
            call(TransformJobName="never")


def test_of_a_job_that_is_stopped_no_output_is_stored(done: Done) -> None:
    aws, _ = done
    request = job_request(aws, "stopped", "slow/", MaxConcurrentTransforms=1)
    aws.client("sagemaker").create_transform_job(**request)
    eventually(lambda: outputs(aws, "stopped"))
    aws.client("sagemaker").stop_transform_job(TransformJobName="stopped")
    job = wait_until(aws, "stopped", seconds=50)
    assert (job["TransformJobStatus"], job.get("FailureReason")) == ("Stopped", None)
    assert outputs(aws, "stopped") == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ModelName": "none"}, "Could not find model"),
        ({"MaxPayloadInMB": 101}, "MaxPayloadInMB must be at most 100, not 101"),
        ({"MaxPayloadInMB": 0}, "does not support MaxPayloadInMB 0"),
        ({"MaxConcurrentTransforms": 20}, r"must be at most 100, not 20 \* 6"),
        ({"given": {"SplitType": "RecordIO"}}, "does not support SplitType RecordIO"),
        ({"source": {"S3DataType": "AugmentedManifestFile"}}, "does not support S3DataType AugmentedManifestFile"),
        ({"DataProcessing": {"InputFilter": "$.x"}, "output": LINE}, "does not fit text/csv"),
        ({"DataCaptureConfig": {"DestinationS3Uri": "s3://b/c"}}, "does not support the DataCaptureConfig"),
    ],
)
def test_a_request_that_cannot_work_is_refused(done: Done, changes: dict[str, Any], message: str) -> None:
    aws, _ = done
    with pytest.raises(ClientError, match=message) as refused:
        aws.client("sagemaker").create_transform_job(**job_request(aws, "refused", **changes))
    assert "ValidationException" in str(refused.value)
