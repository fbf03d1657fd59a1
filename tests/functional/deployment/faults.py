"""The faults that a deploy may meet, each injected around one deploy of package 2 while package 1 serves.

A fault says what its deploy has to end in: which package serves, what its message names, and whether the package itself is
bad. All else that a cell of the matrix asks is the same for all of them.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from unittest.mock import patch

from common.deployment.alarms import Alarm
from common.deployment.modes import DeclaredEndpoint, ServerlessEndpoint
from common.registry import Package
from common.serving.archive import CODE
from tests.functional.deployment.deployment_kit import IMAGE, Project, eventually, on_call, trained
from tests.functional.deployment.test_refused_calls import answered_instead

UNKNOWN_IMAGE = IMAGE.replace("3.2-0", "9.9-9")

CANNOT_LOAD = """
def model_fn(model_dir):
    raise RuntimeError("this model does not load")
"""
WRONG = """
_right = transform_fn
def transform_fn(model, content, content_type, accept):
    body, kind = _right(model, content, content_type, accept)
    found = json.loads(body)
    for each in found["predictions"]:
        each["prediction"] += 1000
    return json.dumps(found), kind
"""
SLOW = """
import time
_fast = transform_fn
def transform_fn(*request):
    time.sleep(2)
    return _fast(*request)
"""
CRASHES = """
import os
def transform_fn(*request):
    os._exit(3)
"""


@dataclass(frozen=True)
class Cell:
    """One deploy to disturb: the project in which package 1 serves, package 2, and what is declared."""

    project: Project
    package: Package
    endpoint: DeclaredEndpoint


Injection = Callable[[Cell], AbstractContextManager[object]]


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    Attributes:
        ends: which package answers after the deploy; 0 when the endpoint is gone or has failed, and answers nobody.
        says: regular expression that the message has to match; empty when the deploy succeeds.
        unguarded: what replaces `ends` and `says` where no alarm watches; None when that is the same.
        declared: what is declared instead while the fault is there.
        code: Python that the package's container runs behind the real serving code; the package is bad then.
        inject: holds while the deploy runs; what it has broken is mended at its end.
        harms: whether callers of the new instances get errors, as they would on AWS.
        slowly: whether the alarms need time to see it.
        loaded: whether callers ask during the deploy.
        elsewhere: whether another test of this folder plays it, too, so that the sample of `make test` leaves it out.
    """

    name: str
    ends: int
    says: str = ""
    unguarded: tuple[int, str] | None = None
    declared: Callable[[DeclaredEndpoint], DeclaredEndpoint] = field(default=lambda endpoint: endpoint)
    code: str = ""
    inject: Injection = field(default=lambda _: nullcontext())
    harms: bool = False
    slowly: bool = False
    loaded: bool = True
    elsewhere: bool = False

    def expected(self, endpoint: DeclaredEndpoint) -> tuple[int, str]:
        """`ends` and `says` for that declaration."""
        return self.unguarded if self.unguarded and not endpoint.alarms else (self.ends, self.says)

    def package(self, project: Project, number: int) -> Package:
        return project.package(number, artifact=_with_code(number, self.code) if self.code else b"")


def _with_code(number: int, code: str) -> bytes:
    """The archive of `trained(number)`, whose container runs that code, too; the offline check does not see it."""
    files = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(trained(number)[0])) as old,
        tarfile.open(fileobj=files, mode="w:gz") as new,
    ):
        for member in old.getmembers():
            extracted = old.extractfile(member)
            assert extracted is not None
            content = extracted.read()
            if member.name == f"code/{CODE.name}":
                content += code.encode()
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))
    return files.getvalue()


def as_called(operation: str, endpoint: DeclaredEndpoint) -> str:
    """The operation by which a deploy to that endpoint does what another one does by `operation`."""
    return f"{operation}Async" if operation == "InvokeEndpoint" and endpoint.mode == "asynchronous" else operation


