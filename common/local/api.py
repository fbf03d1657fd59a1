"""What an operation of the local SageMaker is: a function from a validated request to an answer.

    @operation
    def describe_model(call: Call) -> Answer: ...

declares `DescribeModel`. The server parses the request, validates it against botocore's own service model, calls the
function, and serialises what it returns in the shapes of the same model: members that the output shape lacks, and those
that are None, are left out, so that a stored document can be an answer. Members are named as in the API; times are epoch
seconds (floats).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from common.local.context import LocalAws

Answer = dict[str, Any]


class ApiError(Exception):
    """An error that the API answers, with the code that boto3 shows (`ValidationException`, `ResourceNotFound`, …)."""

    def __init__(self, code: str, message: str, status: int = 400, **members: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.members = members
        """Further members of the error's shape beside its message, e.g. a ModelError's `OriginalStatusCode`."""


def validation_error(message: str) -> ApiError:
    return ApiError("ValidationException", message)


def in_use(message: str) -> ApiError:
    return ApiError("ResourceInUse", message)


@dataclass(frozen=True)
class Call:
    """One request: who sent it, to which region, and what it asks."""

    aws: "LocalAws"
    account: str
    region: str
    request: dict[str, Any]
    caller: str = ""
    """ARN of the caller's identity, where it is known."""
    conditions: Mapping[str, str | list[str]] = field(default_factory=dict)
    """What the conditions of policies can ask about the caller and the request, by keys in lower case."""

    @property
    def scope(self) -> str:
        """The partition of the store that this call sees."""
        return f"{self.account}/{self.region}"

    def arn(self, kind: str, name: str) -> str:
        """`arn:aws:sagemaker:<region>:<account>:<kind>/<name>`."""
        return f"arn:aws:sagemaker:{self.region}:{self.account}:{kind}/{name}"


Operation = Callable[[Call], Answer]
OPERATIONS: dict[str, Operation] = {}
"""Every supported operation of SageMaker's by its API name, filled by `operation`; the docs page is generated from it."""
AUTOSCALING: dict[str, Operation] = {}
"""The same for Application Auto Scaling, filled by `autoscaling_operation`."""
ECR: dict[str, Operation] = {}
"""The same for ECR, filled by `ecr_operation`."""


def operation(function: Operation) -> Operation:
    """Declare the operation of SageMaker that the function's name spells in snake case."""
    return _declare(function, OPERATIONS)


def autoscaling_operation(function: Operation) -> Operation:
    """Declare the operation of Application Auto Scaling that the function's name spells in snake case."""
    return _declare(function, AUTOSCALING)


def ecr_operation(function: Operation) -> Operation:
    """Declare the operation of ECR that the function's name spells in snake case."""
    return _declare(function, ECR)


def _declare(function: Operation, operations: dict[str, Operation]) -> Operation:
    name = "".join(word.capitalize() for word in function.__name__.split("_"))
    if name in operations:
        raise ValueError(f"{name} is declared twice")
    operations[name] = function
    return function
