"""The programs inside the container images: what an image URI means on this machine, where no image is ever pulled.

A program keeps the container contract. Its base directory (`SAGEMAKER_BASE_DIR`, in place of `/opt/ml`) holds `input/`,
`model/`, `code/` and `output/`; `train` runs one host of a job to its end, `serve` answers `GET /ping` and
`POST /invocations` on 127.0.0.1 at `SAGEMAKER_BIND_TO_PORT`.
"""

import re
import sys
from dataclasses import dataclass

_IMAGE = re.compile(r"^(?:[^/]+/)*(?P<repository>[a-z0-9._-]+)(?::(?P<tag>[\w.-]+)|@sha256:[0-9a-f]{64})?$")
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
    """The image's version without its suffix (`3.2-0`); the newest one for an image given by digest."""
    train_command: tuple[str, ...]
    serve_command: tuple[str, ...]


def program(image: str) -> Program:
    """The program for an image URI, resolved by repository name and version; registry account and region are free.

    Raises:
        UnknownImage: no program plays this repository or version.
    """
    match = _IMAGE.match(image)
    repository = match["repository"] if match else ""
    if match is None or repository not in _VERSIONS:
        raise UnknownImage(f"no local program for image {image}; there is one for {', '.join(sorted(_VERSIONS))}")
    versions = _VERSIONS[repository]
    tag = match["tag"] or versions[-1]
    version = next((known for known in versions if tag == known or tag.startswith(known + "-")), None)
    if version is None:
        raise UnknownImage(f"no local program for {repository}:{tag}; known versions are {', '.join(versions)}")
    # -P: what lies in the working directory, which a job or a model brings, must not stand in for a module
    run = (sys.executable, "-P", "-m", f"common.local.containers.{repository.replace('-', '_')}")
    return Program(repository, version, (*run, "train"), (*run, "serve"))
