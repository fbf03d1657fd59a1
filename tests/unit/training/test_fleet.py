"""A fleet's declaration, and the requests that follow from it."""

from __future__ import annotations

from typing import Any

import pytest

from common.aws import Aws
from common.errors import UsageError
from common.evaluation.fleet_gate import FleetGate
from common.forecasting.checks import Limits
from common.forecasting.structural import Structural
from common.settings import Settings
from common.storage import Bucket
from common.training.fleet import Fleet
from common.training.fleet_job import Origin, fit_request, split_request
from common.training.processing import Cluster
from common.training.tuning import Spot
from energy_model import MODEL

SETTINGS = Settings("eu-west-1", "models", "arn:aws:iam::123456789012:role/SageMaker")
CODE = f"s3://models/energy/code/{'0' * 64}.tar.gz"
ORIGIN = Origin(MODEL, "0123456789abcdef", "fedcba9876543210", Bucket(Aws(SETTINGS)), CODE)
GATE = FleetGate(at_most_mase=1.0)


def fleet(**declared: Any) -> Fleet:
    members: dict[str, Any] = {
        "forecaster": Structural(),
        "instance_type": "ml.c5.xlarge",
        "instance_count": 10,
        "gate": GATE,
    } | declared
    return Fleet(**members)


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"instance_count": 0}, "cannot train on 0 instances"),
        ({"holdout_days": 0}, "holdout of 0 days"),
        ({"holdout_days": 400}, "holdout of 400 days"),
        ({"tolerance": 1}, "1 is no share of customers"),
        ({"tolerance": -0.1}, "-0.1 is no share of customers"),
        ({"spot": Spot(max_wait_seconds=60)}, "may wait and train for 60 s cannot train for 3600 s"),
    ],
)
def test_a_declaration_that_cannot_be_is_refused(declared: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        fleet(**declared)
    assert refused.value.remedy


def test_more_instances_change_nothing_else_of_the_job() -> None:
    ten, hundred = (fit_request(ORIGIN, fleet(instance_count=count), "", SETTINGS) for count in (10, 100))
    assert (ten["ResourceConfig"].pop("InstanceCount"), hundred["ResourceConfig"].pop("InstanceCount")) == (10, 100)
    assert ten == hundred


def test_the_fit_reads_its_share_of_the_customers_and_all_of_the_champion() -> None:
    request = fit_request(ORIGIN, fleet(), "s3://models/energy/fleets/old/parts/", SETTINGS)
    channels = {channel["ChannelName"]: channel["DataSource"]["S3DataSource"] for channel in request["InputDataConfig"]}
    assert channels == {
        "customers": {
            "S3DataType": "S3Prefix",
            "S3Uri": "s3://models/energy/data/fedcba9876543210/customers/0123456789abcdef/",
            "S3DataDistributionType": "ShardedByS3Key",
        },
        "champion": {
            "S3DataType": "S3Prefix",
            "S3Uri": "s3://models/energy/fleets/old/parts/",
            "S3DataDistributionType": "FullyReplicated",
        },
    }
    assert request["CheckpointConfig"] == {"S3Uri": "s3://models/energy/fleets/0123456789abcdef-fedcba9876543210"}
    assert request["HyperParameters"] == {
        "sagemaker_program": '"fit.py"',
        "sagemaker_submit_directory": f'"{CODE}"',
        "sagemaker_region": '"eu-west-1"',
        "holdout_days": "28",
    }
    assert len(fit_request(ORIGIN, fleet(), "", SETTINGS)["InputDataConfig"]) == 1


def test_a_spot_job_may_wait() -> None:
    request = fit_request(ORIGIN, fleet(spot=Spot(max_wait_seconds=7200)), "", SETTINGS)
    assert request["EnableManagedSpotTraining"] is True
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200}
    assert "EnableManagedSpotTraining" not in fit_request(ORIGIN, fleet(), "", SETTINGS)


def test_the_split_is_told_the_limits_that_there_are() -> None:
    limits = Limits(at_least=-5, at_most=1000, ceiling=20_454, least_rows=20)
    request = split_request(ORIGIN, fleet(split=Cluster("ml.m5.large", 4)), limits, SETTINGS)
    assert request["AppSpecification"]["ContainerArguments"] == [
        "--input=/opt/ml/processing/input/raw",
        "--customers=/opt/ml/processing/output/customers",
        "--index=/opt/ml/processing/output/index",
        "--least-rows=20",
        "--at-least=-5",
        "--at-most=1000",
        "--ceiling=2026-01-01",
    ]
    assert request["ProcessingResources"]["ClusterConfig"]["InstanceCount"] == 4
    raw = request["ProcessingInputs"][1]["S3Input"]
    assert raw["S3Uri"] == "s3://models/energy/data/fedcba9876543210/raw/"
    assert raw["S3DataDistributionType"] == "ShardedByS3Key"
    unlimited = split_request(ORIGIN, fleet(), Limits(), SETTINGS)["AppSpecification"]["ContainerArguments"]
    assert list(unlimited)[3:] == ["--least-rows=14"]


def test_the_names_of_the_jobs_follow_from_what_is_trained_and_fit_sagemakers_limit() -> None:
    assert ORIGIN.job == "energy-0123456789ab-fedcba98"
    assert ORIGIN.split_job == "energy-split-0123456789ab-fedcba98"
    assert len(ORIGIN.split_job) - len("energy") + 24 <= 60  # the longest model's, with room for an attempt's number
