"""A generation's objects in S3, published and compared; and what its models answer, offline and on the endpoint."""

from __future__ import annotations

import hashlib
import tarfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO

from botocore.exceptions import ClientError

from common.aws import Aws, error_code
from common.deployment.fleet import ask_customer
from common.deployment.plan import Wanted
from common.deployment.shared.generation import CODE, Generation, SharedWanted
from common.deployment.verify import check_artifact, golden_of
from common.errors import DeploymentError
from common.evaluation.golden import Golden
from common.model import Model
from common.registry import Package
from common.storage import Bucket, split_uri
from common.training.code import pack

_THREADS = 8
_REMEDY = "Find out who wrote to the bucket, and restore the object from the bucket's versions."


def publish(aws: Aws, wanted: SharedWanted) -> None:
    """Check every artifact of the generation offline, and put them all below its prefix; the manifest goes last.

    Raises:
        DeploymentError: an artifact is not what was registered, or does not predict what it did; or other code lies there.
        ArtifactError: an artifact is missing, damaged or unsafe.
    """
    bucket, generation = Bucket(aws), wanted.generation
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(partial(_publish_one, aws, wanted), sorted(wanted.packages)))
    code = f"{generation.prefix}code.tar.gz"
    bucket.write_once(code, pack({CODE.name: CODE.read_bytes()}))
    _check_code(bucket, generation)
    bucket.write(f"{generation.prefix}manifest.json", generation.to_json())


def _publish_one(aws: Aws, wanted: SharedWanted, model: str) -> None:
    bucket, key, package = Bucket(aws), wanted.generation.key(model), wanted.packages[model]
    digest = wanted.generation.members[model].digest
    check_artifact(aws, _as_wanted(model, package, wanted))
    if _sha256(bucket.read(key)) == digest:
        return
    content = bucket.read(split_uri(package.artifact)[1])
    if content is None or _sha256(content) != digest:
        raise DeploymentError(f"{package.artifact} of {model} was changed while it was checked.", _REMEDY)
    bucket.write(key, content)


def check_published(aws: Aws, generation: Generation) -> None:
    """Compare the objects that the endpoint may load anew at any time with what was published.

    Raises:
        DeploymentError: an artifact, or the code that serves them, is missing or another one.
    """
    bucket, models = Bucket(aws), sorted(generation.members)
    _check_code(bucket, generation)
    with ThreadPoolExecutor(_THREADS) as pool:
        contents = pool.map(lambda model: _sha256(bucket.read(generation.key(model))), models)
        differ = [m for m, found in zip(models, contents, strict=True) if found != generation.members[m].digest]
    if differ:
        raise DeploymentError(
            f"{len(differ)} of {len(models)} artifacts of the endpoint {generation.endpoint} are missing or not what was "
            f"published (the first: {bucket.uri(generation.key(differ[0]))}).",
            _REMEDY,
        )


def _check_code(bucket: Bucket, generation: Generation) -> None:
    """The archive holds the generation's serving module, and nothing else that could be imported."""
    key = f"{generation.prefix}code.tar.gz"
    try:
        with tarfile.open(fileobj=BytesIO(bucket.read(key) or b"")) as tar:
            found = {member.name: _sha256(_content(tar, member)) for member in tar}
    except (tarfile.TarError, OSError, EOFError, zlib.error):
        found = {}
    if found != {CODE.name: generation.code}:
        raise DeploymentError(
            f"{bucket.uri(key)} is not the code that the endpoint {generation.endpoint} was published with.", _REMEDY
        )


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes | None:
    file = tar.extractfile(member) if member.isfile() else None
    return file.read() if file else None


def check_answers(aws: Aws, wanted: SharedWanted) -> str:
    """What is wrong with the endpoint's answers to the golden records of any of its models, in words; empty when all match."""
    with ThreadPoolExecutor(_THREADS) as pool:
        found = pool.map(partial(_problem, aws, wanted), sorted(wanted.packages))
        return next(filter(None, found), "")


def _problem(aws: Aws, wanted: SharedWanted, model: str) -> str:
    package = wanted.packages[model]
    golden, said = (
        Golden.from_json(golden_of(aws, Model(model, "", "", "regression"), package)),
        f"{model} version {package.version}",
    )
    try:
        problem = golden.mismatch(ask_customer(aws, wanted.model.name, model, golden.records)["predictions"])
    except ClientError as error:
        # ValidationError: the endpoint has been deleted or is not in service, or S3 has no such model.
        if error_code(error) not in ("ModelError", "ValidationError", "ModelNotReadyException"):
            raise
        return f"{said}: it answers with an error: {error.response['Error']['Message']}"
    except (ValueError, KeyError, TypeError) as error:
        return f"{said}: the answer holds no predictions: {error!r}"
    return f"{said}: {problem}" if problem else ""


def _as_wanted(model: str, package: Package, wanted: SharedWanted) -> Wanted:
    """The package as if it were deployed to an endpoint of its own."""
    return Wanted(Model(model, "", "", "regression"), package, wanted.endpoint)


def _sha256(content: bytes | None) -> str:
    return "" if content is None else hashlib.sha256(content).hexdigest()
