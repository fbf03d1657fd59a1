"""Keys and networks are in every request that takes them, and nothing is added where none is declared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from botocore.session import get_session
from botocore.validate import validate_parameters
from hypothesis import given
from hypothesis import strategies as st

from common.environments import Network
from common.errors import SettingsError
from common.protection import (
    protected_endpoint,
    protected_model,
    protected_processing,
    protected_training,
    protected_transform,
)
from common.settings import Central, Settings

OWN, CENTRAL = "arn:aws:kms:eu-west-1:111111111111:key/own", "arn:aws:kms:eu-west-1:222222222222:key/central"
PLAIN = Settings("eu-west-1", "models", "arn:aws:iam::111111111111:role/jobs", environment="dev")
KEYS = replace(PLAIN, kms_key=OWN, registry=Central("222222222222", "eu-west-1", "registered", CENTRAL))
PLACED = replace(PLAIN, network=Network(("subnet-1",), ("sg-1",), isolated=True))

CLUSTER = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5}
TRAINING: dict[str, Any] = {
    "TrainingJobName": "abalone-1",
    "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
    "RoleArn": PLAIN.job_role,
    "OutputDataConfig": {"S3OutputPath": "s3://models/abalone/training"},
    "ResourceConfig": CLUSTER,
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
}
PROCESSING: dict[str, Any] = {
    "ProcessingJobName": "abalone-1",
    "AppSpecification": {"ImageUri": "image"},
    "RoleArn": PLAIN.job_role,
    "ProcessingResources": {"ClusterConfig": CLUSTER},
    "ProcessingOutputConfig": {
        "Outputs": [
            {
                "OutputName": "index",
                "S3Output": {
                    "S3Uri": "s3://registered/energy/data/v/index",
                    "S3UploadMode": "EndOfJob",
                    "LocalPath": "/o",
                },
            }
        ]
    },
}
TRANSFORM: dict[str, Any] = {
    "TransformJobName": "abalone-1",
    "ModelName": "abalone-batch-1",
    "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://models/in"}}},
    "TransformOutput": {"S3OutputPath": "s3://models/abalone/batch/work/answers"},
    "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
}
MODEL: dict[str, Any] = {"ModelName": "abalone-model-1", "ExecutionRoleArn": PLAIN.job_role, "PrimaryContainer": {}}
ENDPOINT: dict[str, Any] = {
    "EndpointConfigName": "abalone-model-1-00000000",
    "ProductionVariants": [{"VariantName": "AllTraffic", "InstanceType": "ml.m5.large", "ModelName": "m"}],
    "DataCaptureConfig": {
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": "s3://models/abalone/capture",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    },
    "AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://models/abalone/async/output"}},
}
REQUESTS = [
    ("CreateTrainingJob", protected_training, TRAINING),
    ("CreateProcessingJob", protected_processing, PROCESSING),
    ("CreateTransformJob", protected_transform, TRANSFORM),
    ("CreateModel", protected_model, MODEL),
    ("CreateEndpointConfig", protected_endpoint, ENDPOINT),
]


@pytest.mark.parametrize(("operation", "protect", "request_"), REQUESTS, ids=[name for name, *_ in REQUESTS])
def test_requests_stay_what_the_api_takes(operation: str, protect: Any, request_: dict[str, Any]) -> None:
    shape = get_session().get_service_model("sagemaker").operation_model(operation).input_shape
    assert shape
    validate_parameters(protect(request_, replace(KEYS, network=PLACED.network)), shape)
    assert protect(request_, PLAIN) == request_


def test_volumes_have_the_environments_key_and_objects_that_of_their_bucket() -> None:
    training = protected_training(TRAINING, KEYS)
    assert training["ResourceConfig"]["VolumeKmsKeyId"] == OWN
    assert training["OutputDataConfig"]["KmsKeyId"] == OWN
    processing = protected_processing(PROCESSING, KEYS)
    assert processing["ProcessingResources"]["ClusterConfig"]["VolumeKmsKeyId"] == OWN
    assert processing["ProcessingOutputConfig"]["KmsKeyId"] == CENTRAL
    transform = protected_transform(TRANSFORM, KEYS)
    assert transform["TransformResources"]["VolumeKmsKeyId"] == transform["TransformOutput"]["KmsKeyId"] == OWN
    endpoint = protected_endpoint(ENDPOINT, KEYS)
    assert endpoint["KmsKeyId"] == endpoint["DataCaptureConfig"]["KmsKeyId"] == OWN
    assert endpoint["AsyncInferenceConfig"]["OutputConfig"]["KmsKeyId"] == OWN


@pytest.mark.parametrize(
    ("instance_type", "takes_a_key"),
    [("ml.m5.large", True), ("ml.t2.medium", True), ("ml.inf2.xlarge", True), ("ml.c6i.large", True), ("ml.m5d.large", False),
     ("ml.g4dn.xlarge", False), ("ml.g5.xlarge", False), ("ml.p4d.24xlarge", False), ("ml.r7gd.large", False)],
)  # fmt: skip
def test_disks_that_encrypt_themselves_get_no_key(instance_type: str, takes_a_key: bool) -> None:
    job = protected_training(TRAINING | {"ResourceConfig": CLUSTER | {"InstanceType": instance_type}}, KEYS)
    assert ("VolumeKmsKeyId" in job["ResourceConfig"]) == takes_a_key


def test_jobs_and_endpoints_are_put_into_the_network() -> None:
    vpc = {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    for protect, request in ((protected_training, TRAINING), (protected_model, MODEL)):
        placed = protect(request, PLACED)
        assert (placed["VpcConfig"], placed["EnableNetworkIsolation"]) == (vpc, True)
    assert protected_processing(PROCESSING, PLACED)["NetworkConfig"] == {
        "VpcConfig": vpc,
        "EnableNetworkIsolation": True,
    }
    other = protected_processing(PROCESSING, PLACED, Network(("subnet-2",), ("sg-2",)))
    assert other["NetworkConfig"] == {"VpcConfig": {"Subnets": ["subnet-2"], "SecurityGroupIds": ["sg-2"]}}


def test_containers_that_fetch_their_code_cannot_be_isolated() -> None:
    code = {"HyperParameters": {"sagemaker_submit_directory": '"s3://models/code.tar.gz"'}}
    with pytest.raises(SettingsError, match=r"isolated.*a training job that fetches its code"):
        protected_training(TRAINING | code, PLACED)
    many = {"PrimaryContainer": {"Environment": {"SAGEMAKER_SUBMIT_DIRECTORY": "s3://models/code.tar.gz"}}}
    with pytest.raises(SettingsError, match=r"isolated.*many models") as error:
        protected_model(MODEL | many, PLACED)
    assert "`network`" in error.value.remedy


def test_a_serverless_endpoint_in_a_network_is_refused() -> None:
    variants = [{"VariantName": "AllTraffic", "ModelName": "m", "ServerlessConfig": {"MemorySizeInMB": 1024}}]
    request = {"EndpointConfigName": "e", "ProductionVariants": variants}
    with pytest.raises(SettingsError, match="the environment dev has a network"):
        protected_endpoint(request, PLACED)
    assert protected_endpoint(request, KEYS) == request


@given(st.sampled_from(REQUESTS), st.booleans())
def test_what_is_asked_for_is_never_changed(case: tuple[str, Any, dict[str, Any]], keys: bool) -> None:
    _, protect, request = case
    before = repr(request)
    protect(request, KEYS if keys else PLACED)
    assert repr(request) == before
