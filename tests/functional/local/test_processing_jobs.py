"""Processing jobs: what a program finds, what becomes of what it leaves, and how the job ends."""

import json
import os
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.accounts import Account
from tests.functional.local.processing_support import (
    CODE,
    given,
    job_request,
    log_lines,
    logged,
    objects,
    printed,
    result,
    run_job,
    wait_until,
)
from tests.functional.local.training_support import SCIKIT_LEARN, eventually, put

RAW, MADE = "/opt/ml/processing/input/raw", "/opt/ml/processing/output/made"
ENDLESS = "import time\nprint('up', flush=True)\ntime.sleep(600)"

SHARE = """
import json, pathlib, sys
raw, made, resources = sys.argv[1:]
me = json.load(open(resources))
names = sorted(p.name for p in pathlib.Path(raw).iterdir())
for name in names:
    target = pathlib.Path(made) / "below" / name
    target.parent.mkdir(exist_ok=True)
    target.write_text((pathlib.Path(raw) / name).read_text().upper())
print(json.dumps({"host": me["current_host"], "hosts": me["hosts"], "names": names}))
"""


def test_each_host_gets_its_part_and_what_all_leave_goes_to_s3(aws: Account) -> None:
    for name in "abc":
        put(aws, f"raw/part-{name}", name)
    request = job_request(
        aws,
        "split",
        SHARE,
        *(RAW, MADE, "/opt/ml/config/resourceconfig.json"),
        instances=4,
        Inputs=[given(aws, "raw", "raw/", RAW, S3DataDistributionType="ShardedByS3Key")],
        Outputs=[result(aws, "made", "made", MADE)],
    )
    job = run_job(aws, request)
    assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
    assert job["CreationTime"] <= job["ProcessingStartTime"] <= job["ProcessingEndTime"]
    hosts = [f"algo-{number}" for number in (1, 2, 3, 4)]
    shares = [["part-a"], ["part-b"], ["part-c"], []]  # the fourth finds its folder, empty
    assert [printed(aws, "split", host) for host in hosts] == [
        {"host": host, "hosts": hosts, "names": share} for host, share in zip(hosts, shares, strict=True)
    ]
    assert objects(aws, "made/") == {"below/part-a": b"A", "below/part-b": b"B", "below/part-c": b"C"}


SHOW = """
import importlib.util, json, os, sys
config = {name: json.load(open(f"{sys.argv[1]}/{name}.json")) for name in ("processingjobconfig", "resourceconfig")}
facts = {"arguments": sys.argv[1:], "config": config, "environment": dict(os.environ), "made": os.listdir(sys.argv[2])}
facts["repository"] = importlib.util.find_spec("common") is not None
print(json.dumps(facts))
"""


def test_a_program_finds_the_containers_paths_in_all_that_the_request_says(aws: Account) -> None:
    variables = {"CODE": f"{CODE}:/opt/ml/processing", "ELSEWHERE": "s3://b/opt/ml/x /opt/mlflow ./opt/ml"}
    arguments = ("/opt/ml/config", MADE, "--to=/opt/ml/processing/x", "s3://b/opt/ml")
    outputs = [result(aws, "made", "made", MADE)]
    request = job_request(aws, "shown", SHOW, *arguments, Outputs=outputs, Environment=variables)
    job = run_job(aws, request)
    assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
    facts = printed(aws, "shown")
    base = facts["arguments"][0].removesuffix("/config")
    assert facts["arguments"] == [
        f"{base}/config",
        f"{base}/processing/output/made",
        f"--to={base}/processing/x",
        arguments[3],
    ]
    environment = facts["environment"]
    assert (environment["CODE"], environment["ELSEWHERE"]) == (
        f"{base}/processing/input/code:{base}/processing",
        variables["ELSEWHERE"],
    )
    assert (facts["made"], facts["repository"]) == ([], False)
    told = facts["config"]["processingjobconfig"]
    assert told["ProcessingJobArn"] == job["ProcessingJobArn"]
    assert told["ProcessingInputs"][0]["S3Input"]["LocalPath"] == f"{base}/processing/input/code"
    assert told["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"] == f"s3://{aws.bucket}/made"
    assert told["Environment"]["CODE"] == environment["CODE"]
    assert facts["config"]["resourceconfig"] == {
        "current_host": "algo-1",
        "hosts": ["algo-1"],
        "network_interface_name": "lo",
        "current_instance_type": "ml.m5.large",
        "current_group_name": "homogeneousCluster",
        "instance_groups": [
            {"instance_group_name": "homogeneousCluster", "instance_type": "ml.m5.large", "hosts": ["algo-1"]}
        ],
    }
    assert not os.path.exists(base)  # noqa: PTH110 - text from another machine's point of view


