"""Model data in S3, as the operations check it that refer to it."""

from typing import Any

from common.local.api import Call, validation_error
from common.local.roles.s3 import RoleS3, S3Refused


def check_model_data(call: Call, container: dict[str, Any], s3: RoleS3) -> None:
    """Check that the model data which a container definition names exist, as SageMaker does before it takes it.

    Args:
        s3: as the role that is to serve them sees it.

    Raises:
        ApiError: `ValidationException`, when an object or everything below a prefix is missing or not for that role, or the
            prefix of a multi-model container does not end with a slash.
    """
    source = container.get("ModelDataSource", {}).get("S3DataSource", {})
    prefix = source.get("S3DataType") == "S3Prefix" or container.get("Mode") == "MultiModel"
    uri = source.get("S3Uri") or container.get("ModelDataUrl")
    if container.get("Mode") == "MultiModel" and not str(uri).endswith("/"):
        raise validation_error(
            f"The model data of a multi-model container is a prefix that ends with a slash, not {uri}."
        )
    try:
        if uri and not _exists(s3, uri, prefix):
            raise validation_error(f"Could not find model data at {uri}.")
    except S3Refused as refusal:
        raise validation_error(
            f'Could not access model data at {uri}. Please ensure that the role "{s3.role or s3.principal}" exists and that '
            'its trust relationship policy allows the action "sts:AssumeRole" for the service principal '
            '"sagemaker.amazonaws.com". '
            f'Also ensure that the role has "s3:GetObject" permissions and that the object is located in {call.region}. '
            "If your Model uses multiple models or uncompressed models, please ensure that the role has "
            f'"s3:ListBucket" permission. ({refusal})'
        ) from refusal


def _exists(s3: RoleS3, uri: str, prefix: bool) -> bool:
    if not uri.startswith("s3://"):
        raise validation_error(f"Model data must be at an s3:// URI, not at {uri}.")
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    try:
        if prefix:
            return bool(s3.objects(bucket, key))
        s3.size(bucket, key)
    except KeyError:
        return False
    return True
