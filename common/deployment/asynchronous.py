"""Asking an asynchronous endpoint: the request is put into the bucket, and the answer or the failure is waited for there."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.aws import Aws
from common.errors import DeploymentError
from common.storage import Bucket, Layout, split_uri

if TYPE_CHECKING:
    from mypy_boto3_sagemaker_runtime.type_defs import InvokeEndpointAsyncOutputTypeDef

PATIENCE_SECONDS = 1200
"""How long to wait for an answer: an endpoint without instances needs minutes to get one, others may be served first, and
SageMaker gives a model 15 minutes for one request."""
_LONGEST_POLL_SECONDS = 5.0


@dataclass(frozen=True)
class AsyncAnswer:
    """What an asynchronous endpoint left in the bucket for one request.

    Attributes:
        location: the object's URI.
        failed: whether it is the failure object; then `body` says why.
    """

    location: str
    body: bytes
    failed: bool

    @property
    def reason(self) -> str:
        """The failure in SageMaker's words."""
        return self.body.decode(errors="replace").strip()


def ask(aws: Aws, model: str, name: str, body: bytes, content_type: str = "application/json") -> AsyncAnswer:
    """The endpoint's answer to a request, or its failure.

    Args:
        name: names the request among those of the model: two of one name must have the same body.
        body: a document of the content type, in which the answer is wanted, too.

    Raises:
        DeploymentError: neither came within twenty minutes.
        ClientError: SageMaker's, which took no request.
    """
    bucket, key = Bucket(aws), Layout(model).asynchronous(f"input/{name}.json")
    bucket.write(key, body)
    asked = aws.runtime.invoke_endpoint_async(
        EndpointName=model,
        InputLocation=bucket.uri(key),
        ContentType=content_type,
        Accept=content_type,
    )
    return _wait(bucket, model, asked)


def _wait(bucket: Bucket, model: str, asked: InvokeEndpointAsyncOutputTypeDef) -> AsyncAnswer:
    deadline, pause = time.monotonic() + PATIENCE_SECONDS, 0.05
    while True:
        if found := _found(bucket, asked):
            return found
        if time.monotonic() > deadline:
            raise DeploymentError(
                f"The asynchronous endpoint {model} has neither answered nor failed within {PATIENCE_SECONDS / 60:g} minutes.",
                "Look whether it has instances and how many requests wait before this one (CloudWatch, "
                f"ApproximateBacklogSize of {model}); its answer will be {asked['OutputLocation']}.",
            )
        time.sleep(pause)
        pause = min(pause * 1.3, _LONGEST_POLL_SECONDS)


def _found(bucket: Bucket, asked: InvokeEndpointAsyncOutputTypeDef) -> AsyncAnswer | None:
    for location, failed in ((asked["OutputLocation"], False), (asked["FailureLocation"], True)):
        body = bucket.read(split_uri(location)[1])
        if body is not None:
            return AsyncAnswer(location, body, failed)
    return None
