"""The image of SageMaker's built-in XGBoost."""

import json
import re
from importlib.metadata import distribution
from pathlib import Path

from botocore.loaders import create_loader

from common.errors import SettingsError

IMAGE_VERSION = "3.2-0"
"""Of the built-in image; its xgboost is the version that requirements.txt pins for evaluation."""

_TABLE = "sagemaker/core/image_uri_config/xgboost.json"


def image_uri(region: str) -> str:
    """The image in a region, by the SDK's own table.

    The table is read as the file that it is: to import the SDK for one look-up takes one to three seconds.

    Raises:
        SettingsError: AWS publishes no image there.
    """
    table = json.loads(Path(str(distribution("sagemaker-core").locate_file(_TABLE))).read_text())
    image = table["training"]["versions"][IMAGE_VERSION]
    account = image["registries"].get(region)
    if account is None:
        raise SettingsError(
            f"There is no image of XGBoost {IMAGE_VERSION} in the region '{region}'.",
            f"Set AWS_REGION to one of {', '.join(sorted(image['registries']))}.",
        )
    partitions = create_loader().load_data("partitions")["partitions"]
    suffix = next(p["outputs"]["dnsSuffix"] for p in partitions if re.fullmatch(p["regionRegex"], region))
    return f"{account}.dkr.ecr.{region}.{suffix}/{image['repository']}:{IMAGE_VERSION}"
