"""Terraform as the tests run it: on a copy of `infra/`, with its state in S3, against the local AWS."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from common.model import ROOT
from tests.accounts import REGION, Account

MIRROR = "TERRAFORM_PLUGIN_DIR"
"""Variable that names a folder of providers, laid out as a filesystem mirror, beside Terraform's own default ones."""
_PROVIDER = "*/hashicorp/aws"
_VERSION = "5.100.0"
_SECONDS = 600
STATE = "models.tfstate"


@dataclass(frozen=True)
class Terraform:
    """The program, and the folder of its providers."""

    program: str
    plugins: Path
    home: Path

    def run(self, folder: Path, *arguments: str, fails: bool = False, **environment: str) -> str:
        """What it writes; an AssertionError when it fails, or when it does not and should."""
        done = subprocess.run(
            [self.program, f"-chdir={folder}", *arguments],
            env=self.environment(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert (done.returncode != 0) is fails, f"terraform {' '.join(arguments)}:\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """The variables that it runs with, and nothing else of the caller's."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),  # without the caller's own settings of Terraform and AWS
            "CHECKPOINT_DISABLE": "1",
            "TF_IN_AUTOMATION": "1",
            "TF_CLI_ARGS": "-no-color",
            "GOGC": "400",  # collecting its garbage costs Terraform a fifth of its time
            **more,
        }


def found_terraform(home: Path) -> Terraform:
    """Terraform, where it and the provider can be had without a download; the test is skipped where not."""
    program = shutil.which("terraform")
    if program is None:
        pytest.skip("terraform is not installed: what infra/ makes is not tested")
    for folder in _mirrors():
        if any(folder.glob(f"{_PROVIDER}/{_VERSION}/*")) or any(folder.glob(f"{_PROVIDER}/*_{_VERSION}_*.zip")):
            return Terraform(program, folder, home)
    pytest.skip(f"no folder of providers has the AWS provider {_VERSION} ({MIRROR} may name one): infra/ is not tested")


def _mirrors() -> Iterator[Path]:
    """The folder that the variable names, then those in which Terraform itself looks."""
    if named := os.environ.get(MIRROR):
        yield Path(named)
    yield Path.home() / ".terraform.d" / "plugins"
    data = [os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")]
    data += (os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(":")
    yield from (Path(folder) / "terraform" / "plugins" for folder in data)


@dataclass(frozen=True)
class Stack:
    """One of the examples, in a copy of `infra/`, with its variables written down."""

    terraform: Terraform
    folder: Path
    administrator: Account
    """Whose keys Terraform has; its account also keeps the state."""

    @property
    def state_bucket(self) -> str:
        return f"state-{self.administrator.account}"

    def run(self, *arguments: str, fails: bool = False) -> str:
        return self.terraform.run(self.folder, *arguments, fails=fails, **self.administrator.env)

    def outputs(self) -> dict[str, Any]:
        return {name: output["value"] for name, output in json.loads(self.run("output", "-json")).items()}


def prepared(
    terraform: Terraform, folder: str, administrator: Account, variables: Mapping[str, Any], to: Path
) -> Stack:
    """A folder of `infra/`, copied, with these variables and not initialised yet."""
    shutil.copytree(ROOT / "infra", to / "infra")
    path = to / "infra" / folder
    (path / "terraform.tfvars.json").write_text(json.dumps(variables))
    return Stack(terraform, path, administrator)


def initialised(stack: Stack) -> Stack:
    """Its state will lie in a bucket of the administrator's account."""
    where = {"LocationConstraint": REGION}
    stack.administrator.client("s3").create_bucket(Bucket=stack.state_bucket, CreateBucketConfiguration=where)
    backend = {"bucket": stack.state_bucket, "key": STATE, "region": REGION, "use_lockfile": "true"}
    settings = [f"-backend-config={key}={value}" for key, value in backend.items()]
    stack.run("init", "-input=false", f"-plugin-dir={stack.terraform.plugins}", *settings)
    return stack
