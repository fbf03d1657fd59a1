"""What the roles of the project can do and what they cannot: rows that `docs/permissions.md` shows.

They are evaluated on the applied policies. abalone and churn stand for any two models, prices for a shared endpoint.
"""

from typing import Final

from tests.permissions.table import (
    APPROVED,
    ARTIFACT,
    BY_S3,
    CAPTURE,
    CODE,
    DATA,
    OF_ECS,
    OF_SAGEMAKER,
    ONCE,
    OTHERS,
    OWN,
    PACKAGE,
    PENDING,
    REJECTED,
    TO_LAMBDA,
    TO_SAGEMAKER,
    Actor,
    can,
    cannot,
)

# fmt: off
TRAIN = Actor(
    "A build of a branch, for the model abalone (`models-train-abalone`)",
    "role@dev:models-train-abalone",
    rows=(
        can("s3:PutObject", DATA, "it gathers data"),
        can("s3:PutObject", "s3@registry:abalone/sources/ab12/data.json", "it notes which data a source gathered"),
        can("s3:PutObject", CODE, "the code that trains, where nothing is yet", ONCE),
        cannot("s3:PutObject", CODE, "code is written once, and never over other code"),
        can("s3:GetObject", ARTIFACT, "the champion is evaluated beside the challenger"),
        can("s3:PutObject", "s3@registry:abalone/packages/ab12-v1/report.html", "the report travels with the package"),
        can("s3:ListBucket", "bucket@registry", "it looks at what is there of its model", OWN),
        can("s3:GetObject", "s3@dev:abalone/training/job/output/model.tar.gz", "it evaluates what was trained"),
        can("kms:GenerateDataKey", "key@registry", "what it writes is encrypted with the bucket's key", BY_S3),
        can("kms:Decrypt", "key@registry", "and read with it", BY_S3),
        can("kms:Decrypt", "key@dev", "what was trained is encrypted with dev's key", BY_S3),
        can("sagemaker:CreateTrainingJob", "training-job@dev:abalone-ab12-v1", "it trains"),
        can("sagemaker:CreateHyperParameterTuningJob", "hyper-parameter-tuning-job@dev:abalone-ab12-v1", "it tunes"),
        can("sagemaker:CreateProcessingJob", "processing-job@dev:abalone-gather-ab12", "a fleet's data is split in one"),
        can("sagemaker:DescribeTrainingJob", "training-job@dev:abalone-ab12-v1", "it waits for the job"),
        can("iam:PassRole", "role@dev:models-jobs-abalone", "its jobs run as this role", TO_SAGEMAKER),
        can("sagemaker:CreateModelPackage", PACKAGE, "it registers for approval", PENDING),
        can("sagemaker:CreateModelPackage", PACKAGE, "it registers what failed its gate", REJECTED),
        can("sagemaker:DescribeModelPackage", PACKAGE, "it reads who the champion is"),
        can("sagemaker:ListModelPackages", PACKAGE, "it finds the package of its source"),
        cannot("sagemaker:CreateModelPackage", PACKAGE, "nothing is born approved", APPROVED),
        cannot("sagemaker:UpdateModelPackage", PACKAGE, "a person approves, not a build", APPROVED),
        cannot("sagemaker:UpdateModelPackage", PACKAGE, "nor is rewritten what a package says of itself"),
        cannot("sagemaker:CreateModelPackage", "model-package@registry:churn/1", "another model's registry", PENDING),
        cannot("sagemaker:DeleteModelPackage", PACKAGE, "history is kept"),
        cannot("sagemaker:DeleteModelPackageGroup", "model-package-group@registry:abalone", "history is kept"),
        cannot("sagemaker:PutModelPackageGroupPolicy", "model-package-group@registry:abalone", "it would let itself in"),
        cannot("s3:GetObject", "s3@registry:churn/data/v1/train/train.csv", "another model's data"),
        cannot("s3:PutObject", "s3@registry:churn/data/v1/train/train.csv", "another model's data"),
        cannot("s3:PutObject", "s3@registry:churn/packages/ab12-v1/model.tar.gz", "another model's packages"),
        cannot("s3:PutObject", "s3@registry:abalone2/packages/ab12-v1/model.tar.gz", "a model that only begins like its own"),
        cannot("s3:ListBucket", "bucket@registry", "another model's folder", OTHERS),
        cannot("s3:DeleteObject", ARTIFACT, "what is registered stays"),
        cannot("s3:PutBucketPolicy", "bucket@registry", "it would let itself in"),
        cannot("s3:PutObject", CAPTURE, "production's bucket"),
        cannot("s3:GetObject", CAPTURE, "what customers asked", apart=True),
        cannot("kms:Decrypt", "key@production", "production's key", BY_S3, apart=True),
        cannot("kms:PutKeyPolicy", "key@registry", "it would let itself in"),
        cannot("kms:ScheduleKeyDeletion", "key@registry", "all packages would be lost"),
        cannot("iam:PassRole", "role@dev:models-jobs-churn", "another model's role", TO_SAGEMAKER),
        cannot("iam:PassRole", "role@dev:models-jobs-abalone", "only to SageMaker", TO_LAMBDA),
        cannot("iam:PassRole", "role@dev:administrator", "a role with more rights than its own", TO_SAGEMAKER),
        cannot("iam:PassRole", "role@production:models-endpoint-abalone", "production's role", TO_SAGEMAKER),
        cannot("iam:PutRolePolicy", "role@dev:models-train-abalone", "it would give itself more"),
        cannot("iam:UpdateAssumeRolePolicy", "role@dev:models-train-churn", "it would let itself in"),
        cannot("sagemaker:CreateModel", "model@production:abalone-model-1", "a build does not deploy"),
        cannot("sagemaker:CreateEndpoint", "endpoint@production:abalone", "a build does not deploy"),
        cannot("sagemaker:UpdateEndpoint", "endpoint@production:abalone", "a build does not deploy"),
        cannot("sagemaker:DeleteEndpoint", "endpoint@production:abalone", "a build does not deploy"),
        cannot("sts:AssumeRole", "role@production:models-deploy", "no way from one role to the next"),
        can("secretsmanager:GetSecretValue", "secret@dev:warehouse", "it logs in to the declared warehouse"),
        cannot("secretsmanager:GetSecretValue", "secret@dev:payroll", "a secret that is not the warehouse's"),
    ),
)

