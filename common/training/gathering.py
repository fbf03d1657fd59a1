"""Gathering inside a VPC: a processing job that runs the model's own `gather_data.py` where the warehouse can be reached."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from common.aws import Aws
from common.data.extract import InVpc, Readings
from common.data.sources import FromEnvironment
from common.environments import Network
from common.lineage import pinned
from common.model import ROOT, Model
from common.storage import Bucket, Layout
from common.training.code import pack, stored
from common.training.image import image_uri
from common.training.job import Say
from common.training.processing import (
    Cluster,
    Output,
    Script,
    processing_request,
    run_processing_job,
)

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import CreateProcessingJobRequestTypeDef

PACKAGES = ("sqlalchemy", "psycopg", "psycopg-binary", "typing-extensions")
"""What reads a warehouse, and the image lacks; of the versions that requirements.txt pins, with their hashes."""
_EXTRACT = "/opt/ml/processing/output/extract"
_PROGRAM = """\
import importlib.util, os, runpy, subprocess, sys

os.chdir(os.path.dirname(os.path.abspath(__file__)))  # relative paths, such as sslrootcert=, start at the archive's root
if not all(map(importlib.util.find_spec, ("sqlalchemy", "psycopg"))):
    done = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "-r", "requirements.txt"])
    if done.returncode:
        sys.exit(
            "Error: pip cannot install what reads a warehouse.\\n  → The job's subnets need a way to PyPI, such as a NAT "
            "gateway; see docs/warehouse.md."
        )
module = sys.argv.pop(1)
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def gather_in_vpc(
    aws: Aws, model: Model, data: Readings, run_on: InVpc, *, name: str, say: Say, arguments: Sequence[str] = ()
) -> str:
    """Let a processing job gather, and answer the S3 prefix below which the parts and their manifest lie.

    Args:
        name: of the job, at most 60 characters; one of that name that is under way or done is joined.
        arguments: further ones of `gather_data.py`.

    Raises:
        TrainingError: the job failed, with the end of its log.
    """
    bucket = Bucket(aws)
    prefix = f"{model.name}/gathering/{name}"

    def request() -> CreateProcessingJobRequestTypeDef:
        return processing_request(
            model,
            aws.settings,
            image=image_uri(aws.settings.region, "sklearn"),
            script=Script(
                stored(bucket, Layout(model.name).code, gathering_archive(model)),
                "gather.py",
                (f"{model.folder}.gather_data", "--to", _EXTRACT, *arguments),
            ),
            inputs=(),
            outputs=[Output("extract", _EXTRACT, bucket.uri(prefix))],
            cluster=Cluster(run_on.instance_type, volume_gb=run_on.volume_gb, max_run_seconds=run_on.max_run_seconds),
            environment=_environment(data),
            network=Network(run_on.subnets, run_on.security_groups),
        )

    run_processing_job(aws, name, request, say)
    return prefix


def gathering_archive(model: Model) -> bytes:
    """The code that gathers: `gather.py`, which starts the model's `gather_data`, the shared code, and what to install."""
    paths = [path for path in (ROOT / "common").rglob("*.py") if "local" not in path.relative_to(ROOT).parts]
    paths += [path for path in (ROOT / model.folder).rglob("*") if path.is_file() and _travels(path)]
    files = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in paths}
    pins = [line for package, line in pinned((ROOT / "requirements.txt").read_text()) if package in PACKAGES]
    return pack(
        files | {"gather.py": _PROGRAM.encode(), "requirements.txt": "".join(f"{pin}\n" for pin in pins).encode()}
    )


def _travels(path: Path) -> bool:
    """Hidden files do not: passwords are kept in such."""
    return path.suffix != ".pyc" and not any(part.startswith(".") for part in path.relative_to(ROOT).parts)


def _environment(data: Readings) -> dict[str, str]:
    """What names the source in the job: the name of a secret, never what is in it."""
    source = data.source
    if isinstance(source, FromEnvironment) and source.variable in os.environ:
        return {source.variable: os.environ[source.variable]}
    return {}
