"""SageMaker's built-in XGBoost, as a model folder declares it, and the training job that follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from common.errors import UsageError
from common.evaluation.gate import Gate
from common.model import Model
from common.protection import protected_training
from common.settings import Settings
from common.training.tuning import Spot, Tuning, check_static, objective_of

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import CreateTrainingJobRequestTypeDef


@dataclass(frozen=True)
class XGBoost:
    """How a model is trained: by SageMaker's built-in XGBoost, and what it must achieve.

    Attributes:
        instance_type: of the training instance, e.g. `ml.m5.large`.
        hyperparameters: as the built-in algorithm names them; `num_round` and `objective` are needed.
        gate: what the trained model must achieve to ask for approval.
        tuning: searches hyperparameters with a tuning job; without it, one training job has those that are given.
        spot: trains on spare capacity.
        threshold: of a classification: the probability from which on the label is positive, or `f1` for the one with the
            best F1 on the validation rows.
        max_run_seconds: SageMaker stops a training job that trains for longer.
        volume_gb: disk of the training instance.

    Raises:
        UsageError: parts of the declaration contradict each other.
    """

    instance_type: str
    hyperparameters: Mapping[str, str | int | float]
    gate: Gate
    tuning: Tuning | None = None
    spot: Spot | None = None
    threshold: float | Literal["f1"] = 0.5
    max_run_seconds: int = 3600
    volume_gb: int = 5

    def __post_init__(self) -> None:
        if self.tuning:
            check_static(self.tuning, self.hyperparameters.keys())
            objective_of(self.gate.metric)
        if self.spot and self.spot.max_wait_seconds < self.max_run_seconds:
            raise UsageError(
                f"A spot job that may wait and train for {self.spot.max_wait_seconds} s cannot train for "
                f"{self.max_run_seconds} s.",
                "Declare Spot(max_wait_seconds=…) of at least max_run_seconds.",
            )
        self._check_threshold()

    def _check_threshold(self) -> None:
        if not (self.threshold == "f1" if isinstance(self.threshold, str) else 0 < self.threshold < 1):
            raise UsageError(f"{self.threshold} is no threshold.", 'Give a probability between 0 and 1, or "f1".')
        if self.threshold != 0.5 and not str(self.hyperparameters.get("objective")).startswith("binary:"):
            raise UsageError(
                "Only a classification has a threshold.", "Leave it out, or declare an objective binary:… ."
            )


def training_request(
    model: Model, training: XGBoost, settings: Settings, *, image: str, channels: Mapping[str, str], output: str
) -> CreateTrainingJobRequestTypeDef:
    """The request of the training job; the caller gives it its name.

    Args:
        channels: S3 prefix of each channel (`train`, `validation`): CSV without a header, label first.
        output: S3 prefix that the job writes `<job>/output/model.tar.gz` below, and a spot job `checkpoints/<job>/…`.
    """
    request: CreateTrainingJobRequestTypeDef = {
        "TrainingJobName": "",
        "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
        "RoleArn": settings.role_of_jobs(model.name),
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
    if training.spot:
        request["EnableManagedSpotTraining"] = True
        request["StoppingCondition"]["MaxWaitTimeInSeconds"] = training.spot.max_wait_seconds
        request["CheckpointConfig"] = {"S3Uri": f"{output}/checkpoints"}
    return protected_training(request, settings)
