"""The jobs of a fleet: one checks the readings and splits them by customer, one fits the models."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, cast

from common.aws import Aws
from common.errors import TrainingError
from common.forecasting.checks import Limits
from common.forecasting.fit import METRICS
from common.model import Model
from common.protection import protected_training
from common.settings import Settings
from common.storage import Bucket, Layout
from common.training.code import FIT, SPLIT, code_archive, digest_of, stored, verified
from common.training.fleet import Fleet
from common.training.image import image_uri
from common.training.job import Say, run_training_job
from common.training.processing import Input, Output, Script, processing_request, run_processing_job

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import (
        ChannelTypeDef,
        CreateProcessingJobRequestTypeDef,
        CreateTrainingJobRequestTypeDef,
        DescribeProcessingJobResponseTypeDef,
        DescribeTrainingJobResponseTypeDef,
    )

_RAW, _CODE = "/opt/ml/processing/input/raw", "/opt/ml/processing/code"
_CUSTOMERS, _INDEX = "/opt/ml/processing/output/customers", "/opt/ml/processing/output/index"


@dataclass(frozen=True)
class Origin:
    """What a fleet is made from, which names its jobs and says where everything lies.

    Attributes:
        code: URI of the code archive.
    """

    model: Model
    source: str
    data_version: str
    bucket: Bucket
    code: str

    @property
    def job(self) -> str:
        """The training job's name; a later attempt has a number after it."""
        return f"{self.model.name}-{self.source[:12]}-{self.data_version[:8]}"

    @property
    def split_job(self) -> str:
        return f"{self.model.name}-split-{self.source[:12]}-{self.data_version[:8]}"

    @property
    def raw(self) -> str:
        """The prefix of the raw parts."""
        return self.bucket.uri(self._layout.data(self.data_version, "raw/"))

    @property
    def customers(self) -> str:
        """The prefix of the parts of clean readings."""
        return self.bucket.uri(self._layout.customers(self.data_version, self.source, ""))

    @property
    def index(self) -> str:
        return self.bucket.uri(self._layout.index(self.data_version, self.source, ""))

    @property
    def fleet(self) -> str:
        """The prefix of `models/` and `parts/`."""
        return self.bucket.uri(self._layout.fleet(self.source, self.data_version, ""))

    @property
    def output(self) -> str:
        return self.bucket.uri(self._layout.training())

    @property
    def _layout(self) -> Layout:
        return Layout(self.model.name)


@dataclass(frozen=True)
class FleetJobs:
    """The completed jobs of a fleet, and the code that ran in them, by URI and SHA-256."""

    split: DescribeProcessingJobResponseTypeDef
    fit: DescribeTrainingJobResponseTypeDef
    code: str
    code_digest: str


def train_fleet_jobs(
    aws: Aws,
    model: Model,
    fleet: Fleet,
    *,
    source: str,
    data_version: str,
    limits: Limits,
    champion: str = "",
    say: Say,
) -> FleetJobs:
    """Check and split the readings, then fit the models; each job is joined where it is under way or done.

    A fit that failed or was stopped is started again under another name, and goes on with what is not fitted yet.

    Args:
        limits: what the readings are held against.
        champion: prefix of the results (`parts/`) of the fleet that serves now, in S3; empty where there is none.

    Raises:
        TrainingError: a job failed or was stopped, with SageMaker's reason, or its request was refused; or it has run other
            code.
        ArtifactError: the code archive in S3 has been exchanged.
    """
    bucket = Bucket(aws)
    code = stored(bucket, Layout(model.name).code, code_archive(fleet.forecaster))
    origin = Origin(model, source, data_version, bucket, code)
    split = run_split(aws, origin, fleet, limits, say)
    fit = run_fit(aws, origin, fleet, champion, say)
    _require_same_code(origin, split, fit)
    return FleetJobs(split, fit, code, digest_of(code))


