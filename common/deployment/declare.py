"""What `deploy.py` declares: the endpoint, how traffic moves to a new package, and the alarms that guard the move."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from common.deployment.alarms import Alarm
from common.deployment.rollout import AllAtOnce, Rollout
from common.errors import UsageError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import ProductionVariantTypeDef

VARIANT = "AllTraffic"


@dataclass(frozen=True)
class Endpoint:
    """The endpoint of a model, declared as `ENDPOINT` in `deploy.py`.

    Attributes:
        keep: how many of the packages deployed last keep their model and endpoint configuration, ready to return to.
    """

    instance_type: str
    rollout: Rollout
    alarms: tuple[Alarm, ...]
    instance_count: int = 1
    keep: int = 3

    def __post_init__(self) -> None:
        if self.keep < 2:
            raise UsageError("Endpoint(keep=…) is below 2.", "Keep the package that serves and the one before it.")
        if self.instance_count < 2 and not isinstance(self.rollout, AllAtOnce):
            raise UsageError(
                f"A {type(self.rollout).__name__.lower()} rollout needs two instances, and {self.instance_count} is declared.",
                "SageMaker shifts traffic by parts of the new fleet, at most half of it at a time: declare "
                "instance_count=2 or more, or AllAtOnce.",
            )
        if not self.alarms:
            raise UsageError(
                "The endpoint declares no alarms.",
                "Without alarms SageMaker never rolls back: declare at least one, e.g. on Invocation5XXErrors.",
            )
        if len({(alarm.metric, alarm.statistic) for alarm in self.alarms}) < len(self.alarms):
            raise UsageError(
                "Two alarms of the endpoint watch the same statistic of the same metric.",
                "They would share a name: keep the stricter one.",
            )

    def variant(self, model_name: str) -> ProductionVariantTypeDef:
        """The production variant that serves that model."""
        return {
            "VariantName": VARIANT,
            "ModelName": model_name,
            "InstanceType": cast("Any", self.instance_type),
            "InitialInstanceCount": self.instance_count,
            "InitialVariantWeight": 1.0,
        }

    def digest(self) -> str:
        """Eight hexadecimal digits over what the endpoint configuration holds, the model aside."""
        return hashlib.sha256(json.dumps(self.variant(""), sort_keys=True).encode()).hexdigest()[:8]
