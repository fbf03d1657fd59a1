"""A generation of a shared endpoint: which packages it serves, and what follows from them. Pure, no call to AWS.

Every change makes another generation, whose artifacts lie below a prefix of their own that is never written with others:
a multi-model endpoint goes on serving what it has once loaded, whatever is written over it in S3.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from common.deployment.plan import Wanted
from common.errors import ArtifactError, DeploymentError
from common.model import ROOT
from common.registry import REJECTED, Package

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import ContainerDefinitionTypeDef

CODE = ROOT / "common" / "serving" / "inference.py"
"""The serving module that all models of a shared endpoint have in common."""

MANIFEST_VARIABLE = "SHARED_MANIFEST"
"""Variable of the container: the URI of the manifest of the generation that it serves, for people who look at the model."""

_IMAGE = re.compile(r"(?P<repository>.+):(?P<release>\d+\.\d+-\d+)(?P<rest>.*)")


@dataclass(frozen=True)
class Member:
    """One model's package; `digest` is the SHA-256 of its artifact."""

    package: str
    version: int
    digest: str


@dataclass(frozen=True)
class Generation:
    """What a shared endpoint serves.

    Attributes:
        code: SHA-256 of the serving module, which all models have in common.
        members: by model.
    """

    endpoint: str
    image: str
    code: str
    members: Mapping[str, Member]

    @property
    def digest(self) -> str:
        """16 hexadecimal digits over everything that the endpoint serves."""
        return hashlib.sha256(self.to_json()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """The name of its SageMaker model."""
        return f"{self.endpoint}-shared-{self.digest}"

    @property
    def prefix(self) -> str:
        return prefix_of(self.endpoint, self.digest)

    def key(self, model: str) -> str:
        """The key of a model's artifact."""
        return f"{self.prefix}models/{model}.tar.gz"

    def to_json(self) -> bytes:
        """The content of its manifest; the same generation makes the same bytes."""
        return json.dumps(asdict(self), sort_keys=True, indent=1).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Generation:
        """Read a manifest.

        Raises:
            ArtifactError: it is none.
        """
        try:
            document = json.loads(content)
            members = {name: Member(**facts) for name, facts in document.pop("members").items()}
            return cls(**document, members=members)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ArtifactError(f"This is no manifest of a shared endpoint: {error}.") from error


def prefix_of(endpoint: str, digest: str) -> str:
    """The prefix of a generation's objects."""
    return f"{endpoint}/generations/{digest}/"


def digest_in(endpoint: str, configuration: str) -> str:
    """The digest of the generation that an endpoint configuration of the shared endpoint serves; empty if it is none."""
    found = re.fullmatch(rf"{endpoint}-shared-([0-9a-f]{{16}})-[0-9a-f]{{8}}", configuration)
    return found[1] if found else ""


def code_digest() -> str:
    """SHA-256 of this checkout's serving module."""
    return hashlib.sha256(CODE.read_bytes()).hexdigest()


def generation_of(endpoint: str, packages: Mapping[str, Package]) -> Generation:
    """The generation that serves these packages, each by its model, with this checkout's serving module.

    Raises:
        DeploymentError: no image can serve them all.
    """
    members = {
        name: Member(package.arn, package.version, package.metadata.get("artifact_digest", ""))
        for name, package in packages.items()
    }
    return Generation(endpoint, _image_for(packages), code_digest(), members)


def _image_for(packages: Mapping[str, Package]) -> str:
    """The newest release of the image that the packages were trained with: it reads the older ones' models, too."""
    (first, newest), *others = packages.items()
    for name, other in others:
        one, two = _IMAGE.fullmatch(newest.named_image), _IMAGE.fullmatch(other.named_image)
        if other.image == newest.image:
            continue
        if not one or not two or (one["repository"], one["rest"]) != (two["repository"], two["rest"]):
            raise DeploymentError(
                f"No image serves both {first} ({newest.named_image}) and {name} ({other.named_image}).",
                "Models that share an endpoint are trained with the same image: declare the same one, or endpoints of their own.",
            )
        newest = max(newest, other, key=lambda package: (_release(package.named_image), package.created))
    return newest.image


def _release(image: str) -> tuple[int, ...]:
    found = _IMAGE.fullmatch(image)
    return tuple(map(int, re.findall(r"\d+", found["release"]))) if found else ()


def leaving(
    members: Collection[str], packages: Mapping[str, Package], declared: Collection[str] | None
) -> dict[str, str]:
    """Which models the next generation no longer serves, and why.

    Args:
        members: the models that are served.
        packages: their packages, as far as the registry still has them.
        declared: the models that declare the endpoint; None where the checkout cannot tell, being older than main.
    """
    reasons: dict[str, str] = {}
    for name in members:
        package = packages.get(name)
        if declared is not None and name not in declared:
            reasons[name] = "main no longer declares it for this endpoint"
        elif package is None:
            reasons[name] = "its package was deleted from the registry"
        elif package.status == REJECTED:
            reasons[name] = f"version {package.version} is rejected: {package.reason or 'no reason given'}"
    return reasons


@dataclass(frozen=True)
class SharedWanted(Wanted):
    """What a shared endpoint shall serve: the generation that is live, with one model's package put in.

    `model` stands for the endpoint, `package` is that one model's.

    Attributes:
        generation: what shall serve.
        packages: its packages, by model.
        leaves: why models that are served now will not be, by model.
        bucket: `s3://…`, without a slash at the end.
    """

    generation: Generation
    packages: Mapping[str, Package]
    leaves: Mapping[str, str]
    bucket: str

    @property
    def model_name(self) -> str:
        return self.generation.name

    @property
    def container(self) -> ContainerDefinitionTypeDef:
        prefix = f"{self.bucket}/{self.generation.prefix}"
        return {
            "Image": self.generation.image,
            "Mode": "MultiModel",
            "ModelDataUrl": f"{prefix}models/",
            "Environment": {
                "SAGEMAKER_PROGRAM": CODE.name,
                "SAGEMAKER_SUBMIT_DIRECTORY": f"{prefix}code.tar.gz",
                "PIP_NO_BUILD_ISOLATION": "0",  # pip's way to say no; see common/serving/archive.py
                MANIFEST_VARIABLE: f"{prefix}manifest.json",
            },
        }


def changes(served: Generation | None, wanted: SharedWanted) -> list[str]:
    """What the next generation changes, in words; nothing where it is the one that is served."""
    before = served.members if served else {}
    told = []
    for name, member in sorted(wanted.generation.members.items()):
        old = before.get(name)
        if old is None:
            told.append(f"add {name} version {member.version}")
        elif old != member:
            told.append(f"replace {name} version {old.version} by {member.version}")
    told += [f"remove {name} version {before[name].version} ({why})" for name, why in sorted(wanted.leaves.items())]
    if served and (served.code, served.image) != (wanted.generation.code, wanted.generation.image):
        told.append("serve all of them with other code or another image")
    return told
