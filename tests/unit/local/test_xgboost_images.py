import re

import pytest

from common.local.containers import UnknownImage, program, resolved

REGISTRY = "141502667606.dkr.ecr.eu-west-1.amazonaws.com"


@pytest.mark.parametrize(
    ("image", "name", "version"),
    [
        (f"{REGISTRY}/sagemaker-xgboost:3.2-0", "sagemaker-xgboost", "3.2-0"),
        (f"{REGISTRY}/sagemaker-xgboost:3.0-5-cpu-py3", "sagemaker-xgboost", "3.0-5"),
        (f"{REGISTRY}/sagemaker-xgboost:1.7-1", "sagemaker-xgboost", "1.7-1"),
        (f"{REGISTRY}/sagemaker-scikit-learn:1.4-2-cpu-py3", "sagemaker-scikit-learn", "1.4-2"),
    ],
)
def test_an_image_is_resolved_by_repository_and_version(image: str, name: str, version: str) -> None:
    found = program(image)
    assert (found.name, found.version) == (name, version)


@pytest.mark.parametrize("version", ["1.7-1", "3.0-5", "3.2-0"])
def test_an_image_is_found_again_by_its_digest(version: str) -> None:
    by_tag = f"{REGISTRY}/sagemaker-xgboost:{version}"
    by_digest = resolved(by_tag)
    assert re.fullmatch(rf"{REGISTRY}/sagemaker-xgboost@sha256:[0-9a-f]{{64}}", by_digest)
    assert program(by_digest) == program(by_tag)
    assert resolved(by_digest) == by_digest


def test_another_image_has_another_digest() -> None:
    images = ("sagemaker-xgboost:1.7-1", "sagemaker-xgboost:3.2-0", "sagemaker-scikit-learn:1.4-2")
    assert len({program(f"{REGISTRY}/{image}").digest for image in images}) == 3


def test_a_program_trains_and_serves_by_different_commands() -> None:
    found = program(f"{REGISTRY}/sagemaker-xgboost:3.2-0")
    assert found.train_command[-1] == "train"
    assert found.serve_command == (*found.train_command[:-1], "serve")


@pytest.mark.parametrize(
    ("image", "hint"),
    [
        (f"{REGISTRY}/pytorch-training:2.3", "there is one for sagemaker-scikit-learn, sagemaker-xgboost"),
        (f"{REGISTRY}/sagemaker-xgboost:9.9-9", "known versions are 1.7-1, 3.0-5, 3.2-0"),
        (f"{REGISTRY}/sagemaker-xgboost:3.2-01", "known versions are"),
        (f"{REGISTRY}/sagemaker-xgboost@sha256:{'0' * 64}", "has changed since"),
        (
            f"{REGISTRY}/sagemaker-scikit-learn@{program(f'{REGISTRY}/sagemaker-xgboost:3.2-0').digest}",
            "has changed since",
        ),
        ("", "there is one for"),
    ],
)
def test_an_unknown_image_is_refused_with_those_that_are_known(image: str, hint: str) -> None:
    with pytest.raises(UnknownImage, match=hint):
        program(image)