def test_a_program_acts_as_the_role_and_bash_runs_as_it_is_with_several_outputs(aws: Account) -> None:
    whoami = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
    report = "/opt/ml/processing/report"
    run = 'python3 "$0/program.py" && echo done > "$1/note" && echo more > "$2/note"'
    entrypoint = ["/bin/bash", "-c", run, CODE, MADE, report]
    outputs = [result(aws, "made", "made", MADE), result(aws, "report", "reports/bash", report)]
    request = job_request(aws, "bash", whoami, Outputs=outputs)
    request["AppSpecification"]["ContainerEntrypoint"] = entrypoint
    assert run_job(aws, request)["ProcessingJobStatus"] == "Completed"
    [line] = log_lines(aws, "bash")
    assert line == f"arn:aws:sts::{aws.account}:assumed-role/SageMakerExecution/SageMaker"
    assert objects(aws, "made/") == {"note": b"done\n"}
    assert objects(aws, "reports/") == {"bash/note": b"more\n"}


def test_a_manifest_names_the_objects(aws: Account) -> None:
    for name in "abc":
        put(aws, f"raw/{name}", name)
    put(aws, "raw.manifest", json.dumps([{"prefix": f"s3://{aws.bucket}/raw/"}, "a", "c"]))
    show = "import os, sys; print(sorted(os.listdir(sys.argv[1])))"
    raw = given(aws, "raw", "raw.manifest", RAW, S3DataType="ManifestFile")
    assert run_job(aws, job_request(aws, "listed", show, RAW, Inputs=[raw]))["ProcessingJobStatus"] == "Completed"
    assert log_lines(aws, "listed") == ["['a', 'c']"]


FAIL = """
import pathlib, sys
made, message = map(pathlib.Path, sys.argv[1:])
(made / "half").write_text("written")
message.write_text("line 7 has no customer" + "!" * 2000)
raise ValueError("line 7")
"""


def test_a_program_that_fails_says_why_and_leaves_nothing_in_s3(aws: Account) -> None:
    outputs = [result(aws, "made", "made", MADE)]
    job = run_job(aws, job_request(aws, "failed", FAIL, MADE, "/opt/ml/output/message", Outputs=outputs))
    assert (job["ProcessingJobStatus"], job["FailureReason"]) == (
        "Failed",
        "AlgorithmError: See job logs for more information",
    )
    assert job["ExitMessage"] == "line 7 has no customer" + "!" * 1002
    assert log_lines(aws, "failed")[-1] == "ValueError: line 7"
    assert objects(aws, "made/") == {}


def test_the_messages_of_several_hosts_follow_each_other(aws: Account) -> None:
    script = "import json, sys; open(sys.argv[1], 'w').write(json.load(open(sys.argv[2]))['current_host'] + ' ok; ')"
    arguments = ("/opt/ml/output/message", "/opt/ml/config/resourceconfig.json")
    assert (
        run_job(aws, job_request(aws, "told", script, *arguments, instances=2))["ExitMessage"]
        == "algo-1 ok; algo-2 ok; "
    )


def test_a_message_that_is_no_text_fails_the_job(aws: Account) -> None:
    script = "import sys; open(sys.argv[1], 'wb').write(bytes([255]))"
    job = run_job(aws, job_request(aws, "garbled", script, "/opt/ml/output/message"))
    assert (job["ProcessingJobStatus"], job["FailureReason"]) == (
        "Failed",
        "ClientError: The exit message in /opt/ml/output/message is not UTF-8 encoded.",
    )


