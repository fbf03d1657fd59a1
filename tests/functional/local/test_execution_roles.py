"""What jobs do as their execution role, and what is refused before they start: trust, keys of volumes."""

import json
import re
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.accounts import Account
from tests.functional.local import processing_support, transform_support, tuning_support
from tests.functional.local.training_support import (
    SCIKIT_LEARN,
    eventually,
    job_request,
    log_lines,
    put,
    regression_csv,
    run_job,
    script_request,
)

SAGEMAKER = {"Service": "sagemaker.amazonaws.com"}
LOOK_AROUND = """
import boto3, os
print("I am", boto3.client("sts").get_caller_identity()["Arn"])
try:
    boto3.client("s3").get_object(Bucket=os.environ["BUCKET"], Key="secrets/of-others")
except Exception as error:
    print("refused:", error)
open(os.path.join(os.environ["SM_MODEL_DIR"], "m"), "w").write("model")
"""


def role(aws: Account, *statements: dict[str, Any], name: str = "jobs", trusted: Any = SAGEMAKER) -> str:
    """ARN of a new role of the account with these statements in its policy."""
    iam = aws.client("iam")
    trust = {"Effect": "Allow", "Principal": trusted, "Action": "sts:AssumeRole"}
    created = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document(*statements))
    arn: str = created["Role"]["Arn"]
    return arn


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def may(*actions: str, resource: str = "*") -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


def refusal(call: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationException"
    message: str = error["Message"]
    return message


def test_a_job_and_the_code_in_it_act_as_the_role(aws: Account) -> None:
    put(aws, "secrets/of-others", "42")
    kms = aws.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName="alias/models", TargetKeyId=key)
    objects = f"arn:aws:s3:::{aws.bucket}"
    arn = role(
        aws,
        may("s3:GetObject", resource=f"{objects}/code/*"),
        may("s3:PutObject", resource=f"{objects}/out/*"),
        may("kms:GenerateDataKey", resource=key),
    )
    output = {"S3OutputPath": f"s3://{aws.bucket}/out", "KmsKeyId": "alias/models"}
    request = script_request(
        aws, "j", LOOK_AROUND, RoleArn=arn, OutputDataConfig=output, Environment={"BUCKET": aws.bucket}
    )
    job = run_job(aws, request)
    assert job["TrainingJobStatus"] == "Completed", job["FailureReason"]
    lines = eventually(lambda: log_lines(aws, "j"))
    assert f"I am arn:aws:sts::{aws.account}:assumed-role/jobs/SageMaker" in lines
    [refused] = [line for line in lines if line.startswith("refused")]
    assert "AccessDenied" in refused
    assert f"is not authorized to perform: s3:GetObject on resource: {objects}/secrets/of-others" in refused
    written = aws.client("s3").head_object(Bucket=aws.bucket, Key="out/j/output/model.tar.gz")
    assert (written["ServerSideEncryption"], written["SSEKMSKeyId"]) == ("aws:kms", key)


@pytest.mark.parametrize(
    ("actions", "reason"),
    [
        (["s3:GetObject"], 'Please ensure that .* has "s3:ListBucket" permissions'),
        (
            ["s3:ListBucket"],
            "Data download failed:Unable to download object s3://.*/data/train/a.csv .AccessDenied: User: ",
        ),
        (
            ["s3:ListBucket", "s3:GetObject"],
            "Artifact upload failed:Unable to upload object s3://.*model.tar.gz .AccessDenied",
        ),
    ],
)
def test_what_the_role_may_not_fails_the_job(aws: Account, actions: list[str], reason: str) -> None:
    put(aws, "data/train/a.csv", regression_csv(20))
    arn = role(aws, may(*actions))
    job = run_job(aws, job_request(aws, "j", RoleArn=arn))
    assert job["TrainingJobStatus"] == "Failed"
    assert re.match(f"ClientError: .*{reason}", job["FailureReason"]), job["FailureReason"]


def test_a_processing_job_encrypts_its_outputs_and_needs_the_key_for_it(aws: Account) -> None:
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    outputs = [processing_support.result(aws, "r", "results/", "/opt/ml/processing/results")]
    config = {"Outputs": outputs, "KmsKeyId": key}
    script, to = "import sys; open(sys.argv[1], 'w').write('1')", "/opt/ml/processing/results/r"
    request = processing_support.job_request(aws, "p", script, to, ProcessingOutputConfig=config)
    request["RoleArn"] = role(aws, may("s3:*"))
    job = processing_support.run_job(aws, request)
    assert f"is not authorized to perform: kms:GenerateDataKey on resource: {key}" in job["FailureReason"]
    aws.client("iam").put_role_policy(RoleName="jobs", PolicyName="key", PolicyDocument=document(may("kms:*")))
    job = processing_support.run_job(aws, request | {"ProcessingJobName": "q"})
    assert job["ProcessingJobStatus"] == "Completed", job["FailureReason"]
    assert aws.client("s3").head_object(Bucket=aws.bucket, Key="results/r")["SSEKMSKeyId"] == key


