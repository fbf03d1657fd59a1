"""The model registry: packages, what each was made from, and whether a person approved it.

The registry is the only memory there is. A package is found by its *source* and *data version*, never by «newest», so a
branch cannot deploy what another branch trained.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from common.aws import Aws, is_missing, says
from common.errors import RegistryError
from common.model import Model
from common.settings import Run

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import DescribeModelPackageOutputTypeDef, ModelPackageSummaryTypeDef

PENDING, APPROVED, REJECTED = "PendingManualApproval", "Approved", "Rejected"
ROLLED_BACK = ("rolled_back_at", "rolled_back_by", "rolled_back_reason", "rolled_back_to")
"""The metadata of a package that production went back from."""
DEPLOYED = ("deployed_as", "deployed_at", "deployed_in", "serves_since")
"""The metadata of a package that was deployed."""


@dataclass(frozen=True)
class Package:
    """One version of a model in the registry.

    Attributes:
        metadata: `CustomerMetadataProperties`: source, data_version, commit, branch, pipeline, …; see `training.register`.
            Where there are several environments, each notes its deployments under names of its own, `deployed_at@staging`;
            those of the environment that the command works for are found under the plain names.
        status: `PendingManualApproval`, `Approved` or `Rejected`.
        reason: why it has that status, in the words of whoever set it.
        environment: the variables of the container that serves it.
    """

    arn: str
    version: int
    status: str
    created: datetime
    image: str
    artifact: str
    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def fleet(self) -> str:
        """The S3 prefix of its models, one for each customer; empty for a single model."""
        return self.metadata.get("fleet", "")

    @property
    def named_image(self) -> str:
        """The image by the tag that stood for it when the package was registered."""
        tag = self.metadata.get("image_tag")
        return f"{self.image.partition('@')[0]}:{tag}" if tag else self.image

    @property
    def source(self) -> str:
        return self.metadata.get("source", "")

    @property
    def data_version(self) -> str:
        return self.metadata.get("data_version", "")

    @property
    def is_approved(self) -> bool:
        return self.status == APPROVED

    @property
    def deployed_at(self) -> str:
        """When it was deployed last and verified, ISO 8601 in UTC; empty where it never served."""
        return self.metadata.get("deployed_at", "")

    @property
    def serves_since(self) -> str:
        """Since when, if it serves, no other package has; a deploy of another configuration does not interrupt it."""
        return self.metadata.get("serves_since", self.deployed_at)

    def verified_in(self, environment: str) -> bool:
        """Whether it was deployed to another environment, answered there as it should, and was not taken back."""
        noted = self.metadata.keys()
        return f"deployed_at@{environment}" in noted and f"rolled_back_at@{environment}" not in noted

    @property
    def rolled_back(self) -> str:
        """When, by whom and why production went back from it, in words; empty where that did not happen."""
        known = self.metadata
        if not known.get("rolled_back_at"):
            return ""
        return (
            f"rolled back at {known['rolled_back_at']} by {known.get('rolled_back_by', 'somebody')}: "
            f"{known.get('rolled_back_reason', 'no reason given')}"
        )


@dataclass(frozen=True)
class Registry:
    """The package group of one model."""

    aws: Aws
    model: Model

    def packages(self, source: str = "", data_version: str = "") -> Iterator[Package]:
        """The packages made from that source and data, newest first; of any where left empty.

        The description of each package names both, and is part of the listing: only packages that match are described.
        """
        for summary in self.summaries():
            description = summary.get("ModelPackageDescription", "")
            if source in description and data_version in description:
                package = self.describe(summary["ModelPackageArn"])
                if source in ("", package.source) and data_version in ("", package.data_version):
                    yield package

    def newest(self) -> Package | None:
        """The newest package, whatever it was made from."""
        return next(self.packages(), None)

    def find(self, source: str, data_version: str = "") -> Package | None:
        """The newest package of that source (and data version)."""
        return next(self.packages(source, data_version), None)

    def approved(self, source: str) -> Package | None:
        """The newest approved package of that source."""
        return next((package for package in self.packages(source) if package.is_approved), None)

    def version(self, version: int) -> Package:
        """The package of that version number.

        Raises:
            RegistryError: there is none.
        """
        found = next(self.of_versions({version}), None)
        if found is None:
            raise RegistryError(
                f"{self.model.name} has no package version {version}.",
                f"`./models history {self.model.name}` lists the versions that exist.",
            )
        return found

    def of_versions(self, versions: Container[int]) -> Iterator[Package]:
        """Those packages of these version numbers that exist, newest first."""
        for summary in self.summaries():
            if summary.get("ModelPackageVersion", 0) in versions:
                yield self.describe(summary["ModelPackageArn"])

    def describe(self, arn: str) -> Package:
        answer = self.aws.sagemaker.describe_model_package(ModelPackageName=arn)
        return _package(answer, self._environment)

    @property
    def group(self) -> str:
        """The package group: its name, or where it is in another account, its ARN."""
        central, name = self.aws.settings.registry, self.model.name
        if central is None:
            return name
        partition = self.aws.caller.split(":")[1]
        return f"arn:{partition}:sagemaker:{central.region}:{central.account}:model-package-group/{name}"

    @property
    def _environment(self) -> str:
        return self.aws.settings.deploys

    def _noted(self, metadata: Mapping[str, str]) -> dict[str, str]:
        """What is noted of a deployment, under the names of this environment."""
        named = {f"{name}@{self._environment}" if self._environment else name: v for name, v in metadata.items()}
        return metadata_values(named)

    def serving(self, live_arn: str) -> Package | None:
        """The package that serves by that ARN; None where nothing does, or somebody has deleted it from the registry."""
        try:
            return self.describe(live_arn) if live_arn else None
        except ClientError as error:
            if not is_missing(error):
                raise
            return None

    def deployed_last(self) -> Package | None:
        """The package that was deployed last and verified, by what the packages say themselves; None where none was."""
        deployed = [package for package in self.packages() if package.deployed_at]
        return max(deployed, key=lambda package: package.deployed_at, default=None)

    def register(
        self, request: dict[str, Any], metadata: dict[str, str], *, commit: str, status: str, reason: str = ""
    ) -> Package:
        """Register a package for approval; the second of two equal registrations answers the first one's package.

        Args:
            request: what `CreateModelPackage` needs beyond group, status and metadata.
            metadata: must hold `source` and `data_version`, by which the package is found again.
        """
        self._require_group()
        source, data_version = metadata["source"], metadata["data_version"]
        try:
            answer = self.aws.sagemaker.create_model_package(
                ModelPackageGroupName=self.group,
                ModelPackageDescription=f"source {source}, data {data_version}",
                ModelApprovalStatus=status,  # type: ignore[arg-type]
                CustomerMetadataProperties=metadata_values(metadata),
                MetadataProperties={"CommitId": commit},
                ClientToken=f"{source}-{data_version}",
                **request,
            )
        except ClientError as error:
            # Somebody trained and registered the same at the same moment: theirs is as good as ours.
            package = self.find(source, data_version) if says(error, "Conflict", "ClientToken") else None
            if package is None:
                raise
            return package
        if reason:
            self._update(answer["ModelPackageArn"], status, reason, {"rejected_by": "gate"})
        return self.describe(answer["ModelPackageArn"])

    def approve(self, package: Package, run: Run) -> Package:
        """Approve the package, with who and where; an approved one stays as it is.

        Raises:
            RegistryError: it was rejected, by its gate or by a person; or another package claims to be the same.
        """
        if package.is_approved:
            return package
        self._require_alone(package)
        if package.status == REJECTED:
            raise RegistryError(
                f"{self.model.name} version {package.version} is rejected: {package.reason or 'no reason given'}.",
                "Mend the model and push: the new package asks for its own click.",
            )
        who = self.identity(run)
        metadata = {"approved_by": who, "approved_at": now()} | ({"approved_in": run.url} if run.url else {})
        self._update(package.arn, APPROVED, f"Approved by {who} {run.url}".strip(), metadata)
        return self._require_status(package, APPROVED)

    def reject(self, package: Package, run: Run, reason: str) -> Package:
        """Reject the package, also one that was approved; what serves goes on serving until the next deploy."""
        who = self.identity(run)
        self._update(package.arn, REJECTED, f"Rejected by {who}: {reason}", {"rejected_by": who, "rejected_at": now()})
        return self._require_status(package, REJECTED)

    def _require_alone(self, package: Package) -> None:
        """Nothing registers a source with its data twice, except whoever wants a click that was meant for another."""
        same = self.packages(package.source, package.data_version)
        others = [each.version for each in same if each.arn != package.arn and each.status != REJECTED]
        if others:
            versions = ", ".join(map(str, sorted([package.version, *others])))
            raise RegistryError(
                f"Versions {versions} of {self.model.name} all claim source {package.source} with data "
                f"{package.data_version}, which is trained once: nobody can tell which of them the click is for.",
                f"`./models show {self.model.name} --version N` says who registered each; `./models reject` those that are not "
                "of your pipeline, and find out who may register for this model.",
            )

    def _require_status(self, package: Package, status: str) -> Package:
        """Two people may decide at once, and the last word stands: nobody is told that theirs does when it does not."""
        now = self.describe(package.arn)
        if now.status != status:
            raise RegistryError(
                f"Somebody else decided on version {now.version} of {self.model.name} at the same moment: it is "
                f"{now.status}. {now.reason}",
                "Agree with them, then say it again.",
            )
        return now

    def record_deployment(self, package: Package, configuration: str, run: Run) -> None:
        """Note in the package that it serves, and by which endpoint configuration."""
        moment = now()
        since = package.serves_since if self._was_last(package) else moment
        metadata = {"deployed_as": configuration, "deployed_at": moment, "serves_since": since}
        self.aws.sagemaker.update_model_package(
            ModelPackageArn=package.arn,
            CustomerMetadataProperties=self._noted(metadata | {"deployed_in": run.url}),
            CustomerMetadataPropertiesToRemove=[]
            if run.url
            else list(self._noted({"deployed_in": "-"})),  # of an earlier one
        )

    def _was_last(self, package: Package) -> bool:
        """Whether no other package has been deployed since this one."""
        others = (other for other in self.packages() if other.arn != package.arn)
        return bool(package.deployed_at) and all(other.deployed_at < package.deployed_at for other in others)

    def mark_rolled_back(self, package: Package, run: Run, reason: str, to: Package) -> None:
        """Note in the package that production goes back from it to another one: no deploy takes it again."""
        metadata = {
            "rolled_back_at": now(),
            "rolled_back_by": self.identity(run),
            "rolled_back_reason": " ".join(reason.split()),
            "rolled_back_to": str(to.version),
        }
        self.aws.sagemaker.update_model_package(
            ModelPackageArn=package.arn, CustomerMetadataProperties=self._noted(metadata)
        )

    def unmark_rolled_back(self, package: Package) -> None:
        """Let deploys take the package again."""
        self.aws.sagemaker.update_model_package(
            ModelPackageArn=package.arn,
            CustomerMetadataPropertiesToRemove=list(self._noted(dict.fromkeys(ROLLED_BACK, "-"))),
        )

    def identity(self, run: Run) -> str:
        """Who acts: the user who caused the job in CircleCI, otherwise the identity that AWS sees.

        Not `run.user`: CircleCI gives the jobs behind an approval the name of who pushed, not of who clicked.
        """
        return f"CircleCI user {run.actor}" if run.actor else self.aws.caller

    def _update(self, arn: str, status: str, reason: str, metadata: dict[str, str]) -> None:
        self.aws.sagemaker.update_model_package(
            ModelPackageArn=arn,
            ModelApprovalStatus=status,  # type: ignore[arg-type]
            ApprovalDescription=" ".join(reason.split())[:1024],  # AWS takes one line
            CustomerMetadataProperties=metadata_values(metadata),
        )

    def summaries(self) -> Iterator[ModelPackageSummaryTypeDef]:
        """All packages as SageMaker lists them, newest first, without what they were made from; a call for each hundred."""
        pages = self.aws.sagemaker.get_paginator("list_model_packages").paginate(
            ModelPackageGroupName=self.group, SortBy="CreationTime", SortOrder="Descending",
            PaginationConfig={"PageSize": 100},
        )  # fmt: skip
        try:
            for page in pages:
                # Versions are consecutive; two packages of the same second have the same creation time.
                yield from sorted(page["ModelPackageSummaryList"], key=lambda s: -s.get("ModelPackageVersion", 0))
        except ClientError as error:
            if not is_missing(error):
                raise

    def _require_group(self) -> None:
        if self.aws.settings.registry:
            return  # Terraform makes it there, with the policy that admits this account
        try:
            self.aws.sagemaker.create_model_package_group(
                ModelPackageGroupName=self.model.name,
                ModelPackageGroupDescription=self.model.description,
                Tags=[{"Key": "model", "Value": self.model.name}],
            )
        except ClientError as error:
            if not says(error, "already exist", "ResourceInUse", "Conflict"):
                raise


def metadata_values(metadata: Mapping[str, str]) -> dict[str, str]:
    """The metadata as SageMaker accepts them: letters, digits, spaces and `_.:/=+-@`, at most 256 of them in a value.

    Anything else, such as the quote in a user's name or the `#` in a branch's, becomes an underscore; empty values go.
    """
    return {name: re.sub(r"[^\w .:/=+\-@]", "_", value)[:256] for name, value in metadata.items() if value}


def _package(answer: DescribeModelPackageOutputTypeDef, environment: str) -> Package:
    specification = answer.get("InferenceSpecification")  # none where somebody registered a model by its `SourceUri`
    container: Mapping[str, Any] = specification["Containers"][0] if specification else {}
    return Package(
        arn=answer["ModelPackageArn"],
        version=answer.get("ModelPackageVersion", 0),
        status=answer.get("ModelApprovalStatus", PENDING),
        created=answer["CreationTime"],
        image=container.get("Image", ""),
        artifact=container.get("ModelDataUrl", ""),
        reason=answer.get("ApprovalDescription") or answer.get("CustomerMetadataProperties", {}).get("gate", ""),
        metadata=_told(answer.get("CustomerMetadataProperties", {}), environment),
        environment=dict(container.get("Environment", {})),
    )


def _told(metadata: Mapping[str, str], environment: str) -> dict[str, str]:
    """The metadata, with what this environment has noted under the plain names."""
    if not environment:
        return dict(metadata)
    suffix = f"@{environment}"
    own = {name.removesuffix(suffix): value for name, value in metadata.items() if name.endswith(suffix)}
    others = {name: value for name, value in metadata.items() if not name.endswith(suffix)}
    return {name: value for name, value in others.items() if name not in (*DEPLOYED, *ROLLED_BACK)} | own


def now() -> str:
    """The time as it is noted in metadata and tags: ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
