"""The environments that a model passes through – to train, to register, to be tried out, to serve – each in its AWS account.

`environments.json` at the root of the repository declares them; Terraform makes it (docs/infra.md), and it holds no secret.
The variable `MODELS_ENVIRONMENT`, which each CircleCI context sets, says which of them a command works in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import SettingsError
from common.model import ROOT

FILE = ROOT / "environments.json"
VARIABLE = "MODELS_ENVIRONMENT"

_REMEDY = "Make the file anew by `make infra-map`, and commit it; docs/infra.md says what it holds."
_PATTERNS = {
    "account": r"\d{12}",
    "region": r"[a-z]{2}(-[a-z]+)+-\d",
    "bucket": r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
    "kms_key": r"(arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[\w-]+)?",
    "topic": r"(arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[\w-]+)?",
    "job_role": r"(arn:aws[a-z-]*:iam::\d{12}:role/.+)?",
    "endpoint_role": r"(arn:aws[a-z-]*:iam::\d{12}:role/.+)?",
    "after": r".*",
}
_NEEDED = ("account", "region", "bucket")


@dataclass(frozen=True)
class Network:
    """Where the instances of jobs and endpoints are put.

    Attributes:
        subnets, security_groups: of a VPC; empty for SageMaker's own network.
        isolated: their containers can call nothing, not even AWS. Jobs that read a warehouse cannot be.
    """

    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    isolated: bool = False


@dataclass(frozen=True)
class Environment:
    """One environment, as `environments.json` declares it.

    Attributes:
        bucket: holds what runs here leaves; in the registry's, also data, code and packages of all environments.
        kms_key: ARN of the key that everything here is encrypted with; empty for AWS's own keys.
        topic: ARN of the SNS topic that tells people; empty where nobody is told.
        job_role, endpoint_role: ARNs of the roles that SageMaker assumes, in which `{model}` stands for the model's name.
        after: the environment that has to have verified a package before it is deployed here; empty where none has.
        session_seconds: how long the credentials of a CircleCI job last; the roles have to admit it.
    """

    name: str
    account: str
    region: str
    bucket: str
    kms_key: str = ""
    topic: str = ""
    job_role: str = ""
    endpoint_role: str = ""
    network: Network | None = None
    after: str = ""
    session_seconds: int = 3600


@dataclass(frozen=True)
class Environments:
    """All environments.

    Attributes:
        registry: the one that holds the packages, the data and the code of all.
        serving: the one whose endpoints answer callers: a new model is held against what serves there.
    """

    all: Mapping[str, Environment]
    registry: Environment
    serving: Environment

    @classmethod
    def read(cls, path: Path) -> Environments:
        """Read the file.

        Raises:
            SettingsError: it is missing, no JSON, or names every member that is malformed.
        """
        try:
            document = json.loads(path.read_text())
        except FileNotFoundError:
            raise SettingsError(f"{VARIABLE} is set, and there is no {path.name}.", _REMEDY) from None
        except ValueError as error:
            raise SettingsError(f"{path.name} is no JSON: {error}.", _REMEDY) from error
        problems = list(_problems(document))
        if problems:
            raise SettingsError(f"{path.name} does not declare environments:\n  - " + "\n  - ".join(problems), _REMEDY)
        found = {name: _environment(name, declared) for name, declared in document["environments"].items()}
        return cls(found, found[document["registry"]], found[document["serving"]])

    def named(self, name: str) -> Environment:
        """The environment of that name.

        Raises:
            SettingsError: there is none.
        """
        if name not in self.all:
            raise SettingsError(
                f"{VARIABLE} is '{name}', and {FILE.name} declares {', '.join(self.all)}.",
                "Set it to one of these: in the CircleCI context of the job, or in your shell.",
            )
        return self.all[name]


def _environment(name: str, declared: Mapping[str, Any]) -> Environment:
    members: dict[str, Any] = {key: value or "" for key, value in declared.items() if key != "network"}
    network = declared.get("network")
    return Environment(name=name, network=_network(network) if network else None, **members)


def _network(declared: Mapping[str, Any]) -> Network:
    return Network(
        tuple(declared.get("subnets", ())),
        tuple(declared.get("security_groups", ())),
        bool(declared.get("isolated", False)),
    )


def _problems(document: Any) -> list[str]:
    if not isinstance(document, dict) or not isinstance(document.get("environments"), dict):
        return ['there is no object "environments"']
    environments = document["environments"]
    problems = [
        f'"{member}" is {document.get(member)!r}, which is none of {", ".join(environments)}'
        for member in ("registry", "serving")
        if document.get(member) not in environments
    ]
    for name, declared in environments.items():
        problems += [f"{name}: {problem}" for problem in _problems_of(declared, environments)]
    return problems


def _problems_of(declared: Any, environments: Mapping[str, Any]) -> list[str]:
    if not isinstance(declared, dict):
        return ["is no object"]
    problems = [f'there is no "{member}"' for member in _NEEDED if not declared.get(member)]
    for member, value in declared.items():
        if member == "network":
            problems += _problems_of_network(value)
        elif member == "session_seconds":
            # AWS's own bounds of a role's sessions
            if not isinstance(value, int) or not 900 <= value <= 43_200:
                problems.append(f'"session_seconds" is malformed: {value!r}; AWS takes 900 to 43200')
        elif member not in _PATTERNS:
            problems.append(f'"{member}" is not known')
        elif not isinstance(value or "", str) or not re.fullmatch(_PATTERNS[member], value or ""):
            problems.append(f'"{member}" is malformed: {value!r}')
    if declared.get("after") and declared["after"] not in environments:
        problems.append(f'"after" is {declared["after"]!r}, which is none of {", ".join(environments)}')
    return problems


def _problems_of_network(value: Any) -> list[str]:
    if value is None:
        return []
    lists = ("subnets", "security_groups")
    known = isinstance(value, dict) and value.keys() <= {*lists, "isolated"}
    if not known or not all(isinstance(value.get(each, []), list) for each in lists):
        return [f'"network" is malformed: {value!r}']
    if bool(value.get("subnets")) != bool(value.get("security_groups")):
        return ['"network" has subnets and no security groups, or the other way round']
    return []
