"""SageMaker Runtime: InvokeEndpointAsync."""

from uuid import uuid4

from common.local.api import Answer, Call
from common.local.context import LocalAws
from common.local.hosting.asynchronous import AsyncQueues, Waiting
from common.local.hosting.host import Hosting
from common.local.hosting.lifecycle import KIND
from common.local.hosting.spec import FleetSpec
from common.local.hosting.telemetry import Origin
from common.local.sagemaker.runtime import forwarded, invalid, not_serving

DEFAULT_TTL_SECONDS = 21600
DEFAULT_TIMEOUT_SECONDS = 900

_UNSUPPORTED = ("S3OutputPathExtension", "Filename")
_LOCATIONS = {
    "OutputLocation": "X-Amzn-SageMaker-OutputLocation",
    "FailureLocation": "X-Amzn-SageMaker-FailureLocation",
}


def invoke_endpoint_async(call: Call, body: bytes) -> tuple[Answer, dict[str, str]]:
    """Queue a request whose input is in S3; answers at once where the result or the failure is going to be.

    Returns the response's body and headers. That the input exists is found out when the request's turn comes, as on AWS.

    Raises:
        ApiError: `ValidationError` when the endpoint does not serve or is none for asynchronous requests, or when the input is
            not named as an object of S3.
    """
    request = call.request
    name: str = request["EndpointName"]
    document = call.aws.store.get(call.scope, KIND, name)
    if document is None or call.aws.part(Hosting).live(call.scope, name) is None:
        raise not_serving(call, name)
    queue = call.aws.part(AsyncQueues).of(call.scope, name)
    if queue is None:
        raise invalid(
            f"Endpoint {name} is not an asynchronous endpoint: it takes InvokeEndpoint, not InvokeEndpointAsync."
        )
    unsupported = [member for member in _UNSUPPORTED if member in request] + (["Body"] if body else [])
    if unsupported:
        raise invalid(f"This local AWS does not support {unsupported[0]} of InvokeEndpointAsync yet.")
    output = (FleetSpec.from_json(document["Fleet"]).async_config or {})["OutputConfig"]
    result = uuid4()
    failure_path = output.get("S3FailurePath")
    waiting = Waiting(
        endpoint=name,
        inference_id=request.get("InferenceId") or str(uuid4()),
        input_location=_input(request.get("InputLocation", "")),
        output_location=f"{output['S3OutputPath'].rstrip('/')}/{result}.out",
        failure_location=f"{failure_path.rstrip('/')}/{result}-error.out" if failure_path else None,
        headers=forwarded(request),
        ttl_seconds=request.get("RequestTTLSeconds", DEFAULT_TTL_SECONDS),
        timeout_seconds=request.get("InvocationTimeoutSeconds", DEFAULT_TIMEOUT_SECONDS),
    )
    queue.put(waiting)
    locations = {"OutputLocation": waiting.output_location, "FailureLocation": waiting.failure_location}
    headers = {_LOCATIONS[member]: location for member, location in locations.items() if location is not None}
    return {"InferenceId": waiting.inference_id}, headers


def resume(aws: LocalAws) -> None:
    """After a restart: work on what was queued."""
    for scope, name, document in aws.store.everywhere(KIND):
        spec = FleetSpec.from_json(document["Fleet"])
        if spec.async_config and document["EndpointStatus"] not in ("Failed", "Deleting"):
            account, _, region = scope.partition("/")
            aws.part(AsyncQueues).open(Origin(account, region, name), spec)


def _input(location: str) -> str:
    if not location:
        raise invalid("InputLocation is required.")
    if not location.startswith("s3://") or not location.removeprefix("s3://").partition("/")[2]:
        raise invalid(f"InputLocation {location} must be an object in S3: s3://bucket/key.")
    return location
