"""The programs inside the container images: what an image URI means on this machine, where no image is ever pulled.

A program keeps the container contract. Its base directory (`SAGEMAKER_BASE_DIR`, in place of `/opt/ml`) holds `input/`,
`model/`, `code/` and `output/`; `train` runs one host of a job to its end, `serve` answers `GET /ping` and
`POST /invocations` on 127.0.0.1 at `SAGEMAKER_BIND_TO_PORT`.
"""

import hashlib
import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_IMAGE = re.compile(r"^(?:[^/]+/)*(?P<repository>[a-z0-9._-]+)(?::(?P<tag>[\w.-]+)|@(?P<digest>sha256:[0-9a-f]{64}))?$")
_VERSIONS = {
    "sagemaker-xgboost": ("1.7-1", "3.0-5", "3.2-0"),
    "sagemaker-scikit-learn": ("1.2-1", "1.4-2"),
}


class UnknownImage(ValueError):
    """The image is none that this machine can play; the message names those that it can."""


@dataclass(frozen=True)
class Program:
    """What runs in place of an image. Its commands need the repository's root on PYTHONPATH, and end with their stdin."""

    name: str
    """The image's repository, e.g. `sagemaker-xgboost`."""
    version: str
    """The image's version without its suffix (`3.2-0`); the newest one for an image without a tag."""
    train_command: tuple[str, ...]
    serve_command: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Of the image, `sha256:…`: of the code that plays it."""
        return _digest(self.name, self.version)


def program(image: str) -> Program:
    """The program for an image URI, by repository name and version or digest; registry account and region are free.

    Raises:
        UnknownImage: no program plays this repository, version or digest.
    """
    match = _IMAGE.match(image)
    repository = match["repository"] if match else ""
    if match is None or repository not in _VERSIONS:
        raise UnknownImage(f"no local program for image {image}; there is one for {', '.join(sorted(_VERSIONS))}")
    version = _version(repository, match["tag"], match["digest"])
    # -P: what lies in the working directory, which a job or a model brings, must not stand in for a module
    run = (sys.executable, "-P", "-m", f"common.local.containers.{repository.replace('-', '_')}")
    return Program(repository, version, (*run, "train"), (*run, "serve"))


def resolved(image: str) -> str:
    """The image by its digest.

    Raises:
        UnknownImage: no program plays it.
    """
    repository = image.partition("@")[0] if "@" in image else image.rpartition(":")[0]
    return f"{repository}@{program(image).digest}"


def _version(repository: str, tag: str | None, digest: str | None) -> str:
    versions = _VERSIONS[repository]
    if digest:
        for version in versions:
            if _digest(repository, version) == digest:
                return version
        raise UnknownImage(
            f"no local program is {repository}@{digest}: the code that played it has changed since; what was registered "
            "with it cannot be served any more, and an empty folder of the local AWS starts anew"
        )
    tag = tag or versions[-1]
    found = next((known for known in versions if tag == known or tag.startswith(known + "-")), None)
    if found is None:
        raise UnknownImage(f"no local program for {repository}:{tag}; known versions are {', '.join(versions)}")
    return found


@cache
def _digest(repository: str, version: str) -> str:
    digest = hashlib.sha256(f"{repository}:{version}\n".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return f"sha256:{digest.hexdigest()}"
