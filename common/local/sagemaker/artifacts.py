"""Model data in S3, as the operations check it that refer to it."""

from typing import Any

from common.local.api import Call, validation_error


def check_model_data(call: Call, container: dict[str, Any]) -> None:
    """Check that the model data which a container definition names exist, as SageMaker does before it takes it.

    Raises:
        ApiError: `ValidationException`, when an object or everything below a prefix is missing, or the prefix of a
            multi-model container does not end with a slash.
    """
    source = container.get("ModelDataSource", {}).get("S3DataSource", {})
    prefix = source.get("S3DataType") == "S3Prefix" or container.get("Mode") == "MultiModel"
    uri = source.get("S3Uri") or container.get("ModelDataUrl")
    if container.get("Mode") == "MultiModel" and not str(uri).endswith("/"):
        raise validation_error(
            f"The model data of a multi-model container is a prefix that ends with a slash, not {uri}."
        )
    if uri and not _exists(call, uri, prefix):
        raise validation_error(f"Could not find model data at {uri}.")


def _exists(call: Call, uri: str, prefix: bool) -> bool:
    if not uri.startswith("s3://"):
        raise validation_error(f"Model data must be at an s3:// URI, not at {uri}.")
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    try:
        if prefix:
            return bool(call.aws.services.list_objects(call.account, bucket, key))
        call.aws.services.object_size(call.account, bucket, key)
    except KeyError:
        return False
    return True
