"""The container contract from the platform's side: the files and the environment that each host of a job finds."""

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.local.container_environment import container_environment
from common.local.containers import program
from common.local.context import LocalAws


def host_names(instances: int) -> list[str]:
    """`algo-1`, `algo-2`, … in the order in which the containers sort them."""
    return sorted(f"algo-{number}" for number in range(1, instances + 1))


def resource_config(host: str, resources: Mapping[str, Any]) -> dict[str, Any]:
    """`resourceconfig.json` of a host: who it is, and who is beside it."""
    hosts, instance = host_names(resources["InstanceCount"]), resources["InstanceType"]
    group = {"instance_group_name": "homogeneousCluster", "instance_type": instance, "hosts": hosts}
    return {
        "current_host": host,
        "hosts": hosts,
        "network_interface_name": "lo",
        "current_instance_type": instance,
        "current_group_name": group["instance_group_name"],
        "instance_groups": [group],
    }


def checkpoint_folder(request: Mapping[str, Any], base: Path) -> Path:
    """Where the container keeps its checkpoints; `/opt/ml` is the host's base folder."""
    local = request.get("CheckpointConfig", {}).get("LocalPath", "/opt/ml/checkpoints")
    return base / str(local).removeprefix("/opt/ml").strip("/")


def is_built_in(request: Mapping[str, Any]) -> bool:
    """Whether the image's own algorithm trains, rather than a script that the job brings.

    Raises:
        UnknownImage: no program plays the image.
    """
    given = (*request.get("HyperParameters", ()), *request.get("Environment", ()))
    is_script = "sagemaker_program" in given or "SAGEMAKER_PROGRAM" in given
    return program(request["AlgorithmSpecification"]["TrainingImage"]).name == "sagemaker-xgboost" and not is_script


def write_config(request: Mapping[str, Any], host: str, base: Path) -> None:
    """Write `input/config` and the folders that a container may expect."""
    config, output = base / "input" / "config", base / "output"
    for folder in (
        config,
        base / "input" / "data",
        base / "code",
        base / "model",
        output / "data",
        output / "intermediate",
    ):
        folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, Any] = {
        "hyperparameters": request.get("HyperParameters", {}),
        "inputdataconfig": {channel["ChannelName"]: _channel(channel, request) for channel in channels(request)},
        "resourceconfig": resource_config(host, request["ResourceConfig"]),
    }
    if "CheckpointConfig" in request:
        checkpoint = {"S3Uri": request["CheckpointConfig"]["S3Uri"], "LocalPath": str(checkpoint_folder(request, base))}
        files["checkpointconfig"] = checkpoint
    for name, content in files.items():
        (config / f"{name}.json").write_text(json.dumps(content))


def channels(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = request.get("InputDataConfig", [])
    return found


def environment(aws: LocalAws, request: Mapping[str, Any], arn: str, base: Path) -> dict[str, str]:
    """The environment of a training job's host: the job's own, and its name."""
    given = request.get("Environment", {}) | {"TRAINING_JOB_NAME": request["TrainingJobName"], "TRAINING_JOB_ARN": arn}
    instances, isolated = request["ResourceConfig"]["InstanceCount"], request.get("EnableNetworkIsolation", False)
    return host_environment(aws, arn, request["RoleArn"], base, instances, given, isolated=isolated)


def host_environment(
    aws: LocalAws, arn: str, role: str, base: Path, instances: int, given: Mapping[str, str], *, isolated: bool
) -> dict[str, str]:
    """The environment of one of a job's hosts, which has its share of the processors."""
    threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // instances))}
    return container_environment(aws, arn.split(":")[3], role, base, threads | dict(given), isolated=isolated)


def meeting_place() -> dict[str, str]:
    """Where several hosts find the first one: a port of 127.0.0.1 that is free, and so is the next."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


def _channel(channel: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, str]:
    source = channel["DataSource"]["S3DataSource"]
    described = {
        "TrainingInputMode": channel.get("InputMode", request["AlgorithmSpecification"]["TrainingInputMode"]),
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
        "RecordWrapperType": channel.get("RecordWrapperType", "None"),
    }
    return described | ({"ContentType": channel["ContentType"]} if "ContentType" in channel else {})
