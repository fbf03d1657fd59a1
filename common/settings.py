"""What differs between accounts and runs: read once from the environment, into typed objects."""

import base64
import getpass
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from common.environments import FILE, VARIABLE, Environment, Environments, Network
from common.errors import SettingsError


@dataclass(frozen=True)
class Central:
    """Where packages are registered, and where data, code and artifacts lie: the account that all environments share."""

    account: str
    region: str
    bucket: str
    kms_key: str = ""


@dataclass(frozen=True)
class Settings:
    """Where a command works: an environment of `environments.json`, or what plain variables say.

    In CircleCI the variables come from contexts.

    Attributes:
        region: `AWS_REGION` or `AWS_DEFAULT_REGION`.
        bucket: `SAGEMAKER_BUCKET`, which holds what runs here leaves.
        job_role: `SAGEMAKER_EXECUTION_ROLE_ARN`, the role that SageMaker's jobs assume; `{model}` stands for a model's name.
        notify_topic: `NOTIFY_TOPIC_ARN`, the SNS topic that tells people what happened; optional, empty where it is not set.
        endpoint_role: the role that endpoints assume; empty where it is that of the jobs.
        kms_key: ARN of the key that jobs and endpoints encrypt with; empty for AWS's own.
        network: where the instances of jobs and endpoints are put; None for SageMaker's own network.
        registry: where packages are registered; None where it is here.
        environment: the environment's name; empty where plain variables say where.
        account: the AWS account's id.
        after: the environment that has to have verified a package before it is deployed here; empty where none has.
        deploys: the environment of which a package's metadata tell here when it was deployed: this one, or where nothing is
            deployed here, the one that answers callers; empty where there is only one.
        answers_here: whether the endpoints of this environment are those that answer callers.
        others: the names of all environments that `environments.json` declares.
        session_seconds: how long the credentials of a job last that takes on its role by CircleCI's identity.
    """

    region: str
    bucket: str
    job_role: str
    notify_topic: str = ""
    endpoint_role: str = ""
    kms_key: str = ""
    network: Network | None = None
    registry: Central | None = None
    environment: str = ""
    account: str = ""
    after: str = ""
    deploys: str = ""
    answers_here: bool = True
    others: tuple[str, ...] = ()
    session_seconds: int = 3600

    def role_of_jobs(self, model: str) -> str:
        """ARN of the role that the model's jobs assume.

        Raises:
            SettingsError: no jobs run in this environment.
        """
        return self._role(self.job_role, "job_role", model)

    def role_of_endpoint(self, name: str) -> str:
        """ARN of the role that the endpoint of that name assumes.

        Raises:
            SettingsError: nothing is deployed in this environment.
        """
        return self._role(self.endpoint_role or self.job_role, "endpoint_role", name)

    def _role(self, arn: str, member: str, name: str) -> str:
        if not arn:
            raise SettingsError(
                f"The environment {self.environment} has no {member} in {FILE.name}: no such work is done there.",
                f"Set {VARIABLE} to the environment where it is done.",
            )
        return arn.replace("{model}", name)

    def key_of(self, bucket: str) -> str:
        """ARN of the key that objects of that bucket are encrypted with; empty for AWS's own."""
        return self.registry.kms_key if self.registry and bucket == self.registry.bucket else self.kms_key

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ, file: Path | None = None) -> "Settings":
        """Read the settings.

        Args:
            file: in place of the checkout's `environments.json`.

        Raises:
            SettingsError: names every variable that is missing or malformed, not only the first; or `environments.json`
                does not declare the environment.
        """
        if name := environ.get(VARIABLE, ""):
            environments = Environments.read(file or FILE)
            return cls._of(environments, environments.named(name))
        return cls._from_variables(environ)

    @classmethod
    def _of(cls, environments: Environments, here: Environment) -> "Settings":
        central, serving = environments.registry, environments.serving
        return cls(
            here.region,
            here.bucket,
            here.job_role,
            here.topic,
            endpoint_role=here.endpoint_role,
            kms_key=here.kms_key,
            network=here.network,
            registry=None
            if central == here
            else Central(central.account, central.region, central.bucket, central.kms_key),
            environment=here.name,
            account=here.account,
            after=here.after,
            deploys="" if len(environments.all) == 1 else here.name if here.endpoint_role else serving.name,
            answers_here=here == serving,
            others=tuple(environments.all),
            session_seconds=here.session_seconds,
        )

    @classmethod
    def _from_variables(cls, environ: Mapping[str, str]) -> "Settings":
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
                f"Set them in the CircleCI context of the job, or in your shell, or {VARIABLE} where {FILE.name} is committed; "
                "`./models local up --detach` prints a set for the AWS on this machine.",
            )
        return cls(region, bucket, role, topic, account=role.split(":")[4])


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
