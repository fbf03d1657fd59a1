"""The environment that CircleCI gives a job, and nothing of the caller's but PATH and the user's name."""

import base64
import json
import os
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from common.local.pipeline.errors import PipelineError
from common.local.pipeline.plan import Source
from common.local.pipeline.process import PlannedJob
from common.local.pipeline.project import ISSUER, ORGANISATION, PROJECT, origin, subject

_ISSUER_SECONDS = 30


@dataclass(frozen=True)
class Identity:
    """The numbers and ids by which CircleCI tells pipelines, workflows and jobs apart."""

    pipeline_id: str
    workflow_id: str
    job_id: str
    build_number: int


def environment(
    job: PlannedJob, of: Source, repo: Path, identity: Identity, checkout: Path, home: Path
) -> dict[str, str]:
    """What a job finds in its environment before its contexts and its identity are added."""
    name = repo.resolve().name
    reference = {"CIRCLE_BRANCH": of.branch} if of.branch else {"CIRCLE_TAG": of.tag}
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "BASH_ENV": str(home / ".bash_env"),
        "CI": "true",
        "CIRCLECI": "true",
        **reference,
        "CIRCLE_BUILD_NUM": str(identity.build_number),
        "CIRCLE_BUILD_URL": f"https://circleci.invalid/local/{name}/{identity.build_number}",
        "CIRCLE_JOB": job.name,
        "CIRCLE_NODE_INDEX": "0",
        "CIRCLE_NODE_TOTAL": "1",
        "CIRCLE_ORGANIZATION_ID": ORGANISATION,
        "CIRCLE_PIPELINE_ID": identity.pipeline_id,
        "CIRCLE_PROJECT_ID": PROJECT,
        "CIRCLE_PROJECT_REPONAME": name,
        "CIRCLE_PROJECT_USERNAME": "local",
        "CIRCLE_REPOSITORY_URL": str(repo.resolve()),
        "CIRCLE_SHA1": of.commit,
        "CIRCLE_USERNAME": os.environ.get("USER", "local"),
        "CIRCLE_WORKFLOW_ID": identity.workflow_id,
        "CIRCLE_WORKFLOW_JOB_ID": identity.job_id,
        "CIRCLE_WORKING_DIRECTORY": str(checkout),
    }


def identity_of(of: Source, repo: Path, aws: str) -> dict[str, str]:
    """The variables with the job's web identity, for one hour.

    Args:
        aws: URL of the AWS that the job works with. A local one issues the token, as it is who has to believe it; elsewhere it
            has CircleCI's claims and a signature that proves nothing.

    Raises:
        PipelineError: the local AWS issues none.
    """
    reference = f"refs/heads/{of.branch}" if of.branch else f"refs/tags/{of.tag}"
    claims = {"iss": ISSUER, "aud": ORGANISATION, "sub": subject(origin(repo), reference)}
    token = _issued(aws, claims) if urlsplit(aws).hostname == "127.0.0.1" else _unsigned(claims)
    return {"CIRCLE_OIDC_TOKEN": token, "CIRCLE_OIDC_TOKEN_V2": token}


def _issued(aws: str, claims: Mapping[str, str]) -> str:
    asked = urllib.request.Request(  # noqa: S310 - of this machine, by HTTP
        f"{aws}/_local/oidc/token",
        data=json.dumps({"claims": claims}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(asked, timeout=_ISSUER_SECONDS) as answer:  # noqa: S310
            return str(json.load(answer)["token"])
    except (OSError, ValueError, KeyError) as error:
        raise PipelineError(f"the local AWS at {aws} issues no web identity: {error}", "does it still run?") from error


def _unsigned(claims: Mapping[str, str]) -> str:
    now = int(time.time())
    header = {"alg": "none", "typ": "JWT"}
    return ".".join((_encoded(header), _encoded({**claims, "iat": now, "exp": now + 3600}), "local"))


def _encoded(part: Mapping[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