def _require_same_code(
    origin: Origin, split: DescribeProcessingJobResponseTypeDef, fit: DescribeTrainingJobResponseTypeDef
) -> None:
    """Refuse jobs that were found under their names, and have run another code than this commit's."""
    [given] = [each["S3Input"]["S3Uri"] for each in split["ProcessingInputs"] if each["InputName"] == "code"]
    ran = {
        split["ProcessingJobName"]: given,
        fit["TrainingJobName"]: json.loads(fit["HyperParameters"]["sagemaker_submit_directory"]),
    }
    for job, code in ran.items():
        if code != origin.code:
            raise TrainingError(
                f"Job {job} has run other code than this commit's: {code} instead of {origin.code}.",
                "Find out who started it under this name. Change something in the model's folder: another source has other jobs.",
            )


def run_split(aws: Aws, origin: Origin, fleet: Fleet, limits: Limits, say: Say) -> DescribeProcessingJobResponseTypeDef:
    """The completed processing job; the code archive lies in S3 already."""
    return run_processing_job(aws, origin.split_job, lambda: split_request(origin, fleet, limits, aws.settings), say)


def run_fit(aws: Aws, origin: Origin, fleet: Fleet, champion: str, say: Say) -> DescribeTrainingJobResponseTypeDef:
    """The completed training job; the code archive and the split readings lie in S3 already."""

    def request() -> CreateTrainingJobRequestTypeDef:
        verified(origin.bucket, origin.code)
        return fit_request(origin, fleet, champion, aws.settings)

    return run_training_job(aws, origin.job, request, say, resumes=True)


def split_request(
    origin: Origin, fleet: Fleet, limits: Limits, settings: Settings
) -> CreateProcessingJobRequestTypeDef:
    """The request of the processing job."""
    arguments = [
        f"--input={_RAW}",
        f"--customers={_CUSTOMERS}",
        f"--index={_INDEX}",
        f"--least-rows={limits.least_rows}",
    ]
    bounds = {"at-least": limits.at_least, "at-most": limits.at_most}
    arguments += [f"--{name}={bound!r}" for name, bound in bounds.items() if math.isfinite(bound)]
    if math.isfinite(limits.ceiling):
        arguments.append(f"--ceiling={date(1970, 1, 1) + timedelta(days=limits.ceiling)}")
    return processing_request(
        origin.model,
        settings,
        image=image_uri(settings.region, "sklearn"),
        script=Script(origin.code, SPLIT, arguments),
        inputs=[Input("raw", origin.raw, _RAW, sharded=True)],
        outputs=[Output("customers", _CUSTOMERS, origin.customers), Output("index", _INDEX, origin.index)],
        cluster=fleet.split,
    )


def fit_request(origin: Origin, fleet: Fleet, champion: str, settings: Settings) -> CreateTrainingJobRequestTypeDef:
    """The request of the training job. All attempts have the same checkpoints, which are the fleet itself."""
    hyperparameters = {
        "sagemaker_program": FIT,
        "sagemaker_submit_directory": origin.code,
        "sagemaker_region": settings.region,
        "holdout_days": fleet.holdout_days,
    }
    channels = [_channel("customers", origin.customers, "ShardedByS3Key")]
    if champion:
        channels.append(_channel("champion", champion, "FullyReplicated"))
    request: CreateTrainingJobRequestTypeDef = {
        "TrainingJobName": "",
        "AlgorithmSpecification": {
            "TrainingImage": image_uri(settings.region, "sklearn"),
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": name, "Regex": rf"fleet-{said}=(\S+)"} for name, said in METRICS.items()],
        },
        "RoleArn": settings.role_of_jobs(origin.model.name),
        "HyperParameters": {name: json.dumps(value) for name, value in hyperparameters.items()},
        "InputDataConfig": channels,
        "OutputDataConfig": {"S3OutputPath": origin.output},
        "CheckpointConfig": {"S3Uri": origin.fleet.rstrip("/")},
        "ResourceConfig": {
            "InstanceType": cast("Any", fleet.instance_type),  # AWS knows more types than the stubs do
            "InstanceCount": fleet.instance_count,
            "VolumeSizeInGB": fleet.volume_gb,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": fleet.max_run_seconds},
        "Tags": [{"Key": "model", "Value": origin.model.name}],
    }
    if fleet.spot:
        request["EnableManagedSpotTraining"] = True
        request["StoppingCondition"]["MaxWaitTimeInSeconds"] = fleet.spot.max_wait_seconds
    return protected_training(request, settings)


def _channel(name: str, uri: str, distribution: Any) -> ChannelTypeDef:
    source: Any = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": distribution}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}