def throttled(operation: str) -> Injection:
    """AWS answers this operation `ThrottlingException` for longer than a client tries."""

    @contextmanager
    def inject(cell: Cell) -> Iterator[None]:
        aws, called = cell.project.aws, as_called(operation, cell.endpoint)
        with ExitStack() as stack:
            stack.enter_context(patch("botocore.endpoint.time.sleep"))  # the pauses between the client's attempts
            for client in (aws.sagemaker, aws.cloudwatch, aws.runtime):
                stack.enter_context(answered_instead(client, "ThrottlingException", 50, called))
            yield

    return inject


@contextmanager
def _artifact_lost(cell: Cell) -> Iterator[None]:
    s3, key = cell.project.account.client("s3"), cell.package.artifact.split("/", 3)[3]
    place = {"Bucket": cell.project.account.bucket, "Key": key}
    content = s3.get_object(**place)["Body"].read()
    s3.delete_object(**place)
    yield
    s3.put_object(**place, Body=content)


@contextmanager
def _artifact_lost_under_way(cell: Cell) -> Iterator[None]:
    with ExitStack() as stack:

        def lose() -> None:
            stack.enter_context(_artifact_lost(cell))

        with once(cell.project.aws.sagemaker, "UpdateEndpoint", lose):
            yield


@contextmanager
def once(client: object, operation: str, do: Callable[[], None]) -> Iterator[None]:
    """Do something right before the first call of that operation by this client."""
    done: list[bool] = []

    def first() -> None:
        if not done:
            done.append(True)
            do()

    with on_call(client, operation, first):
        yield


def _delete_endpoint(project: Project) -> None:
    project.account.client("sagemaker").delete_endpoint(EndpointName=project.model.name)
    eventually(lambda: not project.live().exists, "the endpoint is gone")


@contextmanager
def _deleted_before(cell: Cell) -> Iterator[None]:
    _delete_endpoint(cell.project)
    yield


@contextmanager
def _deleted_before_update(cell: Cell) -> Iterator[None]:
    with once(cell.project.aws.sagemaker, "UpdateEndpoint", lambda: _delete_endpoint(cell.project)):
        yield


@contextmanager
def _deleted_before_verification(cell: Cell) -> Iterator[None]:
    asked = as_called("InvokeEndpoint", cell.endpoint)
    with once(cell.project.aws.runtime, asked, lambda: _delete_endpoint(cell.project)):
        yield


def _configure_by_hand(cell: Cell, model_name: str) -> None:
    account = cell.project.account
    request = cell.endpoint.request(model_name, f"s3://{account.bucket}/by-hand/capture")
    account.client("sagemaker").create_endpoint_config(EndpointConfigName="by-hand", **request)


@contextmanager
def _failed(cell: Cell) -> Iterator[None]:
    project, sagemaker = cell.project, cell.project.account.client("sagemaker")
    _delete_endpoint(project)
    sagemaker.create_model(
        ModelName="by-hand", PrimaryContainer={"Image": UNKNOWN_IMAGE}, ExecutionRoleArn=project.account.role
    )
    _configure_by_hand(cell, "by-hand")
    sagemaker.create_endpoint(EndpointName=project.model.name, EndpointConfigName="by-hand")
    eventually(lambda: project.live().status == "Failed", "the endpoint has failed")
    yield


@contextmanager
def _updated_by_somebody_else(cell: Cell) -> Iterator[None]:
    project, sagemaker = cell.project, cell.project.account.client("sagemaker")
    _configure_by_hand(cell, project.live().model_name)
    sagemaker.update_endpoint(EndpointName=project.model.name, EndpointConfigName="by-hand")
    yield


@contextmanager
def _alarms_lost(cell: Cell) -> Iterator[None]:
    names = cell.project.wanted(cell.package, cell.endpoint).alarm_names

    def delete() -> None:
        cell.project.account.client("cloudwatch").delete_alarms(AlarmNames=names)

    with once(cell.project.aws.sagemaker, "UpdateEndpoint", delete):
        yield


@contextmanager
def _alarm_fires(cell: Cell) -> Iterator[None]:
    cloudwatch, alarms = cell.project.account.client("cloudwatch"), cell.endpoint.alarms

    def put(state: str) -> None:
        for alarm in alarms[:1]:
            name = alarm.name(cell.project.model.name)
            cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="a drill")

    put("ALARM")
    with patch("common.deployment.guard._PATIENCE_SECONDS", 0.2):
        yield
    put("OK")


