"""The image is the one that the SDK names, without the seconds that its import takes."""

import json
from importlib.metadata import distribution
from pathlib import Path

import pytest

from common.errors import SettingsError
from common.training.image import IMAGE_VERSION, image_uri


def test_the_image_of_every_region_is_the_sdks() -> None:
    from sagemaker.core import image_uris

    table = distribution("sagemaker-core").locate_file("sagemaker/core/image_uri_config/xgboost.json")
    regions = json.loads(Path(str(table)).read_text())["training"]["versions"][IMAGE_VERSION]["registries"]
    assert len(regions) > 30
    assert {region: image_uri(region) for region in regions} == {
        region: image_uris.retrieve("xgboost", region, version=IMAGE_VERSION) for region in regions
    }


def test_a_region_without_an_image_is_refused_with_those_that_have_one() -> None:
    with pytest.raises(SettingsError, match="in the region 'eu-nowhere-1'") as refused:
        image_uri("eu-nowhere-1")
    assert "eu-west-1" in str(refused.value)