TRAINING_JOB = Actor(
    "A training, tuning or processing job of abalone in dev (`models-jobs-abalone`)",
    "role@dev:models-jobs-abalone",
    rows=(
        can("s3:GetObject", DATA, "it reads its data"),
        can("s3:PutObject", "s3@dev:abalone/training/job/output/model.tar.gz", "it leaves what it trained"),
        can("s3:PutObject", "s3@registry:abalone/fleets/ab12-v1/models/7.tar.gz", "a fleet is fitted where it is served from"),
        can("kms:Decrypt", "key@registry", "its data is encrypted", BY_S3),
        can("kms:GenerateDataKey", "key@dev", "what it leaves is encrypted", BY_S3),
        can("kms:Encrypt", "key@dev", "SageMaker asks it of a role whose outputs have a key"),
        can("logs:PutLogEvents", "logs@dev:/aws/sagemaker/TrainingJobs:log-stream:abalone-ab12/algo-1-1", "its log"),
        cannot("s3:GetObject", "s3@registry:churn/data/v1/train/train.csv", "another model's data"),
        cannot("s3:PutObject", "s3@dev:churn/training/job/output/model.tar.gz", "another model's training"),
        cannot("s3:PutObject", ARTIFACT, "only what was evaluated becomes a package"),
        cannot("s3:DeleteObject", DATA, "data versions stay"),
        cannot("s3:GetObject", CAPTURE, "what customers asked", apart=True),
        cannot("sagemaker:CreateTrainingJob", "training-job@dev:abalone-ab12-v2", "a job starts no jobs"),
        cannot("sagemaker:CreateModelPackage", PACKAGE, "a job registers nothing", PENDING),
        cannot("iam:PassRole", "role@dev:models-jobs-abalone", "a job passes no role", TO_SAGEMAKER),
        cannot("secretsmanager:GetSecretValue", "secret@dev:payroll", "a secret that is not the warehouse's"),
    ),
)

