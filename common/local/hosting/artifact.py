"""From `model.tar.gz` in S3 to the folder that a container serves from."""

from io import BytesIO
from pathlib import Path

from common.local.containers.archive import ArchiveError, unpack
from common.local.services import Services


class FleetFailure(Exception):
    """A fleet cannot serve; the message is what the endpoint shows as its `FailureReason`."""


def unpack_artifact(services: Services, account: str, url: str, label: str, to: Path) -> None:
    """Download the archive at an S3 URL and unpack it into a folder, which is created.

    Raises:
        FleetFailure: the object is missing, or no safe tar.gz; `label` names the container in the message.
    """
    bucket, _, key = url.removeprefix("s3://").partition("/")
    try:
        unpack_object(services, account, bucket, key, to)
    except KeyError:
        raise FleetFailure(
            f'Failed to download model data for container "{label}" from URL: "{url}". Please ensure that there is an '
            "object located at the URL and that the role passed to CreateModel has permissions to download the object."
        ) from None
    except ArchiveError as fault:
        raise FleetFailure(
            f'Failed to extract model data archive for container "{label}" from URL "{url}". Please ensure that '
            f"the object located at the URL is a valid tar.gz archive. ({fault})"
        ) from fault


def unpack_object(services: Services, account: str, bucket: str, key: str, to: Path) -> None:
    """Unpack an archive in S3 into a folder, which is created.

    Raises:
        KeyError: the object is missing.
        ArchiveError: it is no safe tar.gz.
    """
    content = services.read_object(account, bucket, key)
    to.mkdir(parents=True)
    unpack(BytesIO(content), to)