@pytest.mark.parametrize("isolated", [True, False])
def test_a_processing_job_that_is_isolated_does_not_reach_aws(aws: Account, isolated: bool) -> None:
    script = "import os, sys; open(sys.argv[1], 'w').write(str('AWS_ACCESS_KEY_ID' in os.environ))"
    network = {"EnableNetworkIsolation": isolated}
    request = processing_support.job_request(aws, "p", script, "/opt/ml/output/message", NetworkConfig=network)
    assert processing_support.run_job(aws, request)["ExitMessage"] == str(not isolated)


def test_a_transform_job_acts_as_its_models_role(aws: Account) -> None:
    transform_support.make_model(aws, "sums")
    role(aws, may("s3:GetObject", "s3:ListBucket"), name="SageMakerExecution")
    put(aws, "in/a.csv", "1,2\n")
    job = transform_support.run_job(aws, transform_support.job_request(aws, "t"))
    assert (job["TransformJobStatus"], job["FailureReason"]) == (
        "Failed",
        "ClientError: See job logs for more information",
    )
    said = "assumed-role/SageMakerExecution/SageMaker is not authorized to perform: s3:PutObject on resource: "
    assert any(f"{said}arn:aws:s3:::{aws.bucket}/t/a.csv.out" in line for line in transform_support.log_lines(aws, "t"))


def requests(
    aws: Account, role: str, key: str | None = None, instance: str = "ml.m5.large"
) -> dict[str, dict[str, Any]]:
    """What creates a job of each kind as a role, with a key for the volumes."""
    resources: dict[str, Any] = {"InstanceType": instance, "InstanceCount": 1, "VolumeSizeInGB": 1}
    resources |= {"VolumeKmsKeyId": key} if key else {}
    tuning = tuning_support.tuning_request(aws, "t", definition={"RoleArn": role, "ResourceConfig": resources})
    processing = processing_support.job_request(aws, "p", "") | {"RoleArn": role}
    cluster = {"ProcessingResources": {"ClusterConfig": resources}}
    return {
        "create_training_job": job_request(aws, "j", RoleArn=role, ResourceConfig=resources),
        "create_hyper_parameter_tuning_job": tuning,
        "create_processing_job": processing | cluster,
    }


def test_a_role_that_does_not_trust_sagemaker_is_refused(aws: Account) -> None:
    arn = role(aws, trusted={"Service": "lambda.amazonaws.com"})
    sagemaker = aws.client("sagemaker")
    for operation, request in requests(aws, arn).items():
        assert refusal(getattr(sagemaker, operation), **request) == (
            f"Could not assume role {arn}. Please ensure that the role exists and allows principal "
            "'sagemaker.amazonaws.com' to assume the role."
        )
    container = {"Image": SCIKIT_LEARN}
    assert refusal(sagemaker.create_model, ModelName="m", PrimaryContainer=container, ExecutionRoleArn=arn).startswith(
        f'The execution role ARN "{arn}" is invalid. Please ensure that the role exists and that its trust relationship'
    )


def test_a_key_for_volumes_that_cannot_be_used_is_refused(aws: Account) -> None:
    kms = aws.client("kms")
    key, disabled = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
    kms.disable_key(KeyId=disabled.rpartition("/")[2])
    transform_support.make_model(aws, "sums")
    gone = f"arn:aws:kms:{aws.region}:{aws.account}:key/gone"
    for name, instance, message in (
        (key, "ml.g4dn.xlarge", "KMS key is not supported for NVMe instance storage."),
        (disabled, "ml.m5.large", f"{disabled} is disabled."),
        (gone, "ml.m5.large", f"Key '{gone}' does not exist"),
    ):
        volumes = {"InstanceType": instance, "InstanceCount": 1, "VolumeKmsKeyId": name}
        transform = transform_support.job_request(aws, "t", TransformResources=volumes)
        asked = requests(aws, aws.role, name, instance) | {"create_transform_job": transform}
        for operation, request in asked.items():
            assert refusal(getattr(aws.client("sagemaker"), operation), **request).endswith(message)


def test_role_or_caller_has_to_grant_sagemaker_the_key_of_the_volumes(aws: Account) -> None:
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    arn = role(aws, may("s3:*"))
    caller = role(aws, may("sagemaker:*", "iam:PassRole"), name="ci", trusted={"AWS": aws.account})
    given = aws.client("sts").assume_role(RoleArn=caller, RoleSessionName="ci")["Credentials"]
    keys = (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    sagemaker = boto3.Session(*keys, aws.region).client("sagemaker", endpoint_url=aws.url)
    for operation, request in requests(aws, arn, key).items():
        assert refusal(getattr(sagemaker, operation), **request) == (
            "The KMS key of the storage volumes cannot be used: User: "
            f"arn:aws:sts::{aws.account}:assumed-role/jobs/SageMaker is not authorized to perform: kms:CreateGrant on "
            f"resource: {key} because no identity-based policy allows the kms:CreateGrant action"
        )
    aws.client("iam").put_role_policy(
        RoleName="jobs",
        PolicyName="volumes",
        PolicyDocument=document(
            may("kms:CreateGrant") | {"Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}}}
        ),
    )
    for operation, request in requests(aws, arn, key).items():
        getattr(sagemaker, operation)(**request)
