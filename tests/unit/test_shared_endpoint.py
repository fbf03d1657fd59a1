"""What a shared endpoint may declare, and what a generation of it is: pure."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.deployment.alarms import Alarm
from common.deployment.declare import Endpoint
from common.deployment.rollout import AllAtOnce, Canary
from common.deployment.shared.declare import SharedEndpoint, members_of
from common.deployment.shared.generation import (
    CODE,
    Generation,
    SharedWanted,
    changes,
    code_digest,
    digest_in,
    generation_of,
    leaving,
)
from common.errors import ArtifactError, DeploymentError, UsageError
from common.model import Model
from common.registry import APPROVED, REJECTED, Package
from common.serving import archive
from common.training.code import pack

ERRORS = Alarm("Invocation5XXErrors", "Sum", above=0)
TABULAR = SharedEndpoint("tabular", "ml.m5.large", AllAtOnce(bake_seconds=60), (ERRORS,))
ABALONE = Model("abalone", "", "rings", "regression")
IMAGE = "1.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:3.2-0"


def package(version: int, digest: str = "d", image: str = IMAGE, status: str = APPROVED) -> Package:
    arn = f"arn:aws:sagemaker:eu-west-1:1:model-package/m/{version}"
    metadata = {"artifact_digest": digest}
    return Package(arn, version, status, datetime.now(UTC), image, "s3://b/k", "no good", metadata)


def by_digest(version: int, tag: str, digit: str) -> Package:
    """As packages are registered."""
    digest = f"sha256:{digit * 64}"
    named = package(version, image=f"{IMAGE.rpartition(':')[0]}@{digest}")
    return replace(named, metadata=named.metadata | {"image_tag": tag, "image_digest": digest})


@pytest.mark.parametrize(
    ("faulty", "said"),
    [
        ({"name": "Tabular"}, "'Tabular' cannot name a shared endpoint"),
        ({"name": "tab-ular"}, "cannot name a shared endpoint"),
        ({"rollout": Canary(percent=10)}, "A canary rollout needs two instances"),
        ({"alarms": ()}, "no alarms"),
        ({"keep": 1}, "below 2"),
    ],
)
def test_what_no_endpoint_can_have_is_refused_where_it_is_declared(faulty: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        replace(TABULAR, **faulty)


def test_models_that_declare_the_same_share_the_endpoint() -> None:
    declared = {"abalone": TABULAR, "churn": TABULAR, "energy": Endpoint("ml.m5.large", AllAtOnce(), (ERRORS,))}
    assert members_of(ABALONE, TABULAR, declared) == {"abalone", "churn"}
    other = replace(TABULAR, name="others", instance_count=3)
    assert members_of(ABALONE, TABULAR, declared | {"wine": other}) == {"abalone", "churn"}


@pytest.mark.parametrize(
    ("model", "declared", "said"),
    [
        (ABALONE, {"abalone": TABULAR, "churn": replace(TABULAR, instance_count=2)},
         "abalone and churn declare the shared endpoint tabular differently: instance_count is 1 for abalone and 2 for churn"),
        (ABALONE, {"abalone": TABULAR, "tabular": None}, "tabular, which is the name of a model"),
        (Model("energy", "", "kWh", "forecasting"), {"energy": TABULAR}, "energy is a fleet"),
    ],
)  # fmt: skip
def test_declarations_that_contradict_each_other_are_refused(
    model: Model, declared: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        members_of(model, TABULAR, declared)


def test_a_generation_is_named_by_everything_that_it_serves() -> None:
    one = generation_of("tabular", {"abalone": package(1), "churn": package(2)})
    assert one == generation_of("tabular", {"churn": package(2), "abalone": package(1)})
    assert one.digest == generation_of("tabular", {"churn": package(2), "abalone": package(1)}).digest
    others = [
        generation_of("tabular", {"abalone": package(1)}),
        generation_of("tabular", {"abalone": package(1), "churn": package(3)}),
        generation_of("tabular", {"abalone": package(1), "churn": package(2, "e")}),
        generation_of("tabular", {"abalone": package(2), "churn": package(1)}),
        replace(one, code="other"),
        replace(one, image="other"),
    ]
    assert len({each.digest for each in [one, *others]}) == len(others) + 1
    assert one.key("abalone") == f"tabular/generations/{one.digest}/models/abalone.tar.gz"
    assert Generation.from_json(one.to_json()) == one


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"members": []}', b'{"members": {"a": {"b": 1}}}'])
def test_a_damaged_manifest_is_said_to_be_none(content: bytes) -> None:
    with pytest.raises(ArtifactError, match="no manifest of a shared endpoint"):
        Generation.from_json(content)


def test_the_name_of_a_configuration_leads_to_its_generation_and_nothing_else_does() -> None:
    digest = "0123456789abcdef"
    assert digest_in("tabular", f"tabular-shared-{digest}-01234567") == digest
    for other in ("tabular-model-1-01234567", f"other-shared-{digest}-01234567", f"tabular-shared-{digest}", ""):
        assert digest_in("tabular", other) == ""


def test_the_newest_release_of_the_image_serves_all() -> None:
    older, newer = IMAGE.replace("3.2-0", "1.7-1"), IMAGE.replace("3.2-0", "10.0-1")
    packages = {"a": package(1, image=IMAGE), "b": package(1, image=newer), "c": package(1, image=older)}
    assert generation_of("tabular", packages).image == newer
    digests = {"a": by_digest(1, "3.2-0", "0"), "b": by_digest(1, "3.10-1", "1"), "c": by_digest(1, "3.0-5", "2")}
    assert generation_of("tabular", digests).image == digests["b"].image
    moved = replace(by_digest(2, "3.10-1", "3"), created=digests["b"].created + timedelta(seconds=1))
    assert generation_of("tabular", {"d": moved, **digests}).image == moved.image
    other = package(1, image=IMAGE.replace("xgboost", "scikit-learn"))
    with pytest.raises(DeploymentError, match=r"No image serves both a \(.*xgboost.*\) and d \(.*scikit-learn"):
        generation_of("tabular", packages | {"d": other})


def test_the_models_that_leave_have_a_reason() -> None:
    packages = {"a": package(1), "b": package(2, status=REJECTED)}
    assert leaving(["a", "b", "c"], packages, None) == {
        "b": "version 2 is rejected: no good",
        "c": "its package was deleted from the registry",
    }
    assert leaving(["a"], packages, {"b"}) == {"a": "main no longer declares it for this endpoint"}


def test_the_container_serves_the_generation_by_one_program_and_names_its_manifest() -> None:
    packages = {"abalone": package(1), "churn": package(2)}
    generation = generation_of("tabular", packages)
    wanted = SharedWanted(
        TABULAR.owner, packages["abalone"], TABULAR.settings,
        generation=generation, packages=packages, leaves={}, bucket="s3://bucket",
    )  # fmt: skip
    prefix = f"s3://bucket/tabular/generations/{generation.digest}/"
    assert wanted.configuration == f"tabular-shared-{generation.digest}-{TABULAR.settings.digest()}"
    assert len(wanted.configuration) <= 63 - (24 - len("tabular"))
    assert (wanted.container["Mode"], wanted.container["ModelDataUrl"]) == ("MultiModel", f"{prefix}models/")
    assert wanted.container["Environment"]["SAGEMAKER_SUBMIT_DIRECTORY"] == f"{prefix}code.tar.gz"
    assert wanted.container["Environment"]["SHARED_MANIFEST"] == f"{prefix}manifest.json"
    assert changes(generation, wanted) == []
    before = generation_of("tabular", {"churn": package(1), "wine": package(7)})
    gone = replace(wanted, leaves={"wine": "of no use"})
    assert changes(replace(before, code="older"), gone) == [
        "add abalone version 1",
        "replace churn version 1 by 2",
        "remove wine version 7 (of no use)",
        "serve all of them with other code or another image",
    ]


def test_the_program_is_what_travels_in_every_package_too() -> None:
    assert CODE == archive.CODE
    with tarfile.open(fileobj=io.BytesIO(pack({CODE.name: CODE.read_bytes()}))) as tar:
        assert tar.getnames() == [archive.ENVIRONMENT["SAGEMAKER_PROGRAM"]]
    assert len(code_digest()) == 64