APPROVE = Actor(
    "The job behind the click (`models-approve`)",
    "role@registry:models-approve",
    rows=(
        can("sagemaker:ListModelPackages", PACKAGE, "it finds the package of its source"),
        can("sagemaker:DescribeModelPackage", PACKAGE, "it reads what is approved"),
        can("sagemaker:UpdateModelPackage", PACKAGE, "that is what it is for", APPROVED),
        can("sagemaker:UpdateModelPackage", PACKAGE, "or the other way", REJECTED),
        cannot("sagemaker:CreateModelPackage", PACKAGE, "it registers nothing", APPROVED),
        cannot("sagemaker:DeleteModelPackage", PACKAGE, "history is kept"),
        cannot("sagemaker:CreateTrainingJob", "training-job@registry:abalone-x", "it does not train"),
        cannot("sagemaker:CreateModel", "model@production:abalone-model-1", "it does not deploy"),
        cannot("sagemaker:UpdateEndpoint", "endpoint@production:abalone", "it does not deploy"),
        cannot("s3:PutObject", ARTIFACT, "what is approved is what was evaluated"),
        cannot("iam:PassRole", "role@production:models-endpoint-abalone", "it passes no role", TO_SAGEMAKER),
    ),
)


def _deploy(environment: str) -> Actor:
    endpoint, target = f"role@{environment}:models-endpoint-abalone", f"scalable-target@{environment}:1"
    alarm = f"alarm@{environment}"
    return Actor(
        f"The deploy of main to {environment} (`models-deploy`)",
        f"role@{environment}:models-deploy",
        apart=environment == "staging",
        rows=(
            can("sagemaker:ListModelPackages", PACKAGE, "it finds the approved package of main's source"),
            can("sagemaker:DescribeModelPackage", PACKAGE, "it reads what it deploys"),
            can("sagemaker:UpdateModelPackage", PACKAGE, "it notes where the package serves"),
            can("s3:GetObject", ARTIFACT, "it tries the golden rows before the update"),
            can("kms:Decrypt", "key@registry", "packages are encrypted", BY_S3),
            can("sagemaker:CreateModel", f"model@{environment}:abalone-model-1", "it deploys"),
            can("sagemaker:CreateEndpointConfig", f"endpoint-config@{environment}:abalone-model-1-ab12", "it deploys"),
            can("sagemaker:CreateEndpoint", f"endpoint@{environment}:abalone", "the first deploy"),
            can("sagemaker:UpdateEndpoint", f"endpoint@{environment}:abalone", "every other deploy, and the way back"),
            can("sagemaker:InvokeEndpoint", f"endpoint@{environment}:abalone", "it asks the golden rows"),
            can("sagemaker:DeleteModel", f"model@{environment}:abalone-model-1", "it sweeps old models"),
            can("cloudwatch:PutMetricAlarm", f"{alarm}:abalone-errors", "the rollout is watched"),
            can("application-autoscaling:RegisterScalableTarget", target, "it scales", OF_SAGEMAKER),
            can("cloudwatch:PutMetricAlarm", f"{alarm}:TargetTracking-endpoint/abalone/x", "scaling makes its alarms"),
            cannot("cloudwatch:PutMetricAlarm", f"{alarm}:TargetTracking-table/x", "what scales is no endpoint"),
            cannot("application-autoscaling:RegisterScalableTarget", target, "not SageMaker's", OF_ECS),
            can("iam:PassRole", endpoint, "the endpoint runs as this role", TO_SAGEMAKER),
            cannot("iam:PassRole", endpoint, "only to SageMaker", TO_LAMBDA),
            cannot("iam:PassRole", f"role@{environment}:models-jobs-abalone", "it runs no jobs", TO_SAGEMAKER),
            cannot("iam:PassRole", f"role@{environment}:administrator", "a role with more rights than its own", TO_SAGEMAKER),
            cannot("sagemaker:CreateTrainingJob", f"training-job@{environment}:abalone-x", "it does not train"),
            cannot("sagemaker:CreateProcessingJob", f"processing-job@{environment}:abalone-x", "it runs no jobs"),
            cannot("sagemaker:CreateTransformJob", f"transform-job@{environment}:abalone-x", "it runs no jobs"),
            cannot("sagemaker:UpdateModelPackage", PACKAGE, "it does not approve", APPROVED),
            cannot("sagemaker:UpdateModelPackage", PACKAGE, "nor set any status", REJECTED),
            cannot("sagemaker:CreateModelPackage", PACKAGE, "it registers nothing", PENDING),
            cannot("sagemaker:DeleteModelPackageGroup", "model-package-group@registry:abalone", "history is kept"),
            cannot("s3:PutObject", ARTIFACT, "it serves what was approved"),
            cannot("s3:GetObject", DATA, "it needs no training data"),
            cannot("s3:GetObject", f"s3@{environment}:abalone/capture/x.jsonl", "nor what customers asked"),
            cannot("s3:PutBucketPolicy", f"bucket@{environment}", "buckets are Terraform's"),
            cannot("kms:PutKeyPolicy", f"key@{environment}", "keys are Terraform's"),
            cannot("iam:PutRolePolicy", f"role@{environment}:models-deploy", "roles are Terraform's"),
            cannot("iam:CreateRole", f"role@{environment}:another", "roles are Terraform's"),
            cannot("secretsmanager:GetSecretValue", f"secret@{environment}:warehouse", "it needs no secret"),
        ),
    )


