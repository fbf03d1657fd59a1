"""Is it the fleet that was approved? Asked of every customer's artifact before traffic, and of a sample of the answers."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from common.archives import ArchiveError, unpack
from common.aws import Aws, error_code
from common.errors import ArtifactError, DeploymentError
from common.evaluation.fleet_manifest import FleetManifest, Listing
from common.evaluation.golden import FleetGolden
from common.registry import Package
from common.storage import Bucket, split_uri

SUFFIX = ".tar.gz"
_REMEDY = "Nothing was changed. Find out who wrote to the bucket, and restore the object from the bucket's versions."
_LOADING_SECONDS, _PAUSE_SECONDS = 120.0, 2.0
_ANSWER_SECONDS = 120
# The container's own way from a request to an answer, for each golden customer: argument 1 is a folder with a folder for each.
_ANSWER = """\
import json, sys
from pathlib import Path
from inference import input_fn, model_fn, output_fn, predict_fn
answers = {}
for customer, request in json.loads(sys.stdin.read()).items():
    model = model_fn(str(Path(sys.argv[1], customer)))
    answer = output_fn(predict_fn(input_fn(json.dumps(request), "application/json"), model), "application/json")
    answers[customer] = json.loads(answer[0] if isinstance(answer, tuple) else answer)
print(json.dumps(answers))
"""


def manifest_of(aws: Aws, package: Package) -> FleetManifest:
    """The manifest of a fleet's package.

    Raises:
        DeploymentError: it is not the one that was registered.
        ArtifactError: it is missing, or damaged.
    """
    content = _registered(aws, package.artifact, package.metadata.get("artifact_digest"), package)
    return FleetManifest.from_archive(content)


def code_of(aws: Aws, package: Package) -> bytes:
    """The archive of the code that serves a fleet's models.

    Raises:
        DeploymentError: it is not the one that was registered.
        ArtifactError: it is missing.
    """
    uri = package.environment.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
    return _registered(aws, uri, package.metadata.get("code_digest"), package)


def listing_of(aws: Aws, prefix: str) -> Listing:
    """By customer, (ETag, bytes) of its artifact below a fleet's prefix."""
    found = Bucket(aws).listing(split_uri(prefix)[1])
    return {name.removesuffix(SUFFIX): entry for name, entry in found.items() if name.endswith(SUFFIX)}


def note_key(package: Package, customer: str) -> str:
    """The key of the note on a customer who was added to a fleet that serves; of none: what all of them begin with."""
    prefix = f"{split_uri(package.fleet)[1].removesuffix('models/')}added/"
    return f"{prefix}{customer}.json" if customer else prefix


def added_customers(aws: Aws, package: Package) -> dict[str, dict[str, Any]]:
    """What was noted of each customer who was added to the fleet of a package after it was registered."""
    bucket, prefix = Bucket(aws), note_key(package, "")
    notes = {name.removesuffix(".json"): bucket.read_json(f"{prefix}{name}") for name in bucket.listing(prefix)}
    return {customer: note for customer, note in notes.items() if note}


def lost_customers(aws: Aws, serving: Package, wanted: Package) -> list[str]:
    """The customers who were added to the fleet that serves, and are not in the one that is wanted."""
    added = {name.removesuffix(".json") for name in Bucket(aws).listing(note_key(serving, ""))}
    return sorted(added - listing_of(aws, wanted.fleet).keys()) if added else []


def compare_fleet(aws: Aws, package: Package) -> FleetManifest:
    """Compare the code and every customer's artifact with what was registered, and answer the manifest.

    One listing compares all of them: by the ETag that S3 gave each object when the fleet was registered, and its size.

    Raises:
        DeploymentError: an artifact, or the code that serves them, is missing or another one.
        ArtifactError: the manifest is missing or damaged.
    """
    manifest = manifest_of(aws, package)
    code_of(aws, package)
    if differs := manifest.differs(listing_of(aws, package.fleet)):
        raise DeploymentError(
            f"The fleet of version {package.version} in {package.fleet} is not the one that was approved: {differs}.",
            _REMEDY,
        )
    return manifest


def check_fleet(aws: Aws, package: Package, golden: FleetGolden) -> None:
    """Compare every customer's artifact with the manifest, and answer the golden requests with those of the sample.

    Raises:
        DeploymentError: an artifact is missing or another one, or the sample does not answer as it did.
        ArtifactError: the manifest, the code or an artifact of the sample is missing or damaged.
    """
    manifest = compare_fleet(aws, package)
    sample = {
        customer: _registered(
            aws, f"{package.fleet}{customer}{SUFFIX}", manifest.customers[customer]["digest"], package
        )
        for customer in golden.answers
    }
    answers = answered_offline(
        code_of(aws, package), sample, {name: told["request"] for name, told in golden.answers.items()}
    )
    problems = filter(None, (golden.mismatch(customer, answers[customer]) for customer in golden.answers))
    if problem := next(problems, ""):
        raise DeploymentError(
            f"Version {package.version} does not predict offline what it did when it was trained: {problem}.", _REMEDY
        )


