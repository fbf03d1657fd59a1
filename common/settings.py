"""What differs between accounts and runs: read once from the environment, into typed objects."""

import base64
import getpass
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from common.errors import SettingsError


@dataclass(frozen=True)
class Settings:
    """Where a command works. In CircleCI these variables come from contexts.

    Attributes:
        region: `AWS_REGION` or `AWS_DEFAULT_REGION`.
        bucket: `SAGEMAKER_BUCKET`, which holds data, artifacts and evaluations.
        execution_role: `SAGEMAKER_EXECUTION_ROLE_ARN`, the role that SageMaker's jobs and endpoints assume.
        notify_topic: `NOTIFY_TOPIC_ARN`, the SNS topic that tells people what happened; optional, empty where it is not set.
    """

    region: str
    bucket: str
    execution_role: str
    notify_topic: str = ""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings.

        Raises:
            SettingsError: names every variable that is missing or malformed, not only the first.
        """
        region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or ""
        bucket = environ.get("SAGEMAKER_BUCKET", "")
        role = environ.get("SAGEMAKER_EXECUTION_ROLE_ARN", "")
        endpoint = environ.get("AWS_ENDPOINT_URL", "")
        topic = environ.get("NOTIFY_TOPIC_ARN", "")
        problems = [
            f"{name} is {f'malformed: {value!r}' if value else 'not set'} ({meaning})"
            for name, value, pattern, meaning in (
                ("AWS_REGION", region, r"[a-z]{2}(-[a-z]+)+-\d", "the region to work in, e.g. eu-west-1"),
                ("SAGEMAKER_BUCKET", bucket, r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "the bucket's name, without s3://"),
                (
                    "SAGEMAKER_EXECUTION_ROLE_ARN",
                    role,
                    r"arn:aws[a-z-]*:iam::\d{12}:role/.+",
                    "the jobs' role, as an ARN",
                ),
                ("AWS_ENDPOINT_URL", endpoint, r"(https?://.+)?", "an http:// or https:// URL, or not set at all"),
                (
                    "NOTIFY_TOPIC_ARN",
                    topic,
                    rf"(arn:aws[a-z-]*:sns:{re.escape(region)}:\d{{12}}:[\w-]+)?",
                    "a standard SNS topic of the same region, as an ARN, or not set at all",
                ),
            )
            if not re.fullmatch(pattern, value)
        ]
        if problems:
            raise SettingsError(
                "The environment does not say where to work:\n  - " + "\n  - ".join(problems),
                "Set them in the CircleCI context of the job, or in your shell; `./models local up --detach` prints "
                "a set for the AWS on this machine.",
            )
        return cls(region, bucket, role, topic)


@dataclass(frozen=True)
class Run:
    """Who runs this command and where: written into packages, so that each can be traced back.

    Attributes:
        user: whose push or trigger started the pipeline; on a person's machine, the login name.
        actor: CircleCI's id of the user who caused this very job, which after an approval is who clicked; or empty.
        url: the CircleCI job's page, or empty.
        number: CircleCI's build number, or empty.
        pipeline: CircleCI's workflow id, or empty.
        branch: the branch that CircleCI builds, or empty.
        job: CircleCI's name of the job, or empty.
    """

    user: str
    url: str = ""
    number: str = ""
    pipeline: str = ""
    branch: str = ""
    actor: str = ""
    job: str = ""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Run":
        if environ.get("CIRCLECI") != "true":
            return cls(user=_login_name())
        return cls(
            user=environ.get("CIRCLE_USERNAME") or "circleci",
            url=environ.get("CIRCLE_BUILD_URL", ""),
            number=environ.get("CIRCLE_BUILD_NUM", ""),
            pipeline=environ.get("CIRCLE_WORKFLOW_ID", ""),
            branch=environ.get("CIRCLE_BRANCH", ""),
            actor=_actor(environ.get("CIRCLE_OIDC_TOKEN_V2", "")),
            job=environ.get("CIRCLE_JOB", ""),
        )


def _actor(token: str) -> str:
    """The user in the subject (`org/…/project/…/user/<id>/…`) of a job's identity token; empty where it names none.

    The token is not verified here: AWS does, when it gives out the role that the job acts with.
    """
    try:
        claims = token.split(".")[1]
        subject = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["sub"]
    except (IndexError, KeyError, TypeError, ValueError):
        return ""
    found = re.match(r"org/[^/]+/project/[^/]+/user/([^/]+)", str(subject))
    return found[1] if found else ""


def _login_name() -> str:
    """The login name, or the user's number where it has no name, as in a container that runs as any user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
