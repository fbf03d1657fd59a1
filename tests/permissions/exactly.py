"""Who of all roles of four accounts can do one thing: exactly these, where the table of `cases` says it of some."""

from collections.abc import Iterable
from typing import Final

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
    Given,
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
NOBODY: tuple[str, ...] = ()
DIRECTLY: Given = {}
FOR_AWS, FOR_ITSELF = {"kms:GrantIsForAWSResource": "true"}, {"kms:GrantIsForAWSResource": "false"}

EXACTLY: Final[tuple[tuple[str, str, Given, Iterable[str]], ...]] = (
    # (action, resource, what the request says besides, who)
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