def answered_offline(code: bytes, models: Mapping[str, bytes], requests: Mapping[str, Any]) -> dict[str, Any]:
    """What customers' models answer with the code that will serve them.

    The code is the package's own, which may be older than this checkout's. It runs in a process of its own, which is not
    handed this one's environment with its credentials.

    Args:
        code, models: `tar.gz` archives whose digests have been compared.

    Raises:
        ArtifactError: the models cannot be loaded, or do not answer.
    """
    with tempfile.TemporaryDirectory() as folder:
        program, archives = Path(folder, "code"), Path(folder, "models")
        _unpack(code, program)
        for customer, archive in models.items():
            _unpack(archive, archives / customer)
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(program)!r})\n{_ANSWER}", str(archives)],
                input=json.dumps(dict(requests)), capture_output=True, text=True, check=False, env={},
                timeout=_ANSWER_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise _mute(f"nothing came within {_ANSWER_SECONDS:g} s") from error
    if done.returncode:
        raise _mute((done.stderr.strip().splitlines() or ["it says nothing"])[-1])
    return dict(json.loads(done.stdout.splitlines()[-1]))  # before it, the code may have printed something of its own


def _mute(reason: str) -> ArtifactError:
    return ArtifactError(f"The fleet's models cannot answer with its code: {reason}.", _REMEDY)


def check_fleet_endpoint(aws: Aws, endpoint: str, golden: FleetGolden) -> str:
    """What is wrong with the endpoint's answers to the golden requests, in words; empty when they match."""
    problems = (check_customer(aws, endpoint, golden, customer) for customer in golden.answers)
    return next(filter(None, problems), "")


def check_customer(aws: Aws, endpoint: str, golden: FleetGolden, customer: str) -> str:
    """What is wrong with the endpoint's answer to a customer's golden request, in words; empty when it matches."""
    try:
        answer = ask_customer(aws, endpoint, customer, golden.answers[customer]["request"])
    except ClientError as error:
        # ValidationError: the endpoint has been deleted or is not in service, or S3 has no such model.
        if error_code(error) not in ("ModelError", "ValidationError", "ModelNotReadyException"):
            raise
        return f"customer {customer}: it answers with an error: {error.response['Error']['Message']}"
    except ValueError as error:
        return f"customer {customer}: the answer is no JSON: {error}"
    try:
        return golden.mismatch(customer, answer)
    except (AttributeError, TypeError, ValueError):
        return f"customer {customer}: the answer is no forecast: {str(answer)[:80]}"


def ask_customer(aws: Aws, endpoint: str, customer: str, request: Any) -> Any:
    """The JSON value that the customer's model answers with; waits for one that is still being loaded.

    Raises:
        ClientError: SageMaker's, or the model's own.
        ValueError: the answer is no JSON.
    """
    return json.loads(ask_target(aws, endpoint, customer, json.dumps(request).encode()))


def ask_target(aws: Aws, endpoint: str, target: str, body: bytes, content_type: str = "application/json") -> bytes:
    """What one model of several behind an endpoint answers, in the same type; waits for one that is still being loaded.

    Raises:
        ClientError: SageMaker's, or the model's own.
    """
    deadline = time.monotonic() + _LOADING_SECONDS
    while True:
        try:
            answer = aws.runtime.invoke_endpoint(
                EndpointName=endpoint,
                TargetModel=f"{target}{SUFFIX}",
                ContentType=content_type,
                Accept=content_type,
                Body=body,
            )
            return answer["Body"].read()
        except ClientError as error:
            if error_code(error) != "ModelNotReadyException" or time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_SECONDS)


def _registered(aws: Aws, uri: str, digest: str | None, package: Package) -> bytes:
    """An object of the package, which has to be the one that was registered with it."""
    content = Bucket(aws).read(split_uri(uri)[1])
    if content is None:
        raise ArtifactError(f"{uri} of version {package.version} is missing from the bucket.", _REMEDY)
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise DeploymentError(
            f"{uri} is not what was registered with version {package.version}: its SHA-256 is {found}, registered is "
            f"{digest}.",
            _REMEDY,
        )
    return content


def _unpack(archive: bytes, folder: Path) -> None:
    try:
        unpack(BytesIO(archive), folder)
    except ArchiveError as error:
        raise ArtifactError(f"An archive of the fleet is damaged: {error}.", _REMEDY) from error