def test_one_failed_host_ends_all(aws: Account) -> None:
    script = (
        "import json, sys, time\n"
        "if json.load(open(sys.argv[1]))['current_host'] == 'algo-2': sys.exit(3)\n"
        "time.sleep(600)"
    )
    job = run_job(aws, job_request(aws, "one", script, "/opt/ml/config/resourceconfig.json", instances=2))
    assert job["FailureReason"] == "AlgorithmError: See job logs for more information"


def test_a_command_that_does_not_exist_is_told_in_the_log(aws: Account) -> None:
    request = job_request(aws, "nothing", "")
    request["AppSpecification"]["ContainerEntrypoint"] = ["split.exe"]
    assert run_job(aws, request)["ProcessingJobStatus"] == "Failed"
    assert log_lines(aws, "nothing") == ["cannot start split.exe: No such file or directory"]


def test_a_continuous_output_is_uploaded_while_the_job_runs(aws: Account) -> None:
    script = "import sys, time; open(sys.argv[1] + '/early', 'w').write('1'); time.sleep(600)"
    outputs = [result(aws, "made", "made", MADE, "Continuous")]
    aws.client("sagemaker").create_processing_job(**job_request(aws, "streaming", script, MADE, Outputs=outputs))
    eventually(lambda: objects(aws, "made/") == {"early": b"1"})
    aws.client("sagemaker").stop_processing_job(ProcessingJobName="streaming")
    assert wait_until(aws, "streaming")["ProcessingJobStatus"] == "Stopped"


def test_a_job_is_stopped_on_request_and_when_its_time_is_up(aws: Account) -> None:
    sagemaker = aws.client("sagemaker")
    sagemaker.create_processing_job(**job_request(aws, "asked", ENDLESS))
    late = job_request(aws, "late", ENDLESS, StoppingCondition={"MaxRuntimeInSeconds": 1})
    sagemaker.create_processing_job(**late)
    eventually(lambda: logged(aws, "asked", "up"))
    sagemaker.stop_processing_job(ProcessingJobName="asked")
    for name in ("asked", "late"):
        job = wait_until(aws, name)
        assert (job["ProcessingJobStatus"], job.get("FailureReason")) == ("Stopped", None)
    with pytest.raises(ClientError, match="the processing job is in status Stopped"):
        sagemaker.stop_processing_job(ProcessingJobName="asked")


def test_what_an_input_or_output_lacks_is_the_reason(aws: Account) -> None:
    nothing = job_request(aws, "nothing", "", Inputs=[given(aws, "raw", "nowhere/", RAW)])
    reason = run_job(aws, nothing)["FailureReason"]
    assert f'No S3 objects found under S3 URL "s3://{aws.bucket}/nowhere/"' in reason
    foreign = result(aws, "made", "made", MADE)
    foreign["S3Output"]["S3Uri"] = "s3://no-such-bucket/made"
    reason = run_job(aws, job_request(aws, "no-bucket", "", Outputs=[foreign]))["FailureReason"]
    assert "Please ensure that the bucket no-such-bucket" in reason


def test_jobs_are_described_listed_and_tagged(aws: Account) -> None:
    sagemaker = aws.client("sagemaker")
    vpc = {"VpcConfig": {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}, "EnableNetworkIsolation": False}
    request = job_request(aws, "described", "", NetworkConfig=vpc, Tags=[{"Key": "model", "Value": "energy"}])
    job = run_job(aws, request)
    del request["Tags"]
    assert {member: job[member] for member in request} == request
    run_job(aws, job_request(aws, "other", "import sys; sys.exit(1)"))
    pages = sagemaker.get_paginator("list_processing_jobs").paginate(PaginationConfig={"PageSize": 1})
    listed = [
        (item["ProcessingJobName"], item["ProcessingJobStatus"])
        for page in pages
        for item in page["ProcessingJobSummaries"]
    ]
    assert listed == [("other", "Failed"), ("described", "Completed")]
    [failed] = sagemaker.list_processing_jobs(StatusEquals="Failed")["ProcessingJobSummaries"]
    assert failed["FailureReason"] == "AlgorithmError: See job logs for more information"
    arn = job["ProcessingJobArn"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "more", "Value": "1"}])
    tags = {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=arn)["Tags"]}
    assert tags == {"model": "energy", "more": "1"}


