"""The environment that CircleCI gives a job, and nothing of the caller's but PATH and the user's name."""

import base64
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from common.local.pipeline.plan import Source
from common.local.pipeline.process import PlannedJob
from common.local.pipeline.project import ISSUER, ORGANISATION, PROJECT, origin, subject


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
    """What a job finds in its environment before its contexts are added."""
    name = repo.resolve().name
    token = web_identity(of, origin(repo))
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
        "CIRCLE_OIDC_TOKEN": token,
        "CIRCLE_OIDC_TOKEN_V2": token,
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


def web_identity(of: Source, repository: str) -> str:
    """A token with the claims of CircleCI's, for one hour. Its signature proves nothing: only the local AWS takes it."""
    reference = f"refs/heads/{of.branch}" if of.branch else f"refs/tags/{of.tag}"
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": ORGANISATION,
        "sub": subject(repository, reference),
        "iat": now,
        "exp": now + 3600,
    }
    header = {"alg": "none", "typ": "JWT"}
    return ".".join((_encoded(header), _encoded(claims), "local"))


def _encoded(part: Mapping[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
