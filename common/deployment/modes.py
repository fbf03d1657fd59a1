"""Ways of inference beside real time, as `deploy.py` declares them: serverless and asynchronous."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from common.deployment.alarms import Alarm
from common.deployment.declare import VARIANT, Endpoint, Mode, digest_of, on_instances, require_guarded, require_kept
from common.deployment.rollout import Rollout
from common.deployment.scaling import BacklogScaling, require_scalable
from common.errors import UsageError

_MEMORY_SIZES = range(1024, 6144 + 1, 1024)
_MOST_CONCURRENT_SERVERLESS = 200
_MOST_CONCURRENT_ASYNC = 1000
_ASYNC_METRICS = ("Invocation4XXErrors", "Invocation5XXErrors", "ModelLatency")
_TOPIC = r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_.-]+"


@dataclass(frozen=True)
class ServerlessEndpoint:
    """An endpoint without instances: it costs what its requests take, and a request after a pause waits for the model.

    SageMaker shifts no traffic by parts here and watches no alarms. The golden predictions after the update still decide
    whether the new package stays.

    Attributes:
        max_concurrency: requests that are answered at the same time; more are refused.
        provisioned_concurrency: of these, how many are answered by models that are kept loaded, and paid for.
    """

    memory_mb: int
    max_concurrency: int
    provisioned_concurrency: int = 0
    keep: int = 3

    mode: ClassVar[Mode] = "serverless"
    alarms: ClassVar[tuple[Alarm, ...]] = ()
    rollout: ClassVar[Rollout | None] = None
    scaling: ClassVar[None] = None

    def __post_init__(self) -> None:
        require_kept(self.keep)
        if self.memory_mb not in _MEMORY_SIZES:
            raise UsageError(
                f"A serverless endpoint with {self.memory_mb} MB of memory is not possible.",
                f"SageMaker has {', '.join(map(str, _MEMORY_SIZES))} MB.",
            )
        if not 1 <= self.max_concurrency <= _MOST_CONCURRENT_SERVERLESS:
            raise UsageError(
                f"A serverless endpoint that answers {self.max_concurrency} requests at a time is not possible.",
                f"SageMaker takes a max_concurrency from 1 to {_MOST_CONCURRENT_SERVERLESS}.",
            )
        if not 0 <= self.provisioned_concurrency <= self.max_concurrency:
            raise UsageError(
                f"A provisioned_concurrency of {self.provisioned_concurrency} is not possible with a max_concurrency of "
                f"{self.max_concurrency}.",
                f"Declare 0 (none is kept loaded) to {self.max_concurrency}.",
            )

    def request(self, model_name: str, capture_uri: str) -> dict[str, Any]:  # noqa: ARG002 - SageMaker captures no calls here
        """What CreateEndpointConfig takes to serve that model, but name and tags."""
        serverless = {"MemorySizeInMB": self.memory_mb, "MaxConcurrency": self.max_concurrency}
        if self.provisioned_concurrency:
            serverless["ProvisionedConcurrency"] = self.provisioned_concurrency
        return {
            "ProductionVariants": [{"VariantName": VARIANT, "ModelName": model_name, "ServerlessConfig": serverless}]
        }

    def digest(self) -> str:
        """Eight hexadecimal digits over what the endpoint configuration holds, the model aside."""
        return digest_of(self.request("", ""))


@dataclass(frozen=True)
class AsyncEndpoint:
    """An endpoint that takes requests of up to 1 GB from S3, lets them wait their turn, and leaves the answers in S3.

    Attributes:
        max_concurrent: requests that one instance is asked at the same time.
        success_topic, error_topic: ARNs of the SNS topics that are told of each answer and each failure; empty: nobody is.
        instance_count: instances of the model; with `scaling`, only what a new endpoint begins with.
        keep: how many of the packages deployed last keep their model and endpoint configuration, ready to return to.
    """

    instance_type: str
    rollout: Rollout
    alarms: tuple[Alarm, ...]
    max_concurrent: int
    success_topic: str = ""
    error_topic: str = ""
    instance_count: int = 1
    keep: int = 3
    scaling: BacklogScaling | None = None

    mode: ClassVar[Mode] = "asynchronous"

    def __post_init__(self) -> None:
        require_kept(self.keep)
        least = min(self.instance_count, self.scaling.at_least) if self.scaling else self.instance_count
        require_guarded(self.rollout, self.alarms, self.instance_type, least)
        if self.scaling:
            require_scalable(self.scaling, self.instance_type, self.instance_count)
        for alarm in self.alarms:
            if alarm.metric not in _ASYNC_METRICS:
                raise UsageError(
                    f"An alarm on {alarm.metric} of an asynchronous endpoint would never see data.",
                    f"SageMaker reports {', '.join(_ASYNC_METRICS)} of those: declare alarms on these.",
                )
        if not 1 <= self.max_concurrent <= _MOST_CONCURRENT_ASYNC:
            raise UsageError(
                f"An instance that is asked {self.max_concurrent} asynchronous requests at a time is not possible.",
                f"SageMaker takes a max_concurrent from 1 to {_MOST_CONCURRENT_ASYNC}.",
            )
        for topic in (self.success_topic, self.error_topic):
            if topic and not re.fullmatch(_TOPIC, topic):
                raise UsageError(
                    f"{topic!r} is no SNS topic.", "Declare its ARN, e.g. arn:aws:sns:eu-west-1:123456789012:answers."
                )

    def request(self, model_name: str, capture_uri: str) -> dict[str, Any]:
        """What CreateEndpointConfig takes to serve that model, but name and tags.

        Args:
            capture_uri: where an endpoint in real time records its calls; answers and failures get a place beside it.
        """
        beside = f"{capture_uri.rpartition('/')[0]}/async"
        topics = {"SuccessTopic": self.success_topic, "ErrorTopic": self.error_topic}
        output = {
            "S3OutputPath": f"{beside}/output",
            "S3FailurePath": f"{beside}/failure",
            "NotificationConfig": {name: topic for name, topic in topics.items() if topic},
        }
        return {
            "ProductionVariants": [on_instances(self.instance_type, self.instance_count, model_name)],
            "AsyncInferenceConfig": {
                "ClientConfig": {"MaxConcurrentInvocationsPerInstance": self.max_concurrent},
                "OutputConfig": {name: value for name, value in output.items() if value},
            },
        }

    def digest(self) -> str:
        """Eight hexadecimal digits over what the endpoint configuration holds, model and bucket aside."""
        return digest_of(self.request("", ""))


def mode_of(configuration: Mapping[str, Any]) -> Mode:
    """The mode of an endpoint by its configuration, as DescribeEndpointConfig answers it."""
    if "AsyncInferenceConfig" in configuration:
        return "asynchronous"
    serverless = any("ServerlessConfig" in variant for variant in configuration["ProductionVariants"])
    return "serverless" if serverless else "real time"


DeclaredEndpoint = Endpoint | ServerlessEndpoint | AsyncEndpoint
