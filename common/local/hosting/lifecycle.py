"""What happens to an endpoint in the background: it comes up, is updated, resized, taken down, or back after a restart.

Each function moves the endpoint's document from one settled status to the next. The operation that started it has set
the status that says so (`Creating`, `Updating`, `Deleting`), in one transaction with its checks.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

from common.local.hosting.artifact import FleetFailure
from common.local.hosting.deployment import BlueGreen, Closing, Deployment, Phase, RollbackFailed, RolledBack
from common.local.hosting.fleet import Fleet
from common.local.hosting.host import Hosting
from common.local.hosting.live import LiveEndpoint
from common.local.hosting.policy import deployment_policy
from common.local.hosting.rolling import RollingUpdate
from common.local.hosting.spec import FleetSpec
from common.local.hosting.telemetry import Origin

log = logging.getLogger(__name__)

KIND = "endpoint"
"""Endpoints in the store. Beside the members of DescribeEndpoint a document holds `Fleet`, the FleetSpec that serves, and
while the endpoint is updated `Pending`: the next one with its `StartTime`, `DeploymentConfig`, `Phase`, `PhaseTime`, and
`Old` and `New`: what there is of both meanwhile."""

INTERRUPTED = "The update was interrupted by a restart of the service and rolled back."


def start(hosting: Hosting, origin: Origin, task: Callable[[Hosting, Origin], None]) -> None:
    """Do one of the functions below in the background.

    What it did not foresee, such as a full disk, is logged and settles the endpoint too: `Failed` where nothing serves,
    else `UpdateRollbackFailed`, which can be updated again. A server that closes leaves the rest to the next start.
    """

    def run() -> None:
        try:
            task(hosting, origin)
        except Closing:
            return
        except Exception as defect:
            if hosting.aws.closing.is_set():
                return  # the store and the fleets have been closed under its feet
            log.exception("endpoint %s", origin.endpoint)
            status = "UpdateRollbackFailed" if hosting.live(origin.scope, origin.endpoint) else "Failed"
            _settle(hosting, origin, EndpointStatus=status, FailureReason=f"Internal error: {defect}")

    hosting.work(f"endpoint-{origin.endpoint}", run)


def create(hosting: Hosting, origin: Origin) -> None:
    """Creating → InService or Failed."""
    fleet = _started(hosting, origin)
    if fleet is not None:
        # Callers first, then the status: whoever reads InService can invoke.
        hosting.open(origin).serve(fleet)
        _settle(hosting, origin)


def restore(hosting: Hosting, origin: Origin) -> None:
    """After a restart: serve again what the endpoint's document says, or fail.

    `hosting.open` has been called for the endpoint, so that its requests wait.
    """
    live = hosting.live(origin.scope, origin.endpoint)
    fleet = _started(hosting, origin)
    if live is not None and fleet is not None:
        live.serve(fleet)


def update(hosting: Hosting, origin: Origin) -> None:
    """Updating → InService with the new configuration, or after RollingBack with the old one."""
    live, blue = _serving(hosting, origin)
    pending = _document(hosting, origin)["Pending"]
    spec = FleetSpec.from_json(pending["Fleet"])
    config = pending.get("DeploymentConfig")
    try:
        _deployment(hosting, origin, live, blue, spec, config).run()
    except RolledBack as reason:
        _settle(hosting, origin, FailureReason=str(reason))
    except RollbackFailed as reason:
        _raise_when_closing(hosting, reason)
        status = "UpdateRollbackFailed"
        _settle(hosting, origin, EndpointStatus=status, FailureReason=str(reason), Fleet=blue.spec.to_json())
    else:
        _settle(hosting, origin, EndpointConfigName=spec.config_name, Fleet=spec.to_json(), LastDeploymentConfig=config)


def _deployment(
    hosting: Hosting,
    origin: Origin,
    live: LiveEndpoint,
    blue: Fleet,
    spec: FleetSpec,
    config: dict[str, Any] | None,
) -> Deployment:
    green = hosting.fleet(origin, spec)
    policy = deployment_policy(config, spec.instances)

    def alarms_firing() -> list[str]:
        return hosting.alarms.in_alarm(origin.account, origin.region, policy.alarms)

    def entered(phase: Phase | None) -> None:
        _enter(hosting, origin, phase, blue.spec, green.spec)

    if policy.rolling:
        return RollingUpdate(hosting.aws, live, blue, green, policy, policy.rolling, alarms_firing, entered)
    return BlueGreen(hosting.aws, live, blue, green, policy, alarms_firing, entered)


def resize(hosting: Hosting, origin: Origin) -> None:
    """Updating → InService with other weights and instance counts; as before when instances do not come up."""
    spec = FleetSpec.from_json(_document(hosting, origin)["Pending"]["Fleet"])
    _, fleet = _serving(hosting, origin)
    try:
        fleet.resize(spec)
    except FleetFailure as failure:
        _raise_when_closing(hosting, failure)
        _settle(hosting, origin, FailureReason=str(failure))
    else:
        _settle(hosting, origin, Fleet=spec.to_json())


def delete(hosting: Hosting, origin: Origin) -> None:
    """Deleting → gone, after the last request has been answered."""
    live = hosting.live(origin.scope, origin.endpoint)
    fleet = live.wait() if live is not None else None  # it may still be coming up after a restart
    if hosting.aws.closing.is_set():
        raise Closing
    hosting.shut(origin)
    if fleet is not None:
        fleet.stop()
    with hosting.aws.store.transaction():
        hosting.aws.store.delete(origin.scope, "tags", _document(hosting, origin)["EndpointArn"])
        hosting.aws.store.delete(origin.scope, KIND, origin.endpoint)


def roll_back_interrupted(hosting: Hosting, origin: Origin) -> None:
    """After a restart in the middle of an update: the endpoint is InService with its old configuration."""
    _settle(hosting, origin, FailureReason=INTERRUPTED)


def _started(hosting: Hosting, origin: Origin) -> Fleet | None:
    """The endpoint's fleet, healthy; None when it does not come up, which fails the endpoint."""
    fleet = hosting.fleet(origin, FleetSpec.from_json(_document(hosting, origin)["Fleet"]))
    try:
        fleet.start()
    except FleetFailure as failure:
        _raise_when_closing(hosting, failure)
        _settle(hosting, origin, EndpointStatus="Failed", FailureReason=str(failure))
        hosting.shut(origin)
        return None
    return fleet


