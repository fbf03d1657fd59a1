"""What somebody put in the place of a package's artifact, after it was approved, never meets traffic."""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from string import Template

import pytest

from common.errors import ModelsError, RegistryError
from common.local.access.decision import Principal, decide
from common.local.access.policy import Policy, parse_policy
from common.registry import Package
from common.serving.archive import load_predictor
from common.settings import Run
from common.storage import split_uri
from tests.archives import archive
from tests.functional.deployment.deployment_kit import MODEL, Project, trained

ACCOUNT = "123456789012"
POLICIES = Path(__file__).parents[2] / "infra" / "policies"
ROLES = ("train", "approve", "deploy", "operate", "on-call", "jobs-training", "jobs-operations", "endpoint")


def put(project: Project, package: Package, name: str, content: bytes) -> None:
    bucket, key = split_uri(package.artifact)
    project.account.client("s3").put_object(Bucket=bucket, Key=key.replace("model.tar.gz", name), Body=content)


def say(project: Project, package: Package, **metadata: str) -> None:
    """Change what the registry says of the package, as a role may that notes deployments."""
    project.account.client("sagemaker").update_model_package(
        ModelPackageArn=package.arn, CustomerMetadataProperties=metadata
    )


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


OTHER, OTHERS_GOLDEN = trained(9)


def artifact_exchanged(project: Project, package: Package) -> None:
    put(project, package, "model.tar.gz", OTHER)


def golden_exchanged(project: Project, package: Package) -> None:
    put(project, package, "golden.json", OTHERS_GOLDEN)


def both_exchanged(project: Project, package: Package) -> None:
    artifact_exchanged(project, package)
    golden_exchanged(project, package)


def digest_changed(project: Project, package: Package) -> None:
    artifact_exchanged(project, package)
    say(project, package, artifact_digest=digest(OTHER))


def digest_of_golden_changed(project: Project, package: Package) -> None:
    both_exchanged(project, package)
    say(project, package, golden_digest=digest(OTHERS_GOLDEN))


def digests_taken_away(project: Project, package: Package) -> None:
    project.account.client("sagemaker").update_model_package(
        ModelPackageArn=package.arn, CustomerMetadataPropertiesToRemove=["artifact_digest", "golden_digest"]
    )


POISONS: dict[Callable[[Project, Package], None], str] = {
    artifact_exchanged: "is not the artifact that was evaluated: its SHA-256 is",
    golden_exchanged: "are not the file that was registered",
    both_exchanged: "are not the file that was registered",
    digest_changed: "does not predict offline what it did when it was trained",
    digest_of_golden_changed: "is not the artifact that was evaluated: its SHA-256 is",
    digests_taken_away: "are not the file that was registered",
}


def test_whatever_was_exchanged_after_the_approval_nothing_changes_at_the_endpoint(project: Project) -> None:
    project.deploy(project.package(1))
    for number, (poison, said) in enumerate(POISONS.items(), start=2):
        package = project.package(number)
        poison(project, package)
        before = project.documents()
        with pytest.raises(ModelsError) as refused:
            project.deploy(package)
        assert said in refused.value.what, poison.__name__
        assert refused.value.remedy
        assert (project.documents(), project.answers()) == (before, 1), poison.__name__


def test_a_click_is_not_given_to_whoever_claims_another_packages_source_and_data(project: Project) -> None:
    honest = project.package(1, approved=False)
    sagemaker = project.account.client("sagemaker")
    described = sagemaker.describe_model_package(ModelPackageName=honest.arn)
    sagemaker.create_model_package(
        ModelPackageGroupName=MODEL.name,
        ModelPackageDescription=described["ModelPackageDescription"],
        InferenceSpecification=described["InferenceSpecification"],
        CustomerMetadataProperties=described["CustomerMetadataProperties"] | {"artifact_digest": digest(OTHER)},
        ModelApprovalStatus="PendingManualApproval",
    )
    forged = project.registry.version(2)
    for package in (honest, forged):
        with pytest.raises(RegistryError, match="Versions 1, 2 of abalone all claim source"):
            project.registry.approve(package, Run("reviewer"))
    project.registry.reject(forged, Run("reviewer"), "not of our pipeline")
    assert project.registry.approve(honest, Run("reviewer")).is_approved
    assert not project.registry.version(2).is_approved


class _Canary:
    """Unpickled, it leaves a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self._path,)


def test_a_pickle_in_the_place_of_a_model_is_never_loaded_whatever_is_said_of_it(
    project: Project, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    pickle.loads(pickle.dumps(_Canary(canary)))  # noqa: S301 - that it works
    canary.unlink()
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        evil = archive({"xgboost-model": pickle.dumps(_Canary(canary), protocol), "serving.json": "{}"})
        (tmp_path / "model.tar.gz").write_bytes(evil)
        with pytest.raises(ModelsError, match="a pickle is never loaded"):
            load_predictor(tmp_path / "model.tar.gz")
    package = project.package(1, artifact=evil)
    with pytest.raises(ModelsError, match="a pickle is never loaded"):
        project.deploy(package)
    assert not canary.exists()
    assert not project.live().exists


def policy(role: str) -> Policy:
    """The role's document for one account, with each variable's name for its value, and `*` for lists."""
    text = re.sub(r"(: )\$\{\w+\}", r'\1["*"]', (POLICIES / f"{role}.json.tftpl").read_text())
    names = set(re.findall(r"(?<!\$)\$\{(\w+)\}", text))
    return parse_policy(Template(text).substitute({name: ACCOUNT if "account" in name else name for name in names}))


@pytest.mark.parametrize("role", ROLES)
def test_no_role_can_exchange_an_artifact_and_keep_its_approval(role: str) -> None:
    """All of artifact, golden predictions and both digests have to be exchanged: it takes two permissions that none has."""
    identity = [policy(role)]
    who = Principal(f"arn:aws:iam::{ACCOUNT}:role/models-x")

    def may(action: str, resource: str, context: dict[str, str]) -> bool:
        return decide(who, action, resource, context, identity=identity).allowed

    secure = {"aws:securetransport": "true", "kms:viaservice": "s3.region.amazonaws.com"}
    writes = [
        bucket
        for bucket in ("bucket", "packages_bucket")
        if may("s3:PutObject", f"arn:aws:s3:::{bucket}/model/packages/1-2/model.tar.gz", secure)
    ]
    update = "sagemaker:UpdateModelPackage"
    arns = [f"arn:aws:sagemaker:{region}:{ACCOUNT}:model-package/model/1" for region in ("region", "packages_region")]
    keeps_approval = [
        (arn, status)
        for arn in arns
        for status in ({}, {"sagemaker:modelapprovalstatus": "Approved"})
        if may(update, arn, secure | status)
    ]
    assert not (writes and keeps_approval)
    expected = {"train": (True, False), "deploy": (False, True), "approve": (False, True)}
    if role in expected:  # else the question would be asked wrongly
        assert (bool(writes), bool(keeps_approval)) == expected[role]


def test_the_templates_are_those_of_all_roles() -> None:
    documents = {path.name.removesuffix(".json.tftpl") for path in POLICIES.glob("*.json.tftpl")}
    resources = {"bucket", "packages-bucket", "package-group", "key", "topic"}
    others = {name for name in documents if name.startswith("trust-")} | {"network", "never", "warehouse"}
    assert documents - resources - others == set(ROLES)
