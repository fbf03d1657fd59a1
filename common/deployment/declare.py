"""What `deploy.py` declares of an endpoint that answers in real time; `modes.py` has the other ways of inference."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from common.deployment.alarms import Alarm, require_alarms
from common.deployment.capture import Capture
from common.deployment.rollout import AllAtOnce, Rollout
from common.deployment.scaling import Scaling, require_scalable
from common.errors import UsageError

VARIANT = "AllTraffic"

Mode = Literal["real time", "serverless", "asynchronous"]
"""How an endpoint is asked. SageMaker changes the mode of no endpoint that exists."""


@dataclass(frozen=True)
class Endpoint:
    """The endpoint of a model, declared as `ENDPOINT` in `deploy.py`: instances that answer each request at once.

    Attributes:
        instance_count: instances of the model; SageMaker spreads two or more over availability zones. With `scaling`, only what
            a new endpoint begins with.
        keep: how many of the packages deployed last keep their model and endpoint configuration, ready to return to.
    """

    instance_type: str
    rollout: Rollout
    alarms: tuple[Alarm, ...]
    instance_count: int = 1
    keep: int = 3
    scaling: Scaling | None = None
    capture: Capture | None = None

    mode: ClassVar[Mode] = "real time"

    def __post_init__(self) -> None:
        require_kept(self.keep)
        least = min(self.instance_count, self.scaling.at_least) if self.scaling else self.instance_count
        require_guarded(self.rollout, self.alarms, self.instance_type, least)
        if self.scaling:
            require_scalable(self.scaling, self.instance_type, self.instance_count)

    def request(self, model_name: str, capture_uri: str) -> dict[str, Any]:
        """What CreateEndpointConfig takes to serve that model, but name and tags.

        Args:
            capture_uri: the prefix in S3 below which captured calls are recorded.
        """
        request: dict[str, Any] = {
            "ProductionVariants": [on_instances(self.instance_type, self.instance_count, model_name)]
        }
        return request | ({"DataCaptureConfig": self.capture.request(capture_uri)} if self.capture else {})

    def digest(self) -> str:
        """Eight hexadecimal digits over what the endpoint configuration holds, model and bucket aside."""
        return digest_of(self.request("", ""))


def on_instances(instance_type: str, instance_count: int, model_name: str) -> dict[str, Any]:
    """The one production variant of an endpoint that has instances of its own."""
    return {
        "VariantName": VARIANT,
        "ModelName": model_name,
        "InstanceType": instance_type,
        "InitialInstanceCount": instance_count,
        "InitialVariantWeight": 1.0,
    }


def digest_of(request: Mapping[str, Any]) -> str:
    """Eight hexadecimal digits that name an endpoint configuration by what it holds."""
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:8]


def require_kept(keep: int) -> None:
    """Refuse a retention that leaves nothing to return to."""
    if keep < 2:
        raise UsageError(f"keep={keep} is below 2.", "Keep the package that serves and the one before it.")


def require_guarded(rollout: Rollout, alarms: tuple[Alarm, ...], instance_type: str, instances: int) -> None:
    """Refuse a rollout that SageMaker would refuse with so few instances, and one that no alarm could stop."""
    if instances < 2 and not isinstance(rollout, AllAtOnce):
        raise UsageError(
            f"A {type(rollout).__name__.lower()} rollout needs two instances, and {instances} is declared.",
            "SageMaker shifts traffic by parts of the new fleet, at most half of it at a time: declare "
            "instance_count=2 or more (and scaling from at least 2), or AllAtOnce.",
        )
    require_alarms(alarms)
    if instance_type.startswith("ml.inf1."):
        raise UsageError(
            f"An endpoint on {instance_type} cannot be guarded.",
            "SageMaker ignores rollout and alarms on Inf1 instances, and switches all at once: declare another type.",
        )
