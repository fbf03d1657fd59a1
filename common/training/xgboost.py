"""SageMaker's built-in XGBoost, as a model folder declares it, and the training job that follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from common.evaluation.gate import Gate
from common.model import Model
from common.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import CreateTrainingJobRequestTypeDef

IMAGE_VERSION = "3.2-0"
"""Of the built-in image; its xgboost is the version that requirements.txt pins for evaluation."""


@dataclass(frozen=True)
class XGBoost:
    """How a model is trained: by SageMaker's built-in XGBoost, and what it must achieve.

    Attributes:
        instance_type: of the training instance, e.g. `ml.m5.large`.
        hyperparameters: as the built-in algorithm names them; `num_round` and `objective` are needed.
        gate: what the trained model must achieve to ask for approval.
        max_run_seconds: SageMaker stops a job that trains for longer.
        volume_gb: disk of the training instance.
    """

    instance_type: str
    hyperparameters: Mapping[str, str | int | float]
    gate: Gate
    max_run_seconds: int = 3600
    volume_gb: int = 5


def image_uri(region: str) -> str:
    """The built-in algorithm's image in a region, from the SDK's own tables."""
    # The SDK's core takes more than a second to import; only starting a job needs it.
    from sagemaker.core import image_uris

    return str(image_uris.retrieve("xgboost", region, version=IMAGE_VERSION))


def training_request(
    model: Model, training: XGBoost, settings: Settings, *, image: str, channels: Mapping[str, str], output: str
) -> CreateTrainingJobRequestTypeDef:
    """The request of the training job; the caller gives it its name.

    Args:
        channels: S3 prefix of each channel (`train`, `validation`): CSV without a header, label first.
        output: S3 prefix that the job writes `<job>/output/model.tar.gz` below.
    """
    return {
        "TrainingJobName": "",
        "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
        "RoleArn": settings.execution_role,
        "HyperParameters": {name: str(value) for name, value in training.hyperparameters.items()},
        "InputDataConfig": [
            {
                "ChannelName": name,
                "ContentType": "text/csv",
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": uri,
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
            }
            for name, uri in channels.items()
        ],
        "OutputDataConfig": {"S3OutputPath": output},
        "ResourceConfig": {
            "InstanceType": cast("Any", training.instance_type),  # AWS knows more types than the stubs do
            "InstanceCount": 1,
            "VolumeSizeInGB": training.volume_gb,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": training.max_run_seconds},
        "Tags": [{"Key": "model", "Value": model.name}],
    }
