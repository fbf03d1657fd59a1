"""What everybody else can do and what they cannot: administrators, services, and the identities of CircleCI's jobs."""

from typing import Final

from tests.permissions.table import (
    ANOTHER,
    APPROVED,
    APPROVER,
    ARTIFACT,
    BY_S3,
    CAPTURE,
    CODE,
    ENCRYPTED,
    FROM_DEV,
    FROM_ELSEWHERE,
    FROM_PRODUCTION,
    PACKAGE,
    WITH_ANOTHER_KEY,
    WITHOUT_KMS,
    WITHOUT_TLS,
    Actor,
    Token,
    can,
    cannot,
)

# fmt: off
DEV_ADMINISTRATOR = Actor(
    "An administrator of dev's account",
    "role@dev:administrator",
    administrator=True,
    rows=(
        cannot("s3:GetObject", ARTIFACT, "the bucket admits roles by name", apart=True),
        cannot("s3:PutObject", ARTIFACT, "the bucket admits roles by name", apart=True),
        cannot("kms:Decrypt", "key@registry", "the key admits roles by name", BY_S3, apart=True),
        cannot("sagemaker:UpdateModelPackage", PACKAGE, "the group admits roles by name", APPROVED, apart=True),
        cannot("s3:GetObject", CAPTURE, "production admits nobody from elsewhere", apart=True),
        cannot("kms:Decrypt", "key@production", "production admits nobody from elsewhere", BY_S3, apart=True),
        cannot("sts:AssumeRole", "role@production:models-deploy", "only main's token takes it on"),
        cannot("sts:AssumeRole", "role@registry:models-approve", "only an approver's token takes it on"),
        cannot("sts:AssumeRole", "role@production:models-endpoint-abalone", "only SageMaker takes it on"),
    ),
)

PRODUCTION_ADMINISTRATOR = Actor(
    "An administrator of production's account",
    "role@production:administrator",
    administrator=True,
    rows=(
        cannot("s3:GetObject", ARTIFACT, "the bucket admits roles by name", apart=True),
        cannot("s3:PutObject", ARTIFACT, "the bucket admits roles by name", apart=True),
        cannot("kms:Decrypt", "key@registry", "the key admits roles by name", BY_S3, apart=True),
        cannot("sagemaker:UpdateModelPackage", PACKAGE, "the group admits roles by name", APPROVED, apart=True),
    ),
)

ANYBODY = Actor(
    "Anybody, with all the rights of the registry's account",
    "role@registry:administrator",
    administrator=True,
    rows=(
        can("s3:PutObject", ARTIFACT, "nothing said: the bucket's key encrypts"),
        can("s3:PutObject", ARTIFACT, "the bucket's key, by name", ENCRYPTED),
        cannot("s3:PutObject", ARTIFACT, "another key", WITH_ANOTHER_KEY),
        cannot("s3:PutObject", ARTIFACT, "no key of KMS", WITHOUT_KMS),
        cannot("s3:PutObject", CODE, "over code that is there"),
        cannot("s3:GetObject", ARTIFACT, "without TLS", WITHOUT_TLS),
        cannot("s3:ListBucket", "bucket@registry", "without TLS", WITHOUT_TLS),
        cannot("sns:Publish", "topic@registry", "without TLS", WITHOUT_TLS),
    ),
)

STRANGER = Actor(
    "An administrator of an account that is none of these",
    "role@999999999999:administrator",
    administrator=True,
    rows=(
        cannot("s3:GetObject", ARTIFACT, "nobody else is admitted"),
        cannot("s3:GetObject", CAPTURE, "nobody else is admitted"),
        cannot("kms:Decrypt", "key@registry", "nobody else is admitted", BY_S3),
        cannot("sagemaker:DescribeModelPackage", PACKAGE, "nobody else is admitted"),
        cannot("sns:Publish", "topic@production", "nobody else is admitted"),
        cannot("sts:AssumeRole", "role@production:models-deploy", "nobody else is admitted"),
    ),
)

NAMESAKE = Actor(
    "A role of such an account that is called like one of the project's (`models-deploy`)",
    "role@999999999999:models-deploy",
    administrator=True,
    rows=(
        cannot("s3:GetObject", ARTIFACT, "a name counts in the project's accounts only"),
        cannot("s3:ListBucket", "bucket@registry", "a name counts in the project's accounts only"),
        cannot("kms:Decrypt", "key@registry", "a name counts in the project's accounts only", BY_S3),
        cannot("sagemaker:DescribeModelPackage", PACKAGE, "a name counts in the project's accounts only"),
    ),
)

SAGEMAKER = Actor(
    "SageMaker",
    "sagemaker.amazonaws.com",
    rows=(
        can("sts:AssumeRole", "role@dev:models-jobs-abalone", "for a job of this account", FROM_DEV),
        can("sts:AssumeRole", "role@production:models-endpoint-abalone", "to serve", FROM_PRODUCTION),
        cannot("sts:AssumeRole", "role@dev:models-jobs-abalone", "for a job of another account", FROM_ELSEWHERE),
        cannot("sts:AssumeRole", "role@dev:models-train-abalone", "CircleCI's roles", FROM_DEV),
        cannot("sts:AssumeRole", "role@production:models-deploy", "CircleCI's roles", FROM_PRODUCTION),
    ),
)

