"""Is it the model that was approved? Asked of the artifact before it meets traffic, and of the endpoint after."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from botocore.exceptions import ClientError

from common.aws import Aws, error_code
from common.deployment.plan import Wanted
from common.errors import DeploymentError
from common.evaluation.golden import mismatch, read_golden
from common.storage import Bucket, Layout


def golden_of(aws: Aws, wanted: Wanted) -> bytes:
    """The golden predictions of the wanted package.

    Raises:
        DeploymentError: they are missing, or not those that were registered.
    """
    package = wanted.package
    key = Layout(wanted.model.name).package(package.source, package.data_version, "golden.csv")
    golden = Bucket(aws).read(key)
    if golden is None or hashlib.sha256(golden).hexdigest() != package.metadata.get("golden_digest"):
        state = "missing" if golden is None else "not the file that was registered"
        raise DeploymentError(
            f"The golden predictions of version {package.version} ({Bucket(aws).uri(key)}) are {state}.",
            "Without them nobody can tell whether the right model serves: restore them from the bucket's versions.",
        )
    return golden


def check_artifact(aws: Aws, wanted: Wanted) -> None:
    """Download the artifact and score the golden rows with it, before any endpoint sees it.

    Raises:
        DeploymentError: it is not the artifact that was evaluated and approved, or does not predict what it did.
        ArtifactError: there is none, or it is damaged or unsafe.
    """
    # Only a deploy that changes something needs XGBoost; a no-op answers without importing it.
    import numpy

    from common.training.artifact import digest, fetch_artifact, load_booster, predict

    package = wanted.package
    remedy = "Nothing was changed. Find out who wrote to the bucket, and restore the object from the bucket's versions."
    rows, expected = read_golden(golden_of(aws, wanted))
    with tempfile.TemporaryDirectory() as folder:
        archive = fetch_artifact(aws, package.artifact, Path(folder))
        if digest(archive) != package.metadata.get("artifact_digest"):
            raise DeploymentError(
                f"{package.artifact} is not the artifact that was evaluated: its SHA-256 is {digest(archive)}, "
                f"registered with version {package.version} is {package.metadata.get('artifact_digest')}.",
                remedy,
            )
        answered = predict(load_booster(archive), numpy.asarray(rows)).tolist()
    problem = mismatch(expected, answered)
    if problem:
        raise DeploymentError(
            f"Version {package.version} does not predict offline what it did when it was trained: {problem}.", remedy
        )


def check_endpoint(aws: Aws, wanted: Wanted) -> str:
    """What is wrong with the endpoint's answers to the golden rows, in words; empty when they match."""
    rows, expected = read_golden(golden_of(aws, wanted))
    body = "\n".join(",".join(repr(value) for value in row) for row in rows)
    try:
        answer = aws.runtime.invoke_endpoint(
            EndpointName=wanted.model.name, ContentType="text/csv", Accept="text/csv", Body=body.encode()
        )
    except ClientError as error:
        # ValidationError: the endpoint has been deleted, or is not in service.
        if error_code(error) not in ("ModelError", "ValidationError"):
            raise
        return f"it answers with an error: {error.response['Error']['Message']}"
    text = answer["Body"].read().decode()
    try:
        answered = [float(value) for value in text.replace("\n", ",").split(",") if value.strip()]
    except ValueError:
        return f"the answer is not a list of numbers: {text[:80]!r}"
    return mismatch(expected, answered)
