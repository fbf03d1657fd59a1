"""AWS's images by tag and digest: what ECR answers, and who may ask it."""

import pytest
from botocore.exceptions import ClientError

from common.aws import Aws
from common.errors import SettingsError
from common.local.containers import program
from common.settings import Settings
from common.training.image import Framework, image_uri, resolved
from tests.accounts import Account

AWS_IMAGES = "141502667606"


@pytest.fixture
def client(aws: Account, monkeypatch: pytest.MonkeyPatch) -> Aws:
    for name, value in aws.env.items():
        monkeypatch.setenv(name, value)
    return Aws(Settings.from_environment())


@pytest.mark.parametrize("framework", ["xgboost", "sklearn"])
def test_a_tag_is_resolved_to_the_digest_of_what_runs(client: Aws, framework: Framework) -> None:
    named = image_uri(client.settings.region, framework)
    by_digest = resolved(client, named)
    assert by_digest.partition("@")[0] == named.rpartition(":")[0]
    assert program(by_digest) == program(named)


def test_an_image_that_does_not_exist_is_named(client: Aws) -> None:
    named = image_uri(client.settings.region)
    with pytest.raises(SettingsError, match=r"has no image sagemaker-xgboost:9\.9-9\.") as refused:
        resolved(client, f"{named.rpartition(':')[0]}:9.9-9")
    assert "common/training/image.py" in refused.value.remedy
    with pytest.raises(SettingsError, match="has no image pytorch:2"):
        resolved(client, f"{named.partition('/')[0]}/pytorch:2")


def test_ecr_tells_of_images_by_tag_and_by_digest_and_of_those_that_are_not_there(aws: Account) -> None:
    ecr = aws.client("ecr")
    digest = program("x/sagemaker-xgboost:3.2-0").digest
    answer = ecr.batch_get_image(
        registryId=AWS_IMAGES,
        repositoryName="sagemaker-xgboost",
        imageIds=[{"imageTag": "3.2-0"}, {"imageDigest": digest}, {"imageTag": "9.9-9"}],
    )
    assert [image["imageId"]["imageDigest"] for image in answer["images"]] == [digest, digest]
    assert [(failure["imageId"], failure["failureCode"]) for failure in answer["failures"]] == [
        ({"imageTag": "9.9-9"}, "ImageNotFound")
    ]
    with pytest.raises(ClientError, match="RepositoryNotFoundException"):
        ecr.batch_get_image(repositoryName="sagemaker-xgboost", imageIds=[{"imageTag": "3.2-0"}])
    with pytest.raises(ClientError, match="UnsupportedOperation"):
        ecr.create_repository(repositoryName="mine")
