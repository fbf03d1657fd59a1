"""The images that jobs and endpoints run: by their tags, and what a tag stands for now."""

from __future__ import annotations

import json
import re
from importlib.metadata import distribution
from pathlib import Path
from typing import Literal

from botocore.exceptions import ClientError
from botocore.loaders import create_loader

from common.aws import Aws, error_code
from common.errors import SettingsError

Framework = Literal["xgboost", "sklearn"]

VERSIONS: dict[Framework, str] = {"xgboost": "3.2-0", "sklearn": "1.4-2-py312"}
"""Of the images. XGBoost's is the version that requirements.txt pins for evaluation. scikit-learn's runs the scripts of a
fleet with Python 3.12, NumPy 2.1, SciPy and pandas 2.3; its plain 1.4-2 is listed for training alone.
"""

_MANIFESTS = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
]
"""Without them, ECR would answer with the digest of a conversion where a tag stands for several platforms."""
_TABLES = "sagemaker/core/image_uri_config"


def image_uri(region: str, framework: Framework = "xgboost") -> str:
    """The image in a region, by the SDK's own table.

    The table is read as the file that it is: to import the SDK for one look-up takes one to three seconds.

    Raises:
        SettingsError: AWS publishes no image there.
    """
    version = VERSIONS[framework]
    table = json.loads(Path(str(distribution("sagemaker-core").locate_file(f"{_TABLES}/{framework}.json"))).read_text())
    image = table["training"]["versions"][version]
    account = image["registries"].get(region)
    if account is None:
        raise SettingsError(
            f"There is no image of {framework} {version} in the region '{region}'.",
            f"Set AWS_REGION to one of {', '.join(sorted(image['registries']))}.",
        )
    partitions = create_loader().load_data("partitions")["partitions"]
    suffix = next(p["outputs"]["dnsSuffix"] for p in partitions if re.fullmatch(p["regionRegex"], region))
    tag = "-".join([version, *image.get("processors", ()), *image.get("py_versions", ())])
    return f"{account}.dkr.ecr.{region}.{suffix}/{image['repository']}:{tag}"


def resolved(aws: Aws, image: str) -> str:
    """The image by its digest, `<repository>@sha256:…`, which is the same for ever; a tag can be moved to another image.

    Args:
        image: by a tag, in the region that the command works in.

    Raises:
        SettingsError: the registry has no such image.
    """
    place, _, tag = image.rpartition(":")
    host, _, repository = place.partition("/")
    digests: set[str] = set()
    try:
        answer = aws.ecr.batch_get_image(
            registryId=host.partition(".")[0],
            repositoryName=repository,
            imageIds=[{"imageTag": tag}],
            acceptedMediaTypes=_MANIFESTS,
        )
        digests = {found["imageId"]["imageDigest"] for found in answer["images"]}
    except ClientError as error:
        if error_code(error) != "RepositoryNotFoundException":
            raise
    if len(digests) != 1:
        raise SettingsError(
            f"{host} has no image {repository}:{tag}.",
            "Look up which images AWS publishes in this region; common/training/image.py names the versions.",
        )
    return f"{place}@{digests.pop()}"
