"""What a container that serves starts with: the model from `model.tar.gz` in S3, and its environment."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from common.archives import ArchiveError, unpack
from common.local.api import ApiError
from common.local.container_environment import container_environment
from common.local.context import LocalAws
from common.local.hosting.spec import VariantSpec
from common.local.roles.s3 import RoleS3, S3Refused


class FleetFailure(Exception):
    """A fleet cannot serve; the message is what the endpoint shows as its `FailureReason`."""


def model_environment(
    aws: LocalAws, region: str, variant: VariantSpec, base: Path, given: Mapping[str, str]
) -> dict[str, str]:
    """The environment of one of a variant's containers, which acts as the model's role.

    Raises:
        FleetFailure: the role does not trust SageMaker any more.
    """
    try:
        return container_environment(aws, region, variant.role_arn, base, given, isolated=variant.isolated)
    except ApiError as refusal:
        raise FleetFailure(refusal.message) from refusal


def unpack_artifact(s3: RoleS3, url: str, label: str, to: Path) -> None:
    """Download the archive at an S3 URL as the model's role and unpack it into a folder, which is created.

    Raises:
        FleetFailure: the object is missing, not for this role, or no safe tar.gz; `label` names the container in the
            message.
    """
    bucket, _, key = url.removeprefix("s3://").partition("/")
    try:
        unpack_object(s3, bucket, key, to)
    except (KeyError, S3Refused) as fault:
        reason = f" ({fault})" if isinstance(fault, S3Refused) else ""
        raise FleetFailure(
            f'Failed to download model data for container "{label}" from URL: "{url}". Please ensure that there is an '
            f"object located at the URL and that the role passed to CreateModel has permissions to download the object.{reason}"
        ) from fault
    except ArchiveError as fault:
        raise FleetFailure(
            f'Failed to extract model data archive for container "{label}" from URL "{url}". Please ensure that '
            f"the object located at the URL is a valid tar.gz archive. ({fault})"
        ) from fault


def unpack_object(s3: RoleS3, bucket: str, key: str, to: Path) -> None:
    """Unpack an archive in S3 into a folder, which is created.

    Raises:
        KeyError: the object is missing.
        S3Refused: the role may not read it.
        ArchiveError: it is no safe tar.gz.
    """
    content = s3.read(bucket, key)
    to.mkdir(parents=True)
    unpack(BytesIO(content), to)
