"""Is it the model that was approved? Asked of the artifact before it meets traffic, and of the endpoint after."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path

from botocore.exceptions import ClientError

from common.aws import Aws, error_code
from common.deployment.asynchronous import ask
from common.deployment.fleet import check_fleet, check_fleet_endpoint, compare_fleet
from common.deployment.plan import Wanted
from common.errors import DeploymentError
from common.evaluation.golden import FleetGolden, Golden
from common.model import Model
from common.registry import Package
from common.storage import Bucket, Layout

_REFUSALS = ("ModelError", "ValidationError")
"""The model's own, and that of an endpoint which has been deleted or is not in service."""


def golden_of(aws: Aws, model: Model, package: Package) -> bytes:
    """The golden predictions of a model's package, as its `golden.json` holds them.

    Raises:
        DeploymentError: they are missing, or not those that were registered.
    """
    key = Layout(model.name).package(package.source, package.data_version, "golden.json")
    content = Bucket(aws).read(key)
    if content is None or hashlib.sha256(content).hexdigest() != package.metadata.get("golden_digest"):
        state = "missing" if content is None else "not the file that was registered"
        raise DeploymentError(
            f"The golden predictions of version {package.version} ({Bucket(aws).uri(key)}) are {state}.",
            "Without them nobody can tell whether the right model serves: restore them from the bucket's versions.",
        )
    return content


def check_artifact(aws: Aws, wanted: Wanted) -> None:
    """Compare the artifact, or every customer's of a fleet, with what was registered, before any endpoint sees it.

    The golden predictions are made again offline: by the artifact, or by a sample of the fleet.

    Raises:
        DeploymentError: it is not what was evaluated and approved, or does not predict what it did.
        ArtifactError: there is none, or it is damaged or unsafe.
    """
    if wanted.package.fleet:
        check_fleet(aws, wanted.package, FleetGolden.from_json(golden_of(aws, wanted.model, wanted.package)))
    else:
        _check_single(aws, wanted)


def _check_single(aws: Aws, wanted: Wanted) -> None:
    # Only a deploy that changes something needs XGBoost; a no-op answers without importing it.
    from common.serving.archive import digest, fetch_artifact, load_predictor

    package = wanted.package
    remedy = "Nothing was changed. Find out who wrote to the bucket, and restore the object from the bucket's versions."
    golden = Golden.from_json(golden_of(aws, wanted.model, wanted.package))
    with tempfile.TemporaryDirectory() as folder:
        archive = fetch_artifact(aws, package.artifact, Path(folder))
        if digest(archive) != package.metadata.get("artifact_digest"):
            raise DeploymentError(
                f"{package.artifact} is not the artifact that was evaluated: its SHA-256 is {digest(archive)}, "
                f"registered with version {package.version} is {package.metadata.get('artifact_digest')}.",
                remedy,
            )
        problem = golden.mismatch(load_predictor(archive).answers(golden.records))
    if problem:
        raise DeploymentError(
            f"Version {package.version} does not predict offline what it did when it was trained: {problem}.", remedy
        )


def check_unchanged(aws: Aws, wanted: Wanted) -> None:
    """Compare what serves already with what was registered, where the endpoint may load it anew at any time: a fleet.

    Raises:
        DeploymentError: an artifact of the fleet is missing or another one.
        ArtifactError: the fleet's manifest is missing or damaged.
    """
    if wanted.package.fleet:
        compare_fleet(aws, wanted.package)


def check_endpoint(aws: Aws, wanted: Wanted, variant: str = "") -> str:
    """What is wrong with the endpoint's answers to the golden records, in words; empty when they match.

    Args:
        variant: the one to ask, where several answer.
    """
    if wanted.package.fleet:
        return check_fleet_endpoint(
            aws, wanted.model.name, FleetGolden.from_json(golden_of(aws, wanted.model, wanted.package))
        )
    golden = Golden.from_json(golden_of(aws, wanted.model, wanted.package))
    body = json.dumps(golden.records).encode()
    try:
        asynchronous = wanted.endpoint.mode == "asynchronous"
        text = _asked_async(aws, wanted, body) if asynchronous else _asked(aws, wanted, body, variant)
    except _WithoutAnswer as error:
        return str(error)
    try:
        return golden.mismatch(json.loads(text)["predictions"])
    except (ValueError, KeyError, TypeError):
        return f"the answer holds no predictions: {text[:80]!r}"


class _WithoutAnswer(Exception):
    """Why the endpoint gave no answer, in words."""


def _asked(aws: Aws, wanted: Wanted, body: bytes, variant: str) -> str:
    try:
        answer = aws.runtime.invoke_endpoint(
            EndpointName=wanted.model.name,
            ContentType="application/json",
            Accept="application/json",
            Body=body,
            **({"TargetVariant": variant} if variant else {}),
        )
    except ClientError as error:
        if error_code(error) not in _REFUSALS:
            raise
        raise _WithoutAnswer(f"it answers with an error: {error.response['Error']['Message']}") from error
    return answer["Body"].read().decode(errors="replace")


def _asked_async(aws: Aws, wanted: Wanted, body: bytes) -> str:
    try:
        answer = ask(aws, wanted.model.name, f"golden-{wanted.package.version}", body)
    except ClientError as error:
        if error_code(error) not in _REFUSALS:
            raise
        raise _WithoutAnswer(f"it answers with an error: {error.response['Error']['Message']}") from error
    except DeploymentError as error:
        raise _WithoutAnswer(error.what) from error
    if answer.failed:
        raise _WithoutAnswer(f"it answers with an error: {answer.reason[:300]}")
    return answer.body.decode(errors="replace")