def _requiring_data(endpoint: DeclaredEndpoint) -> DeclaredEndpoint:
    return _with_alarms(endpoint, *(replace(alarm, require_data=True) for alarm in endpoint.alarms))


def _watching_latency(endpoint: DeclaredEndpoint) -> DeclaredEndpoint:
    """Declared for this one fault only: on a busy machine good models are slow, too."""
    return _with_alarms(endpoint, *endpoint.alarms, Alarm("ModelLatency", "Maximum", above=1.5e6))


def _with_alarms(endpoint: DeclaredEndpoint, *alarms: Alarm) -> DeclaredEndpoint:
    return endpoint if isinstance(endpoint, ServerlessEndpoint) else replace(endpoint, alarms=alarms)


@contextmanager
def _no_data(cell: Cell) -> Iterator[None]:
    """As if the last request to what serves, the one that verified it, were long ago."""
    with patch("common.deployment.guard._points", return_value=[]):
        yield


CHANGES = ("CreateModel", "CreateEndpointConfig", "PutMetricAlarm", "AddTags", "UpdateEndpoint")
"""What a deploy calls to change something before its update begins; after it, the new package serves already."""
RECORDS = ("InvokeEndpoint", "UpdateModelPackage", "DeleteTags")

NOT_ITSELF = r"as it did when it was trained: .*Rolled back: \S+ serves"

FAULTS = [
    Fault("model cannot load", ends=1, says="did not pass the ping health check", code=CANNOT_LOAD),
    Fault("wrong model", ends=1, says=NOT_ITSELF, code=WRONG),
    Fault(
        "slow model",
        ends=1,
        says="alarm.* abalone-ModelLatency-Maximum",
        unguarded=(2, ""),
        declared=_watching_latency,
        code=SLOW,
        slowly=True,
    ),
    Fault(
        "crashing model",
        ends=1,
        says="alarm.* abalone-Invocation5XXErrors-Sum",
        unguarded=(1, NOT_ITSELF),
        code=CRASHES,
        harms=True,
        slowly=True,
    ),
    Fault("artifact lost", ends=1, says="There is no artifact at s3://", inject=_artifact_lost),
    Fault("artifact lost under way", ends=1, says="did not happen: .* serves", inject=_artifact_lost_under_way),
    Fault("alarms lost", 1, "AWS refused UpdateEndpoint: .*alarm", (2, ""), inject=_alarms_lost, elsewhere=True),
    Fault("an alarm fires already", 1, "not deployed: in ALARM already", (2, ""), inject=_alarm_fires, loaded=False),
    Fault("alarms without data", ends=2, loaded=False, elsewhere=True),
    Fault(
        "alarms that need data without any",
        ends=1,
        says="must guard the rollout",
        unguarded=(2, ""),
        declared=_requiring_data,
        inject=_no_data,
        loaded=False,
    ),
    Fault("endpoint failed", ends=2, inject=_failed, loaded=False),
    Fault("endpoint updated by somebody else", ends=2, inject=_updated_by_somebody_else),
    Fault("endpoint deleted before", ends=2, inject=_deleted_before, loaded=False, elsewhere=True),
    Fault("endpoint deleted before the update", ends=2, inject=_deleted_before_update, loaded=False, elsewhere=True),
    Fault(
        "endpoint deleted before its verification",
        ends=0,
        says="somebody else deleted the endpoint",
        inject=_deleted_before_verification,
        loaded=False,
        elsewhere=True,
    ),
    *(
        Fault(
            f"throttled {name}",
            ends=2 if name in RECORDS else 1,
            says=f"refused {name}(Async)?: .*it continues where it stopped",
            unguarded=(2, "") if name == "PutMetricAlarm" else None,
            inject=throttled(name),
            elsewhere=name != "InvokeEndpoint",
        )
        for name in (*CHANGES, *RECORDS)
    ),
]
"""Where no alarm watches, a slow model that answers rightly is deployed: nothing says that it is too slow."""