def test_a_name_is_taken_for_ever_and_an_unknown_one_is_told(aws: Account) -> None:
    sagemaker = aws.client("sagemaker")
    job = run_job(aws, job_request(aws, "once", ""))
    with pytest.raises(ClientError, match=r"ResourceInUse.*already exists") as taken:
        sagemaker.create_processing_job(**job_request(aws, "once", ""))
    assert job["ProcessingJobArn"] in str(taken.value)
    for call in (sagemaker.describe_processing_job, sagemaker.stop_processing_job):
        with pytest.raises(ClientError, match="Could not find requested job with name: never"):
            call(ProcessingJobName="never")


def changed(request: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The request with one member replaced, e.g. `ProcessingInputs.0.S3Input.LocalPath`."""
    *way, last = path.split(".")
    place: Any = request
    for step in way:
        place = place[int(step)] if step.isdigit() else place[step]
    place[int(last) if last.isdigit() else last] = value
    return request


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("ProcessingJobName", "under_scored", "'processingJobName' failed to satisfy constraint"),
        ("AppSpecification.ImageUri", "1.dkr.ecr.eu-west-1.amazonaws.com/own:1", "Requested image not found"),
        ("AppSpecification", {"ImageUri": SCIKIT_LEARN}, "needs a ContainerEntrypoint"),
        ("AppSpecification.ContainerArguments", ["x" * 257], "length less than or equal to 256"),
        ("RoleArn", "arn:aws:iam::999999999999:role/Foreign", "Cross-account pass role is not allowed"),
        ("ProcessingResources.ClusterConfig", {"VolumeSizeInGB": 1}, "InstanceType and InstanceCount"),
        ("ProcessingInputs.0.S3Input.LocalPath", "/opt/ml/model", "below /opt/ml/processing/, not /opt/ml/model"),
        ("ProcessingInputs.0.S3Input.LocalPath", "/opt/ml/processing/../x", "below /opt/ml/processing/"),
        ("ProcessingInputs.0.S3Input.LocalPath", MADE + "/", "is that of several inputs and outputs"),
        ("ProcessingInputs.0.S3Input.S3InputMode", "Pipe", "does not support Pipe mode"),
        ("ProcessingInputs.0.S3Input.S3CompressionType", "Gzip", "Gzip needs Pipe mode"),
        ("ProcessingInputs.0.AppManaged", True, "nothing that is AppManaged"),
        ("ProcessingInputs.0", {"InputName": "table", "DatasetDefinition": {}}, "table: the local AWS supports S3Input only"),
        ("ProcessingOutputConfig.Outputs.0", {"OutputName": "x", "AppManaged": True}, "x: the local AWS supports S3Output"),
        ("ProcessingInputs.1.InputName", "code", "InputName must be unique"),
        ("ProcessingOutputConfig.Outputs.0.S3Output.LocalPath", "/data/x", "below /opt/ml/processing/, not /data/x"),
    ],
)  # fmt: skip
def test_a_request_that_cannot_work_is_refused(aws: Account, path: str, value: Any, message: str) -> None:
    inputs, outputs = [given(aws, "raw", "raw/", RAW)], [result(aws, "made", "made", MADE)]
    request = changed(job_request(aws, "refused", "", Inputs=inputs, Outputs=outputs), path, value)
    with pytest.raises(ClientError, match="ValidationException") as refused:
        aws.client("sagemaker").create_processing_job(**request)
    assert message in str(refused.value)
    assert aws.client("sagemaker").list_processing_jobs()["ProcessingJobSummaries"] == []
