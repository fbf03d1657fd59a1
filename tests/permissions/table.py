"""What a row of the table of permissions says, and how it names who asks and what for.

Resources are written `<kind>@<environment>:<name>`: `s3@registry:abalone/data/v1/train.csv` (an object), `bucket@registry`,
`key@dev`, `topic@production`, `role@dev:models-jobs-abalone`, `secret@dev:warehouse`, `alarm@production:abalone-errors`,
`endpoint@production:abalone` and so on, as SageMaker calls its kinds in ARNs. The values of what a request says besides may be
named so, too, and `account@dev` is an account's id. An environment of twelve digits is an account that is none of the project's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

Given = Mapping[str, str | list[str]]


@dataclass(frozen=True)
class Row:
    """Whether somebody can do one thing, and why."""

    can: bool
    action: str
    on: str
    because: str
    given: Given = field(default_factory=dict)
    """What else the request says: condition keys and their values."""
    apart: bool = False
    """Only where the environments are accounts of their own."""


@dataclass(frozen=True)
class Actor:
    """Somebody who asks."""

    title: str
    """For people, with a capital."""
    principal: str
    """`role@<environment>:<name>`, or the name of a service."""
    administrator: bool = False
    """Whether identity policies allow it everything: what it cannot do it is refused by the resource."""
    rows: Sequence[Row] = ()
    apart: bool = False
    """Only where the environments are accounts of their own."""


def can(action: str, on: str, because: str, given: Given | None = None, *, apart: bool = False) -> Row:
    return Row(True, action, on, because, given or {}, apart)


def cannot(action: str, on: str, because: str, given: Given | None = None, *, apart: bool = False) -> Row:
    return Row(False, action, on, because, given or {}, apart)


@dataclass(frozen=True)
class Token:
    """Whether a role can be taken on with the identity of a CircleCI job; what is left empty is this project's own."""

    role: str
    can: bool
    title: str
    reference: str
    """E.g. `refs/heads/main`."""
    user: str = ""
    project: str = ""
    organisation: str = ""
    repository: str = ""
    audience: str = ""


APPROVER: Final = "00000000-0000-4000-8000-00000000000a"
ANOTHER: Final = "99999999-9999-4999-8999-999999999999"
"""Another organisation, project or audience."""
TO_SAGEMAKER: Final[Given] = {"iam:PassedToService": "sagemaker.amazonaws.com"}
TO_LAMBDA: Final[Given] = {"iam:PassedToService": "lambda.amazonaws.com"}
BY_S3: Final[Given] = {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}
PENDING: Final[Given] = {"sagemaker:ModelApprovalStatus": "PendingManualApproval"}
REJECTED: Final[Given] = {"sagemaker:ModelApprovalStatus": "Rejected"}
APPROVED: Final[Given] = {"sagemaker:ModelApprovalStatus": "Approved"}
OWN: Final[Given] = {"s3:prefix": "abalone/data/"}
OTHERS: Final[Given] = {"s3:prefix": "churn/data/"}
WITHOUT_TLS: Final[Given] = {"aws:SecureTransport": "false"}
FROM_ELSEWHERE: Final[Given] = {"aws:SourceAccount": "999999999999"}
_SSE: Final = "s3:x-amz-server-side-encryption"
ENCRYPTED: Final[Given] = {_SSE: "aws:kms", f"{_SSE}-aws-kms-key-id": "key@registry"}
WITH_ANOTHER_KEY: Final[Given] = {
    _SSE: "aws:kms",
    f"{_SSE}-aws-kms-key-id": "arn:aws:kms:eu-west-1:999999999999:key/theirs",
}
WITHOUT_KMS: Final[Given] = {_SSE: "AES256"}
ONCE: Final[Given] = {"s3:if-none-match": "*"}
FROM_DEV: Final[Given] = {"aws:SourceAccount": "account@dev"}
FROM_PRODUCTION: Final[Given] = {"aws:SourceAccount": "account@production"}
OF_SAGEMAKER: Final[Given] = {"application-autoscaling:service-namespace": "sagemaker"}
OF_ECS: Final[Given] = {"application-autoscaling:service-namespace": "ecs"}

ARTIFACT: Final = "s3@registry:abalone/packages/ab12-v1/model.tar.gz"
CODE: Final = "s3@registry:abalone/code/ab12.tar.gz"
DATA: Final = "s3@registry:abalone/data/v1/train/train.csv"
CAPTURE: Final = "s3@production:abalone/capture/x.jsonl"
PACKAGE: Final = "model-package@registry:abalone/1"