DEPLOY = _deploy("production")
DEPLOY_TO_STAGING = _deploy("staging")

SHARED_ENDPOINT = Actor(
    "An endpoint that several models share, prices (`models-endpoint-prices`)",
    "role@production:models-endpoint-prices",
    rows=(
        can("s3:GetObject", "s3@production:prices/generations/7/abalone.tar.gz", "it loads what was published to it"),
        can("kms:Decrypt", "key@production", "and encrypted", BY_S3),
        cannot("s3:GetObject", ARTIFACT, "a model comes to it only by a deploy"),
        cannot("s3:PutObject", "s3@production:prices/generations/7/abalone.tar.gz", "it cannot change what it serves"),
        cannot("s3:GetObject", CAPTURE, "another endpoint's records"),
    ),
)

OPERATE = Actor(
    "The schedules of main: batches, monitor, dashboard (`models-operate`)",
    "role@production:models-operate",
    rows=(
        can("sagemaker:CreateProcessingJob", "processing-job@production:abalone-batch-x", "it scores batches"),
        can("sagemaker:CreateTransformJob", "transform-job@production:abalone-batch-x", "it scores batches"),
        can("iam:PassRole", "role@production:models-jobs-abalone", "its jobs run as this role", TO_SAGEMAKER),
        can("s3:GetObject", CAPTURE, "the monitor reads what was asked"),
        can("s3:PutObject", "s3@production:abalone/monitoring/1/w/findings.json", "and writes what it found"),
        can("s3:GetObject", "s3@registry:abalone/packages/ab12-v1/evaluation.json", "beside what the package was tested on"),
        can("sagemaker:DescribeModelPackage", PACKAGE, "it reads which package serves"),
        can("sagemaker:DescribeEndpoint", "endpoint@production:abalone", "it compares what serves with main"),
        can("kms:Decrypt", "key@production", "captures are encrypted", BY_S3),
        cannot("sagemaker:CreateTrainingJob", "training-job@production:abalone-x", "it does not train"),
        cannot("sagemaker:CreateEndpoint", "endpoint@production:abalone", "it does not deploy"),
        cannot("sagemaker:UpdateEndpoint", "endpoint@production:abalone", "it does not deploy"),
        cannot("sagemaker:DeleteEndpoint", "endpoint@production:abalone", "it does not deploy"),
        cannot("sagemaker:UpdateModelPackage", PACKAGE, "it does not approve", APPROVED),
        cannot("iam:PassRole", "role@production:models-endpoint-abalone", "it serves nothing", TO_SAGEMAKER),
        cannot("iam:PassRole", "role@production:models-jobs-abalone", "only to SageMaker", TO_LAMBDA),
        cannot("s3:PutObject", ARTIFACT, "packages are only read"),
        cannot("s3:PutObject", CAPTURE, "what was asked is not rewritten"),
        cannot("secretsmanager:GetSecretValue", "secret@production:warehouse", "it needs no secret"),
    ),
)

OPERATIONS_JOB = Actor(
    "A batch or monitor job of abalone in production (`models-jobs-abalone`)",
    "role@production:models-jobs-abalone",
    rows=(
        can("s3:GetObject", "s3@production:abalone/batch/input/dt=2026-11-20/part.csv", "it reads its batch"),
        can("s3:PutObject", "s3@production:abalone/batch/output/part-00000.parquet", "it writes what it scored"),
        can("s3:GetObject", CAPTURE, "the monitor reads what was asked"),
        can("s3:GetObject", ARTIFACT, "it scores with the package"),
        cannot("s3:GetObject", "s3@production:churn/capture/x.jsonl", "another model's requests"),
        cannot("s3:PutObject", "s3@production:churn/batch/output/part.parquet", "another model's batches"),
        cannot("s3:PutObject", ARTIFACT, "packages are only read"),
        cannot("sagemaker:UpdateEndpoint", "endpoint@production:abalone", "a job deploys nothing"),
    ),
)

