"""An asynchronous endpoint of the local AWS in the test's own process, and what becomes of the requests to it."""

import json
from dataclasses import dataclass
from typing import Any

from moto.backends import get_backend

from common.local.api import ApiError, Call
from common.local.sagemaker.runtime_async import invoke_endpoint_async
from tests.functional.local.hosting_kit import REGION, Local, eventually


@dataclass(frozen=True)
class Asked:
    """The answer to InvokeEndpointAsync."""

    inference_id: str
    output: str
    failure: str


class AsyncEndpoint:
    """Endpoint `e`, whose results go to the account's bucket and whose notifications go to two topics."""

    def __init__(self, local: Local) -> None:
        self.local = local
        self.bucket = f"models-{local.account}"
        self.topics = {name: self._sns().create_topic(name).arn for name in ("done", "failed")}

    def config(self, name: str, instances: int = 1, concurrency: int = 4, include: tuple[str, ...] = ()) -> str:
        notify = {
            "SuccessTopic": self.topics["done"],
            "ErrorTopic": self.topics["failed"],
            "IncludeInferenceResponseIn": include,
        }
        inference = {
            "ClientConfig": {"MaxConcurrentInvocationsPerInstance": concurrency},
            "OutputConfig": {
                "S3OutputPath": f"s3://{self.bucket}/out",
                "S3FailurePath": f"s3://{self.bucket}/bad/",
                "NotificationConfig": notify,
            },
        }
        return self.local.config(name, instances=instances, AsyncInferenceConfig=inference)

    def create(self, **members: Any) -> None:
        self.local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=self.config("a", **members))
        assert self.local.settled()["EndpointStatus"] == "InService"

    def ask(self, body: bytes, **members: Any) -> Asked:
        """Queue a request with that body."""
        location = self.local.put_object(f"in/{hash(body)}", body)
        return self.ask_for(location, **members)

    def ask_for(self, location: str, **members: Any) -> Asked:
        request = {"EndpointName": "e", "InputLocation": location, **members}
        answer, headers = invoke_endpoint_async(Call(self.local.aws, self.local.account, REGION, request), b"")
        return Asked(
            answer["InferenceId"],
            headers["X-Amzn-SageMaker-OutputLocation"],
            headers["X-Amzn-SageMaker-FailureLocation"],
        )

    def read(self, location: str) -> bytes | None:
        """The object's content; None when there is none."""
        bucket, _, key = location.removeprefix("s3://").partition("/")
        try:
            return self.local.aws.services.read_object(self.local.account, bucket, key)
        except KeyError:
            return None

    def outcome(self, asked: Asked) -> bytes:
        """What the request ended in, once it has."""
        found: bytes = eventually(lambda: self.read(asked.output) or self.read(asked.failure), "a result")
        return found

    def notifications(self, topic: str) -> list[dict[str, Any]]:
        sent = self._sns().topics[self.topics[topic]].sent_notifications
        return [json.loads(message) for _, message, *_ in sent]

    def forget_topics(self) -> None:
        for arn in self.topics.values():
            self._sns().delete_topic(arn)

    def scale(self, instances: int) -> None:
        desired = [{"VariantName": "v1", "DesiredInstanceCount": instances}]
        self.local.do("UpdateEndpointWeightsAndCapacities", EndpointName="e", DesiredWeightsAndCapacities=desired)
        assert self.local.settled()["EndpointStatus"] == "InService"

    def values(self, metric: str) -> list[float]:
        found = self.local.aws.services.metric_values(
            self.local.account, REGION, "AWS/SageMaker", metric, {"EndpointName": "e"}, 0, 1e12
        )
        return [value for _, value in found]

    def refused(self, **members: Any) -> ApiError:
        try:
            self.ask_for(f"s3://{self.bucket}/a.tar.gz", **members)
        except ApiError as error:
            return error
        raise AssertionError("it was accepted")

    def _sns(self) -> Any:
        return get_backend("sns")[self.local.account][REGION]
