"""Of all roles of the four accounts, exactly these can: what the table says of some, this says of everyone."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from tests.permissions import requests
from tests.permissions.applied import ADMINISTRATOR, Applied
from tests.permissions.table import (
    APPROVED,
    ARTIFACT,
    BY_S3,
    CAPTURE,
    DATA,
    OF_SAGEMAKER,
    OWN,
    PACKAGE,
    PENDING,
    REJECTED,
    TO_LAMBDA,
    TO_SAGEMAKER,
    WITHOUT_TLS,
    Actor,
    Given,
    Row,
)

# fmt: off
TRAIN, JOBS, OPERATIONS_JOBS = "train-abalone@dev", "jobs-abalone@dev", ("jobs-abalone@staging", "jobs-abalone@production")
ENDPOINTS = ("endpoint-abalone@staging", "endpoint-abalone@production")
DEPLOYS, OPERATES = ("deploy@staging", "deploy@production"), ("operate@staging", "operate@production")
ON_CALL = "on-call@production"
WATCH = ("operate@production", "jobs-abalone@production", ON_CALL)
MODELS = ("abalone", "churn", "energy")
GENERATION = "s3@production:prices/generations/7/abalone.tar.gz"
LIVE = ("deploy@production", ON_CALL)
NOBODY = ()
DIRECTLY: Given = {}
FOR_AWS, FOR_ITSELF = {"kms:GrantIsForAWSResource": "true"}, {"kms:GrantIsForAWSResource": "false"}

CAN: tuple[tuple[str, str, Given, Iterable[str]], ...] = (
    # the registry
    ("sagemaker:UpdateModelPackage", PACKAGE, APPROVED, ["approve@registry"]),
    ("sagemaker:UpdateModelPackage", PACKAGE, REJECTED, ["approve@registry", TRAIN]),
    ("sagemaker:UpdateModelPackage", PACKAGE, PENDING, NOBODY),
    ("sagemaker:UpdateModelPackage", PACKAGE, {}, DEPLOYS),
    ("sagemaker:CreateModelPackage", PACKAGE, APPROVED, NOBODY),
    ("sagemaker:CreateModelPackage", PACKAGE, {}, NOBODY),
    ("sagemaker:CreateModelPackage", PACKAGE, PENDING, [TRAIN]),
    ("sagemaker:DeleteModelPackage", PACKAGE, {}, NOBODY),
    ("sagemaker:DescribeModelPackage", PACKAGE, {}, ["approve@registry", TRAIN, *DEPLOYS, *OPERATES]),
    ("sagemaker:PutModelPackageGroupPolicy", "model-package-group@registry:abalone", {}, NOBODY),
    ("sagemaker:DeleteModelPackageGroup", "model-package-group@registry:abalone", {}, NOBODY),
    # what is registered
    ("s3:GetObject", ARTIFACT, {}, ["approve@registry", TRAIN, JOBS, *OPERATIONS_JOBS, *ENDPOINTS, *DEPLOYS, *OPERATES, ON_CALL]),
    ("s3:PutObject", ARTIFACT, {}, [TRAIN]),
    ("s3:DeleteObject", ARTIFACT, {}, NOBODY),
    ("s3:GetObject", DATA, {}, [TRAIN, JOBS, *OPERATIONS_JOBS, *OPERATES, ON_CALL]),
    ("s3:PutObject", DATA, {}, [TRAIN, JOBS]),
    ("s3:PutObject", "s3@registry:abalone/fleets/ab12-v1/models/7.tar.gz", {}, [TRAIN, JOBS, ON_CALL]),
    ("s3:ListBucket", "bucket@registry", OWN, [TRAIN, JOBS, *OPERATIONS_JOBS, *OPERATES, ON_CALL]),
    ("s3:ListBucket", "bucket@registry", {}, [ON_CALL]),
    # each environment's own
    ("s3:GetObject", "s3@dev:abalone/training/job/output/model.tar.gz", {}, [TRAIN, JOBS]),
    ("s3:PutObject", "s3@dev:abalone/training/job/output/model.tar.gz", {}, [TRAIN, JOBS]),
    ("s3:GetObject", CAPTURE, {}, WATCH),
    ("s3:PutObject", CAPTURE, {}, ["endpoint-abalone@production"]),
    ("s3:PutObject", "s3@production:abalone/monitoring/1/findings.json", {}, WATCH),
    ("s3:PutObject", GENERATION, {}, LIVE),
    ("s3:GetObject", GENERATION, {}, ["endpoint-prices@production", "operate@production", *LIVE]),
    ("s3:DeleteObject", CAPTURE, {}, NOBODY),
    ("s3:ListBucket", "bucket@production", {"s3:prefix": "abalone/capture/"},
        [*WATCH, "endpoint-abalone@production"]),
    ("s3:ListBucket", "bucket@production", {}, [ON_CALL]),
    # what serves
    ("sagemaker:CreateModel", "model@production:abalone-model-1", {}, LIVE),
    ("sagemaker:CreateModel", "model@production:abalone-batch-1", {}, ["operate@production", *LIVE]),
    ("sagemaker:CreateModel", "model@production:others-model-1", {}, [ON_CALL]),
    ("sagemaker:CreateEndpointConfig", "endpoint-config@production:abalone-model-1-ab12", {}, LIVE),
    ("sagemaker:CreateEndpoint", "endpoint@production:abalone", {}, LIVE),
    ("sagemaker:UpdateEndpoint", "endpoint@production:abalone", {}, LIVE),
    ("sagemaker:UpdateEndpoint", "endpoint@production:others", {}, [ON_CALL]),
    ("sagemaker:UpdateEndpoint", "endpoint@staging:abalone", {}, ["deploy@staging"]),
    ("sagemaker:DeleteEndpoint", "endpoint@production:abalone", {}, LIVE),
    ("sagemaker:InvokeEndpoint", "endpoint@production:abalone", {}, LIVE),
    ("cloudwatch:DeleteAlarms", "alarm@production:abalone-errors", {}, LIVE),
    ("cloudwatch:DeleteAlarms", "alarm@production:others", {}, [ON_CALL]),
    ("application-autoscaling:DeregisterScalableTarget", "scalable-target@production:1", OF_SAGEMAKER, LIVE),
    ("application-autoscaling:DeregisterScalableTarget", "scalable-target@production:1", {}, NOBODY),
    # jobs
    ("sagemaker:CreateTrainingJob", "training-job@dev:abalone-x", {}, [TRAIN]),
    ("sagemaker:CreateTrainingJob", "training-job@production:abalone-x", {}, NOBODY),
    ("sagemaker:CreateHyperParameterTuningJob", "hyper-parameter-tuning-job@dev:abalone-x", {}, [TRAIN]),
    ("sagemaker:CreateProcessingJob", "processing-job@dev:abalone-x", {}, [TRAIN]),
    ("sagemaker:CreateProcessingJob", "processing-job@production:abalone-x", {}, ["operate@production", ON_CALL]),
    ("sagemaker:CreateTransformJob", "transform-job@production:abalone-x", {}, ["operate@production", ON_CALL]),
    ("iam:PassRole", "role@dev:models-jobs-abalone", TO_SAGEMAKER, [TRAIN]),
    ("iam:PassRole", "role@production:models-jobs-abalone", TO_SAGEMAKER, ["operate@production", ON_CALL]),
    ("iam:PassRole", "role@production:models-endpoint-abalone", TO_SAGEMAKER, LIVE),
    ("iam:PassRole", "role@staging:models-endpoint-abalone", TO_SAGEMAKER, ["deploy@staging"]),
    *(("iam:PassRole", f"role@{role}", TO_SAGEMAKER, NOBODY) for role in (
        "dev:models-train-abalone", "dev:administrator", "registry:models-approve", "production:models-deploy",
        "production:administrator")),
    *(("iam:PassRole", f"role@{role}", TO_LAMBDA, NOBODY) for role in
        ("dev:models-jobs-abalone", "production:models-jobs-abalone", "production:models-endpoint-abalone")),
    # keys
    ("kms:Decrypt", "key@registry", DIRECTLY, NOBODY),
    ("kms:Decrypt", "key@dev", DIRECTLY, [f"jobs-{model}@dev" for model in MODELS]),
    ("kms:Decrypt", "key@dev", BY_S3, [f"{role}-{model}@dev" for role in ("jobs", "train") for model in MODELS]),
    ("kms:CreateGrant", "key@registry", FOR_AWS, NOBODY),
    ("kms:CreateGrant", "key@dev", FOR_ITSELF, NOBODY),
    # what else there is
    ("secretsmanager:GetSecretValue", "secret@dev:payroll", {}, NOBODY),
    ("secretsmanager:GetSecretValue", "secret@production:warehouse", {}, NOBODY),
    ("sns:Publish", "topic@registry", {}, ["approve@registry"]),
    ("sns:Publish", "topic@production", {}, ["deploy@production", "operate@production", ON_CALL]),
    ("sts:AssumeRole", "role@production:models-deploy", {}, NOBODY),
    ("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "Others"}, NOBODY),
)
# fmt: on
GROWING = (
    ("iam:CreateRole", "role@{}:another"),
    ("iam:PutRolePolicy", "role@{}:models-deploy"),
    ("iam:AttachRolePolicy", "role@{}:models-deploy"),
    ("iam:UpdateAssumeRolePolicy", "role@{}:models-deploy"),
    ("sts:AssumeRole", "role@{}:administrator"),
    ("kms:PutKeyPolicy", "key@{}"),
    ("kms:ScheduleKeyDeletion", "key@{}"),
    ("kms:DisableKey", "key@{}"),
    ("s3:PutBucketPolicy", "bucket@{}"),
    ("s3:PutBucketVersioning", "bucket@{}"),
    ("s3:PutEncryptionConfiguration", "bucket@{}"),
    ("s3:PutLifecycleConfiguration", "bucket@{}"),
    ("s3:DeleteBucket", "bucket@{}"),
    ("s3:DeleteObjectVersion", "s3@{}:abalone/packages/ab12-v1/model.tar.gz"),
    ("sagemaker:DeleteModelPackage", "model-package@{}:abalone/1"),
    ("sagemaker:PutModelPackageGroupPolicy", "model-package-group@{}:abalone"),
    ("sns:SetTopicAttributes", "topic@{}"),
)


def actors(applied: Applied) -> dict[str, Actor]:
    """All roles, by `deploy@production`."""
    accounts = {environment.account: name for name, environment in applied.environments.items()}
    return {
        f"{name.removeprefix('models-')}@{accounts[account]}": Actor(name, f"role@{accounts[account]}:{name}")
        for arn in applied.roles
        for account, name in [(arn.split(":")[4], arn.rpartition("/")[2])]
    }


@pytest.mark.parametrize(("action", "on", "given", "expected"), CAN, ids=[f"{row[0]} {row[1]}" for row in CAN])
def test_exactly_these_can(action: str, on: str, given: Given, expected: Iterable[str], four_accounts: Applied) -> None:
    row = Row(True, action, on, "", given)
    can = {name for name, actor in actors(four_accounts).items() if requests.decide(four_accounts.request(actor, row))}
    assert can == set(expected)


@pytest.mark.parametrize(("action", "on"), GROWING)
def test_no_role_of_circleci_or_of_people_grows_even_with_the_rights_of_an_administrator(
    action: str, on: str, applied: Applied
) -> None:
    kinds = ("train-", "approve", "deploy", "operate", "on-call")
    can = set()
    for name, actor in actors(applied).items():
        request = applied.request(actor, Row(True, action, on.format(name.partition("@")[2]), ""))
        if name.startswith(kinds) and requests.decide(replace(request, identity=(*request.identity, ADMINISTRATOR))):
            can.add(name)
    assert can == set()


@pytest.mark.parametrize(
    ("action", "on"),
    [
        ("s3:GetObject", ARTIFACT),
        ("s3:PutObject", CAPTURE),
        ("s3:ListBucket", "bucket@dev"),
        ("sns:Publish", "topic@dev"),
    ],
)
def test_nobody_can_without_tls(action: str, on: str, four_accounts: Applied) -> None:
    asked = [
        four_accounts.request(actor, Row(True, action, on, "", WITHOUT_TLS)) for actor in actors(four_accounts).values()
    ]
    everything = [replace(request, identity=(ADMINISTRATOR,)) for request in asked]
    assert not any(requests.decide(request) for request in (*asked, *everything))


FOLDERS = ("data", "sources", "code", "packages", "fleets", "attempts", "training", "gathering", "capture", "truth", "monitoring",
           "batch/input", "batch/output", "batch/work", "async/input", "async/output", "generations")  # fmt: skip


@pytest.mark.parametrize("environment", ["dev", "registry", "staging", "production"])
def test_a_role_of_one_model_reaches_nothing_of_another(environment: str, four_accounts: Applied) -> None:
    reached = [
        f"{name} {request.action} {request.resource}"
        for name, actor in actors(four_accounts).items()
        if name.partition("@")[0].endswith("-abalone")
        for folder in FOLDERS
        for other in ("churn", "abalone2", "abalon", "prices")
        for row in (
            Row(True, "s3:GetObject", f"s3@{environment}:{other}/{folder}/x/file", ""),
            Row(True, "s3:PutObject", f"s3@{environment}:{other}/{folder}/x/file", ""),
            Row(True, "s3:DeleteObject", f"s3@{environment}:{other}/{folder}/x/file", ""),
            Row(True, "s3:ListBucket", f"bucket@{environment}", "", {"s3:prefix": f"{other}/{folder}/"}),
        )
        for request in [four_accounts.request(actor, row)]
        if requests.decide(request)
    ]
    assert reached == []
