"""Keys and networks: what a request to SageMaker needs beside its own so that it is encrypted and placed as the environment says.

Pure functions: each takes a request and answers it with those members added. Without a key or a network nothing is added.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from common.environments import Network
from common.errors import SettingsError
from common.settings import Settings

Request = TypeVar("Request", bound=Mapping[str, Any])

# Their disks are encrypted by the hardware, and SageMaker refuses a key for them.
_LOCAL_DISKS = re.compile(r"ml\.(?:[a-z]+\d+[a-z]*d[a-z]*|g5|g6e?|p5e?n?|trn1n?|trn2)\.")


def protected_training(request: Request, settings: Settings) -> Request:
    """CreateTrainingJob's request, or a tuning job's definition of its training jobs: volumes, output and network.

    Raises:
        SettingsError: the job would be isolated, and fetches its code itself.
    """
    hyperparameters = request.get("HyperParameters", {})
    if "sagemaker_submit_directory" in hyperparameters:
        _require_reachable(settings.network, "a training job that fetches its code")
    resources, output = request["ResourceConfig"], request["OutputDataConfig"]
    added: dict[str, Any] = {
        "ResourceConfig": resources | _volume_key(settings, resources["InstanceType"], "VolumeKmsKeyId"),
        "OutputDataConfig": output | _object_key(settings, output["S3OutputPath"]),
    }
    return _with(request, added | _placed(settings.network))


def protected_processing(request: Request, settings: Settings, network: Network | None = None) -> Request:
    """CreateProcessingJob's request: volumes, outputs and network.

    Args:
        network: in place of the environment's, e.g. where only one of a VPC reaches a warehouse.
    """
    cluster, outputs = request["ProcessingResources"]["ClusterConfig"], request["ProcessingOutputConfig"]
    placed = _placed(network or settings.network)
    first = outputs["Outputs"][0]["S3Output"]["S3Uri"] if outputs["Outputs"] else ""
    added: dict[str, Any] = {
        "ProcessingResources": {
            "ClusterConfig": cluster | _volume_key(settings, cluster["InstanceType"], "VolumeKmsKeyId")
        },
        "ProcessingOutputConfig": outputs | _object_key(settings, first),
    }
    return _with(request, added | ({"NetworkConfig": placed} if placed else {}))


def protected_transform(request: Request, settings: Settings) -> Request:
    """CreateTransformJob's request: volumes and output. It is placed where its model is."""
    resources, output = request["TransformResources"], request["TransformOutput"]
    return _with(
        request,
        {
            "TransformResources": resources | _volume_key(settings, resources["InstanceType"], "VolumeKmsKeyId"),
            "TransformOutput": output | _object_key(settings, output["S3OutputPath"]),
        },
    )


def protected_model(request: Request, settings: Settings) -> Request:
    """CreateModel's request: the network of the endpoint's instances.

    Raises:
        SettingsError: the endpoint would be isolated, and fetches its code itself.
    """
    container = request.get("PrimaryContainer", {})
    if container.get("Environment", {}).get("SAGEMAKER_SUBMIT_DIRECTORY", "").startswith("s3://"):
        _require_reachable(settings.network, "an endpoint of many models, which fetches its code")
    return _with(request, _placed(settings.network))


def protected_endpoint(request: Request, settings: Settings) -> Request:
    """CreateEndpointConfig's request: volumes, captured calls and asynchronous answers.

    Raises:
        SettingsError: it is serverless, and would have to be put into a network.
    """
    added: dict[str, Any] = {}
    variants = request["ProductionVariants"]
    if any("ServerlessConfig" in variant for variant in variants):
        if settings.network:
            raise SettingsError(
                f"A serverless endpoint is declared, and {_named(settings)} has a network: SageMaker puts no serverless "
                "endpoint into one.",
                "Declare an Endpoint on instances for this environment in deploy.py.",
            )
    else:
        added |= _volume_key(settings, variants[0]["InstanceType"], "KmsKeyId")
    if capture := request.get("DataCaptureConfig"):
        added["DataCaptureConfig"] = capture | _object_key(settings, capture["DestinationS3Uri"])
    if asynchronous := request.get("AsyncInferenceConfig"):
        output = asynchronous["OutputConfig"]
        added["AsyncInferenceConfig"] = asynchronous | {
            "OutputConfig": output | _object_key(settings, output["S3OutputPath"])
        }
    return _with(request, added)


def _with(request: Request, added: Mapping[str, Any]) -> Request:
    return cast("Request", {**request, **added})


def _volume_key(settings: Settings, instance_type: str, member: str) -> dict[str, str]:
    if not settings.kms_key or _LOCAL_DISKS.match(instance_type):
        return {}
    return {member: settings.kms_key}


def _object_key(settings: Settings, uri: str) -> dict[str, str]:
    key = settings.key_of(uri.removeprefix("s3://").partition("/")[0]) if uri else ""
    return {"KmsKeyId": key} if key else {}


def _placed(network: Network | None) -> dict[str, Any]:
    if network is None:
        return {}
    placed: dict[str, Any] = {"EnableNetworkIsolation": True} if network.isolated else {}
    if network.subnets:
        placed["VpcConfig"] = {"Subnets": list(network.subnets), "SecurityGroupIds": list(network.security_groups)}
    return placed


def _require_reachable(network: Network | None, what: str) -> None:
    if network and network.isolated:
        raise SettingsError(
            f"The network of this environment is isolated, and this is {what} from S3.",
            "Set `isolated` of the Terraform variable `network` to false, and keep the subnets: a VPC without a way out and "
            "with an endpoint for S3 holds the code in as well.",
        )


def _named(settings: Settings) -> str:
    return f"the environment {settings.environment}" if settings.environment else "this environment"
