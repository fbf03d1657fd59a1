"""What each host of a processing job finds: its files, its paths on this machine, and the command to run."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.local.jobs.contract import resource_config

_ROOT = re.compile(r"(?<![\w./-])/opt/ml(?![\w.-])")
"""`/opt/ml` where a path begins: not within `s3://bucket/opt/ml`, and not `/opt/mlflow`."""


def placed(value: Any, base: Path) -> Any:
    """A part of the request with every path below `/opt/ml` as it is on this machine, below the host's base folder."""
    if isinstance(value, str):
        return _ROOT.sub(lambda _: str(base), value)
    if isinstance(value, list):
        return [placed(item, base) for item in value]
    if isinstance(value, dict):
        return {name: placed(item, base) for name, item in value.items()}
    return value


def inputs(job: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [given["S3Input"] for given in job.get("ProcessingInputs", [])]


def outputs(job: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [given["S3Output"] for given in job.get("ProcessingOutputConfig", {}).get("Outputs", [])]


def message_file(base: Path) -> Path:
    """Where the program may leave the job's ExitMessage."""
    return base / "output" / "message"


def command(job: Mapping[str, Any], base: Path) -> list[str]:
    """Entrypoint and arguments."""
    specification = job["AppSpecification"]
    given = [*specification["ContainerEntrypoint"], *specification.get("ContainerArguments", [])]
    return [placed(word, base) for word in given]


def write_config(job: Mapping[str, Any], host: str, base: Path) -> None:
    """Write `/opt/ml/config`, and make the folders that exist when the entrypoint starts."""
    config = base / "config"
    for folder in (config, message_file(base).parent, *(Path(placed(out["LocalPath"], base)) for out in outputs(job))):
        folder.mkdir(parents=True, exist_ok=True)
    described = {name: placed(job.get(name), base) for name in _DESCRIBED}
    (config / "processingjobconfig.json").write_text(json.dumps(described))
    resources = resource_config(host, job["ProcessingResources"]["ClusterConfig"])
    (config / "resourceconfig.json").write_text(json.dumps(resources))


_DESCRIBED = (
    "ProcessingJobArn", "ProcessingJobName", "AppSpecification", "Environment", "ProcessingInputs",
    "ProcessingOutputConfig", "ProcessingResources", "RoleArn", "StoppingCondition",
)  # fmt: skip
"""What `processingjobconfig.json` tells; what the request lacks is null."""