def _settle(hosting: Hosting, origin: Origin, **changes: Any) -> None:
    settled = {"EndpointStatus": "InService", "Pending": None, "LastModifiedTime": time.time(), **changes}
    hosting.aws.store.update(origin.scope, KIND, origin.endpoint, **settled)


def _enter(hosting: Hosting, origin: Origin, phase: Phase | None, old: FleetSpec, new: FleetSpec) -> None:
    with hosting.aws.store.transaction():
        pending = _document(hosting, origin)["Pending"]
        there = {"Old": old.to_json()} | ({"New": new.to_json()} if "Phase" in pending else {})
        pending |= {**there, "Phase": phase or pending["Phase"], "PhaseTime": time.time()}
        status = "Updating" if phase else "RollingBack"
        hosting.aws.store.update(origin.scope, KIND, origin.endpoint, EndpointStatus=status, Pending=pending)


def _serving(hosting: Hosting, origin: Origin) -> tuple[LiveEndpoint, Fleet]:
    """The endpoint that serves and its fleet, once it has come up after a restart."""
    live = hosting.live(origin.scope, origin.endpoint)
    fleet = live.wait() if live is not None else None
    if live is None or fleet is None:
        raise Closing  # the server closes, or the endpoint has just failed to come back and its document says so
    return live, fleet


def _document(hosting: Hosting, origin: Origin) -> dict[str, Any]:
    document = hosting.aws.store.get(origin.scope, KIND, origin.endpoint)
    if document is None:
        raise KeyError(origin.endpoint)
    return document


def _raise_when_closing(hosting: Hosting, failure: Exception) -> None:
    if hosting.aws.closing.is_set():
        raise Closing from failure