LAMBDA = Actor(
    "Lambda, or any other service",
    "lambda.amazonaws.com",
    rows=(
        cannot("sts:AssumeRole", "role@dev:models-jobs-abalone", "only SageMaker", FROM_DEV),
        cannot("sns:Publish", "topic@production", "only rules, alarms and budgets tell", FROM_PRODUCTION),
        cannot("kms:Decrypt", "key@production", "only who writes to the topic or to logs"),
    ),
)

EVENTBRIDGE = Actor(
    "EventBridge",
    "events.amazonaws.com",
    rows=(
        can("sns:Publish", "topic@production", "tells of failures", {"aws:SourceArn": "rule@production:models-endpoint-failed"}),
        can("kms:GenerateDataKey", "key@production", "the topic is encrypted"),
        cannot("sns:Publish", "topic@production", "any other rule", {"aws:SourceArn": "rule@production:another"}),
        cannot("sns:Publish", "topic@production", "another account's rule", {"aws:SourceArn": "rule@999999999999:models-x"}),
        cannot("kms:CreateGrant", "key@production", "it encrypts and reads, nothing more"),
    ),
)

CLOUDWATCH = Actor(
    "CloudWatch's alarms",
    "cloudwatch.amazonaws.com",
    rows=(
        can("sns:Publish", "topic@production", "an alarm tells", FROM_PRODUCTION),
        cannot("sns:Publish", "topic@production", "another account's alarm", FROM_ELSEWHERE),
    ),
)

OUTSIDERS: Final = (
    DEV_ADMINISTRATOR, PRODUCTION_ADMINISTRATOR, ANYBODY, STRANGER, NAMESAKE, SAGEMAKER, LAMBDA, EVENTBRIDGE, CLOUDWATCH,
)

MAIN, BRANCH = "refs/heads/main", "refs/heads/better-trees"
TOKENS: Final = (
    Token("role@dev:models-train-abalone", True, "a branch of this project", BRANCH),
    Token("role@dev:models-train-abalone", True, "main, which trains on a schedule or by hand", MAIN),
    Token("role@registry:models-approve", True, "an approver, whatever the branch", BRANCH, user=APPROVER),
    Token("role@staging:models-deploy", True, "main", MAIN),
    Token("role@production:models-deploy", True, "main", MAIN),
    Token("role@production:models-operate", True, "main", MAIN),
    Token("role@dev:models-train-abalone", False, "a fork's pull request", "refs/heads/pull/7"),
    Token("role@dev:models-train-abalone", False, "a tag", "refs/tags/v1"),
    Token("role@dev:models-train-abalone", False, "another project of the organisation", BRANCH, project=ANOTHER),
    Token("role@dev:models-train-abalone", False, "another organisation", BRANCH, organisation=ANOTHER),
    Token("role@dev:models-train-abalone", False, "another repository, a fork", BRANCH, repository="github.com/mallory/models"),
    Token("role@dev:models-train-abalone", False, "a token for somebody else", BRANCH, audience=ANOTHER),
    Token("role@registry:models-approve", False, "a person who is no approver", BRANCH),
    Token("role@registry:models-approve", False, "main, without an approver", MAIN),
    Token("role@registry:models-approve", False, "an approver's fork", "refs/heads/pull/7", user=APPROVER),
    Token("role@registry:models-approve", False, "an approver in another project", BRANCH, user=APPROVER, project=ANOTHER),
    Token("role@registry:models-approve", False, "an approver, for somebody else", BRANCH, user=APPROVER, audience=ANOTHER),
    Token("role@staging:models-deploy", False, "a branch", BRANCH),
    Token("role@production:models-deploy", False, "a branch", BRANCH),
    Token("role@production:models-deploy", False, "a branch of an approver", BRANCH, user=APPROVER),
    Token("role@production:models-deploy", False, "a branch called like main's end", "refs/heads/x/vcs-ref/refs/heads/main"),
    Token("role@production:models-deploy", False, "a branch below main", "refs/heads/main/x"),
    Token("role@production:models-deploy", False, "a tag that is called main", "refs/tags/main"),
    Token("role@production:models-deploy", False, "main of another project", MAIN, project=ANOTHER),
    Token("role@production:models-deploy", False, "main of another organisation", MAIN, organisation=ANOTHER),
    Token("role@production:models-deploy", False, "main of a fork", MAIN, repository="github.com/mallory/models"),
    Token("role@production:models-deploy", False, "a token for somebody else", MAIN, audience=ANOTHER),
    Token("role@production:models-operate", False, "a branch", BRANCH),
    Token("role@production:models-operate", False, "a fork's pull request", "refs/heads/pull/7"),
    Token("role@dev:models-jobs-abalone", False, "a branch: jobs' roles are SageMaker's", BRANCH),
    Token("role@production:models-endpoint-abalone", False, "main: endpoints' roles are SageMaker's", MAIN),
)
# fmt: on
