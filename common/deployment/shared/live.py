"""What a shared endpoint serves now: its configuration's name leads to a manifest in S3. Reads only."""

from __future__ import annotations

from dataclasses import replace

from common.aws import Aws
from common.deployment.live import Live, observe
from common.deployment.shared.declare import SharedEndpoint
from common.deployment.shared.generation import Generation, digest_in, prefix_of
from common.errors import ArtifactError, DeploymentError
from common.model import Model
from common.storage import Bucket

_REMEDY = "Find out who wrote to the bucket, and restore the object from the bucket's versions."


def served_by(aws: Aws, endpoint: SharedEndpoint, live: Live) -> Generation | None:
    """What the shared endpoint serves; None where there is no endpoint.

    Raises:
        DeploymentError: what serves is no shared endpoint of this project.
        ArtifactError: nobody can tell what it serves, since its manifest is missing or damaged.
    """
    return read_generation(aws, endpoint.name, live.configuration) if live.configuration else None


def observe_member(aws: Aws, model: Model, endpoint: SharedEndpoint) -> Live:
    """The shared endpoint as it stands for one of its models: `package_arn` is that model's package, empty where it has none.

    Raises:
        DeploymentError, ArtifactError: as `served_by`.
    """
    live = observe(aws, endpoint.owner)
    served = served_by(aws, endpoint, live)
    member = served.members.get(model.name) if served else None
    return replace(live, package_arn=member.package if member else "")


def configurations_of(aws: Aws, endpoint: SharedEndpoint) -> list[str]:
    """The endpoint configurations that deploys to the shared endpoint have made and no sweep has deleted, newest first."""
    pages = aws.sagemaker.get_paginator("list_endpoint_configs").paginate(
        NameContains=f"{endpoint.name}-shared-", SortBy="CreationTime", SortOrder="Descending"
    )
    names = [each["EndpointConfigName"] for page in pages for each in page["EndpointConfigs"]]
    return [name for name in names if digest_in(endpoint.name, name)]


def read_generation(aws: Aws, endpoint: str, configuration: str) -> Generation:
    """What an endpoint configuration of the shared endpoint serves, by the manifest in S3.

    Raises:
        DeploymentError: no deploy of a shared endpoint has made the configuration.
        ArtifactError: the manifest is missing, damaged, or another generation's.
    """
    digest = digest_in(endpoint, configuration)
    if not digest:
        raise DeploymentError(
            f"The endpoint {endpoint} serves {configuration}, which no deploy of a shared endpoint has made.",
            "Give the shared endpoint another name, or delete that endpoint if nobody needs it.",
        )
    key = f"{prefix_of(endpoint, digest)}manifest.json"
    content = Bucket(aws).read(key)
    if content is None:
        raise ArtifactError(f"{Bucket(aws).uri(key)}, which says what {configuration} serves, is missing.", _REMEDY)
    generation = Generation.from_json(content)
    if generation.digest != digest:
        raise ArtifactError(f"{Bucket(aws).uri(key)} is not what {configuration} was made with.", _REMEDY)
    return generation
