"""What a package says of the image that serves it."""

from datetime import UTC, datetime

from common.registry import APPROVED, Package
from common.steps.registering import image_facts

PLACE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost"
NAMED, ONE, OTHER = f"{PLACE}:3.2-0", f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


def registered(tag: str, digest: str) -> Package:
    known = {"image_tag": tag, "image_digest": digest} if digest else {}
    image = f"{PLACE}@{digest}" if digest else f"{PLACE}:{tag}"
    return Package("arn:…/3", 3, APPROVED, datetime.now(UTC), image, "s3://b/k", metadata=known)


def test_tag_and_digest_are_noted() -> None:
    expected = {"image_tag": "3.2-0", "image_digest": ONE}
    assert image_facts(NAMED, f"{PLACE}@{ONE}", None) == expected
    assert image_facts(NAMED, f"{PLACE}@{ONE}", registered("3.2-0", ONE)) == expected
    assert image_facts(NAMED, f"{PLACE}@{ONE}", registered("3.0-5", OTHER)) == expected
    assert image_facts(NAMED, f"{PLACE}@{ONE}", registered("3.2-0", "")) == expected  # from before there were digests


def test_a_tag_that_stood_for_another_image_when_the_champion_was_registered_is_noted() -> None:
    facts = image_facts(NAMED, f"{PLACE}@{ONE}", registered("3.2-0", OTHER))
    assert facts == {"image_tag": "3.2-0", "image_digest": ONE, "image_moved_since": "version 3"}
