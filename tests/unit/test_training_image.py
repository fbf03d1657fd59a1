"""The image is the one that the SDK names, without the seconds that its import takes."""

import json
from importlib.metadata import distribution
from pathlib import Path

import pytest

from common.errors import SettingsError
from common.training.image import VERSIONS, Framework, image_uri


@pytest.mark.parametrize("framework", VERSIONS)
@pytest.mark.long
def test_the_image_of_every_region_is_the_sdks(framework: Framework) -> None:
    from sagemaker.core import image_uris

    table = distribution("sagemaker-core").locate_file(f"sagemaker/core/image_uri_config/{framework}.json")
    regions = json.loads(Path(str(table)).read_text())["training"]["versions"][VERSIONS[framework]]["registries"]
    assert len(regions) > 30
    assert {region: image_uri(region, framework) for region in regions} == {
        region: image_uris.retrieve(framework, region, version=VERSIONS[framework]) for region in regions
    }


def test_a_region_without_an_image_is_refused_with_those_that_have_one() -> None:
    with pytest.raises(SettingsError, match="in the region 'eu-nowhere-1'") as refused:
        image_uri("eu-nowhere-1")
    assert "eu-west-1" in str(refused.value)


def test_the_image_of_fleets_serves_as_well_as_it_trains() -> None:
    from sagemaker.core import image_uris

    serving = image_uris.retrieve(
        "sklearn", "eu-west-1", version=VERSIONS["sklearn"], image_scope="inference", instance_type="ml.m5.large"
    )
    assert serving == image_uri("eu-west-1", "sklearn")
