"""What `deploy.py` declares of an endpoint that several models share, and whether they declare the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields

from common.deployment.alarms import Alarm
from common.deployment.declare import Endpoint
from common.deployment.rollout import Rollout
from common.errors import UsageError
from common.model import Model


@dataclass(frozen=True)
class SharedEndpoint:
    """A multi-model endpoint, declared alike as `ENDPOINT` by every model that it serves.

    Instances, alarms and the shift of traffic are the endpoint's: a change of one model moves all of them, and an alarm that
    fires brings all of them back.

    Attributes:
        name: of the endpoint; no model has it.
        instance_count: instances; each loads the models that it is asked for.
        keep: how many generations of the endpoint keep their SageMaker model and endpoint configuration.
    """

    name: str
    instance_type: str
    rollout: Rollout
    alarms: tuple[Alarm, ...]
    instance_count: int = 1
    keep: int = 3

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9]{0,23}", self.name):
            raise UsageError(
                f"{self.name!r} cannot name a shared endpoint.",
                "Use 1 to 24 lower-case letters and digits, a letter first: AWS resources get that name.",
            )
        _ = self.settings  # refuses what no endpoint can have

    @property
    def settings(self) -> Endpoint:
        """The endpoint as if one model had it for itself."""
        return Endpoint(self.instance_type, self.rollout, self.alarms, self.instance_count, self.keep)

    @property
    def owner(self) -> Model:
        """What stands where a model stands that has an endpoint for itself: its name is the endpoint's."""
        return Model(self.name, f"the shared endpoint {self.name}", "", "regression")


def members_of(model: Model, endpoint: SharedEndpoint, declared: Mapping[str, object]) -> frozenset[str]:
    """The models that share the endpoint with this one, itself included.

    Args:
        declared: `ENDPOINT` of every model of the checkout.

    Raises:
        UsageError: two models declare the endpoint differently, a model has its name, or the model is a fleet.
    """
    if model.is_fleet:
        raise UsageError(
            f"{model.name} is a fleet, and cannot share the endpoint {endpoint.name}.",
            "A fleet has a multi-model endpoint for itself: declare Endpoint(…).",
        )
    if endpoint.name in declared:
        raise UsageError(
            f"{model.name} declares the shared endpoint {endpoint.name}, which is the name of a model.",
            "A model's own endpoint has its name: give the shared one another.",
        )
    others = {name: other for name, other in declared.items() if isinstance(other, SharedEndpoint)}
    members = {name: other for name, other in others.items() if other.name == endpoint.name}
    for name, other in members.items():
        if other != endpoint:
            raise UsageError(
                f"{model.name} and {name} declare the shared endpoint {endpoint.name} differently: "
                f"{_difference(model.name, endpoint, name, other)}.",
                "One endpoint serves both: declare the same in both models' deploy.py.",
            )
    return frozenset(members) | {model.name}


def _difference(one: str, first: SharedEndpoint, two: str, second: SharedEndpoint) -> str:
    name = next(f.name for f in fields(first) if getattr(first, f.name) != getattr(second, f.name))
    return f"{name} is {getattr(first, name)!r} for {one} and {getattr(second, name)!r} for {two}"