ENDPOINT = Actor(
    "The endpoint of abalone in production (`models-endpoint-abalone`)",
    "role@production:models-endpoint-abalone",
    rows=(
        can("s3:GetObject", ARTIFACT, "it loads the package"),
        can("s3:GetObject", "s3@registry:abalone/fleets/ab12-v1/models/7.tar.gz", "or a customer's model"),
        can("kms:Decrypt", "key@registry", "packages are encrypted", BY_S3),
        can("s3:PutObject", CAPTURE, "calls are recorded"),
        can("kms:GenerateDataKey", "key@production", "and encrypted", BY_S3),
        can("cloudwatch:DescribeAlarms", "alarm@production:abalone-errors", "a rollout looks at its alarms as this role"),
        cannot("cloudwatch:DescribeAlarms", "alarm@production:churn-errors", "another endpoint's alarms"),
        can("logs:PutLogEvents", "logs@production:/aws/sagemaker/Endpoints/abalone:log-stream:AllTraffic/1", "its log"),
        cannot("s3:GetObject", "s3@registry:churn/packages/ab12-v1/model.tar.gz", "another model's packages"),
        cannot("s3:GetObject", DATA, "it serves, and needs no training data"),
        cannot("s3:GetObject", "s3@registry:abalone2/packages/ab12-v1/model.tar.gz", "a model that only begins like its own"),
        cannot("s3:PutObject", ARTIFACT, "it cannot change what it serves"),
        cannot("s3:DeleteObject", ARTIFACT, "it cannot change what it serves"),
        cannot("s3:PutObject", "s3@production:churn/capture/x.jsonl", "another model's records"),
        cannot("s3:GetObject", "s3@dev:abalone/training/job/output/model.tar.gz", "it serves registered packages only"),
        cannot("kms:Decrypt", "key@dev", "dev's key", BY_S3, apart=True),
        cannot("sagemaker:UpdateEndpoint", "endpoint@production:abalone", "an endpoint deploys nothing"),
        cannot("sagemaker:UpdateModelPackage", PACKAGE, "it does not approve", APPROVED),
        cannot("secretsmanager:GetSecretValue", "secret@production:warehouse", "it needs no secret"),
    ),
)

ON_CALL = Actor(
    "Somebody on call (`models-on-call`)",
    "role@production:models-on-call",
    rows=(
        can("sagemaker:UpdateEndpoint", "endpoint@production:abalone", "rolls back by hand"),
        can("sagemaker:DeleteEndpoint", "endpoint@production:abalone", "tears down"),
        can("sagemaker:StopProcessingJob", "processing-job@production:abalone-batch-x", "stops what runs away"),
        can("logs:FilterLogEvents", "logs@production:/aws/sagemaker/Endpoints/abalone", "reads the logs"),
        can("iam:PassRole", "role@production:models-endpoint-abalone", "deploys by hand", TO_SAGEMAKER),
        can("s3:PutObject", "s3@registry:energy/fleets/ab12-v1/models/7.tar.gz", "adds a customer to a fleet"),
        cannot("sagemaker:CreateTrainingJob", "training-job@production:abalone-x", "what serves comes from a branch's build"),
        cannot("sagemaker:UpdateModelPackage", PACKAGE, "approving is the click's", APPROVED),
        cannot("sagemaker:CreateModelPackage", PACKAGE, "registering is a build's", PENDING),
        cannot("s3:PutObject", ARTIFACT, "packages are only read"),
        cannot("iam:PassRole", "role@production:administrator", "a role with more rights than its own", TO_SAGEMAKER),
        cannot("iam:PutRolePolicy", "role@production:models-on-call", "roles are Terraform's"),
        cannot("kms:ScheduleKeyDeletion", "key@production", "keys are Terraform's"),
    ),
)
# fmt: on

ROLES: Final = (
    TRAIN,
    TRAINING_JOB,
    APPROVE,
    DEPLOY_TO_STAGING,
    DEPLOY,
    ENDPOINT,
    SHARED_ENDPOINT,
    OPERATE,
    OPERATIONS_JOB,
    ON_CALL,
)
