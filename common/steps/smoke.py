"""A smoke test: the endpoint is asked in every way in which it is called, and has to answer as the trained model did."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from common.aws import Aws, error_code
from common.deployment.asynchronous import ask
from common.deployment.fleet import ask_target, check_customer
from common.deployment.live import Live
from common.deployment.shared.declare import SharedEndpoint
from common.deployment.verify import golden_of
from common.errors import DeploymentError
from common.evaluation.golden import FleetGolden, Golden
from common.model import Model
from common.registry import Package
from common.steps.context import Context
from common.steps.invoke import no_endpoint
from common.steps.live import endpoint_name, live_of
from common.tables import text_table

JSON, CSV = "application/json", "text/csv"
_CUSTOMERS = 3
_REFUSALS = ("ModelError", "ValidationError", "ModelNotReadyException")
_BAD_REQUEST, _SERVER_ERROR = 400, 500
_IN_A_FAILURE = re.compile(r"Received \w+ error \((\d{3})\)")


@dataclass(frozen=True)
class Probe:
    """A request, and a function that sends it and says in words what is wrong with the answer; empty when nothing is."""

    request: str
    problem: Callable[[], str]


@dataclass(frozen=True)
class Answer:
    """What came: 0 and the text of the answer, or the HTTP status of the refusal and why."""

    status: int
    text: str


Send = Callable[[bytes, str], Answer]
"""Sends a body of a content type to the model; SageMaker's own refusal is an answer, too."""


def smoke_test(context: Context, model: Model) -> None:
    """Ask the endpoint that serves the model, and print each request with the time to its answer and what was wrong.

    Raises:
        DeploymentError: there is no endpoint, it serves no package of the model, or an answer is wrong.
    """
    live, name = live_of(context, model), endpoint_name(context, model)
    if not live.exists:
        raise no_endpoint(model, name)
    package = context.registry(model).serving(live.package_arn)
    if package is None:
        raise DeploymentError(
            f"The endpoint {name} serves no package of {model.name}.", f"`models deploy {model.name}` deploys main's."
        )
    content = golden_of(context.aws, model, package)
    if package.fleet:
        probes = _of_fleet(context.aws, name, FleetGolden.from_json(content))
    else:
        probes = probes_of_rows(Golden.from_json(content), _sender(context, model, package, live))
    rows, wrong = [], []
    for probe in probes:
        began = time.monotonic()
        problem = probe.problem()
        rows.append([probe.request, f"{(time.monotonic() - began) * 1000:.0f}", problem or "as it should be"])
        wrong += [f"{probe.request}: {problem}"] if problem else []
    context.say(f"{model.name}: version {package.version} behind the endpoint {name}")
    context.say(text_table(["request", "ms", "answer"], rows))
    if wrong:
        raise DeploymentError(
            f"The endpoint {name} does not pass the smoke test with {model.name} version {package.version}: {wrong[0]}"
            f"{f' (and {len(wrong) - 1} more of {len(rows)} requests)' if len(wrong) > 1 else ''}.",
            f"Deploy this package no further. The endpoint's log is in CloudWatch, /aws/sagemaker/Endpoints/{name}.",
        )


# ---- models of rows


def probes_of_rows(golden: Golden, send: Send) -> Iterator[Probe]:
    count = len(golden.records)
    for kind, name in ((JSON, "JSON"), (CSV, "CSV")):
        yield Probe(f"{name}, 1 record", partial(_compared, Golden(golden.records[:1], golden.answers[:1]), kind, send))
        yield Probe(f"{name}, {count} records", partial(_compared, golden, kind, send))
    yield Probe("JSON, a bad record", partial(_refused, golden.records[0], send))


def _compared(golden: Golden, kind: str, send: Send) -> str:
    """What differs between the golden answers and what comes for the records in this content type, in words."""
    answer = send(json.dumps(golden.records).encode() if kind == JSON else _as_csv(golden), kind)
    if answer.status:
        return f"it answers with an error: {answer.text[:300]}"
    try:
        return golden.mismatch(
            json.loads(answer.text)["predictions"] if kind == JSON else _read_csv(answer.text, golden)
        )
    except (ValueError, KeyError, TypeError):
        return f"the answer holds no predictions: {answer.text[:80]!r}"


def _refused(record: Mapping[str, Any], send: Send) -> str:
    """What is wrong with the answer to a record of which no value is what its column declares: it has to be a refusal."""
    answer = send(json.dumps([{name: [] for name in record}]).encode(), JSON)
    if answer.status == _BAD_REQUEST:
        return ""
    if answer.status:
        return f"it is to be refused with status {_BAD_REQUEST}, and not with {answer.status}: {answer.text[:300]}"
    return f"it is to be refused with status {_BAD_REQUEST}, and is answered: {answer.text[:80]!r}"


def _as_csv(golden: Golden) -> bytes:
    names = list(golden.records[0])
    target = io.StringIO()
    lines = csv.writer(target, lineterminator="\n")
    lines.writerow(names)
    lines.writerows([_cell(record.get(name)) for name in names] for record in golden.records)
    return target.getvalue().encode()


def _cell(value: Any) -> Any:
    """As the server reads it from JSON: a category of digits may have become 415.0 there."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _read_csv(text: str, golden: Golden) -> list[dict[str, str]]:
    names = list(golden.answers[0])
    return [dict(zip(names, line, strict=True)) for line in csv.reader(io.StringIO(text))]


def _sender(context: Context, model: Model, package: Package, live: Live) -> Send:
    """How requests get to the model, by how its endpoint is asked."""
    aws, endpoint = context.aws, context.endpoint(model)
    if live.mode == "asynchronous":
        return lambda body, kind: _asked_async(aws, model.name, package, body, kind)

    def send(body: bytes, kind: str) -> Answer:
        try:
            if isinstance(endpoint, SharedEndpoint):
                return Answer(0, ask_target(aws, endpoint.name, model.name, body, kind).decode(errors="replace"))
            # of an A/B test that one which the golden predictions belong to
            variant = {"TargetVariant": live.variants[0]} if len(live.variants) > 1 else {}
            answer = aws.runtime.invoke_endpoint(
                EndpointName=model.name, ContentType=kind, Accept=kind, Body=body, **variant
            )
        except ClientError as error:
            if error_code(error) not in _REFUSALS:
                raise
            return Answer(_status(error), error.response["Error"]["Message"])
        return Answer(0, answer["Body"].read().decode(errors="replace"))

    return send


def _asked_async(aws: Aws, name: str, package: Package, body: bytes, kind: str) -> Answer:
    digest = hashlib.sha256(body).hexdigest()[:16]
    try:
        answer = ask(aws, name, f"smoke-{package.version}-{digest}", body, kind)
    except ClientError as error:
        if error_code(error) not in _REFUSALS:
            raise
        return Answer(_status(error), error.response["Error"]["Message"])
    if not answer.failed:
        return Answer(0, answer.body.decode(errors="replace"))
    told = _IN_A_FAILURE.search(answer.reason)
    return Answer(int(told[1]) if told else _SERVER_ERROR, answer.reason)


def _status(error: ClientError) -> int:
    """The status of the model's own refusal, or else that of SageMaker's."""
    return int(str(error.response.get("OriginalStatusCode") or error.response["ResponseMetadata"]["HTTPStatusCode"]))


# ---- fleets


def _of_fleet(aws: Aws, endpoint: str, golden: FleetGolden) -> Iterator[Probe]:
    for customer in list(golden.answers)[:_CUSTOMERS]:
        yield Probe(f"forecast of customer {customer}", partial(check_customer, aws, endpoint, golden, customer))
