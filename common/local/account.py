"""The account of `models local up`, and what its CircleCI project holds: everything in one account, by plain variables."""

from collections.abc import Collection, Mapping
from typing import Final

from common.local.accounts import layout
from common.local.accounts.layout import REGION, CircleCi, Organisation, one_account
from common.local.accounts.make import DEFAULT_ACCOUNT, Administrator, make
from common.local.daemon import Running

ACCOUNT: Final = DEFAULT_ACCOUNT
BUCKET = "sagemaker-models"
ROLE = "sagemaker-execution"
"""What a person's jobs and endpoints run as. It has no policy: like the person, it is the account's administrator."""
_TRUST = """{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
  "Principal": {"Service": "sagemaker.amazonaws.com"}}]}"""


def prepare_account(
    running: Running, repository: str, models: Collection[str], shared_endpoints: Collection[str] = ()
) -> str:
    """Make the default account what a project needs, and answer the shell lines that make a person's shell use it.

    Args:
        repository: as the identities of its CircleCI jobs call it, see `pipeline.project.origin`.
        models: for which there are roles of their own; whoever adds one prepares the account again.
    """
    organisation = one_account(ACCOUNT, BUCKET, CircleCi(repository), models, shared_endpoints)
    make(running.url, organisation)
    iam = Administrator(running.url, ACCOUNT).client("iam")
    if ROLE not in [role["RoleName"] for role in iam.list_roles()["Roles"]]:
        iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=_TRUST)
    return "".join(f"export {name}={value}\n" for name, value in variables(running).items())


def variables(running: Running) -> dict[str, str]:
    """The environment variables of a person's shell, as those lines set them."""
    where = _where(one_account(ACCOUNT, BUCKET, CircleCi(""), ()))
    return running.variables | where | {"SAGEMAKER_EXECUTION_ROLE_ARN": f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"}


def contexts(running: Running) -> Mapping[str, Mapping[str, str]]:
    """The CircleCI contexts of a project that works in the default account: where it works, and which role it takes on."""
    return plain_contexts(running.url, one_account(ACCOUNT, BUCKET, CircleCi(""), ()))


def mapped_contexts(url: str, organisation: Organisation) -> dict[str, dict[str, str]]:
    """The contexts of a project that has committed its `environments.json`."""
    local = {"AWS_ENDPOINT_URL": url, "AWS_EC2_METADATA_DISABLED": "true"}
    return {name: held | local for name, held in layout.contexts(organisation).items()}


def plain_contexts(url: str, organisation: Organisation) -> dict[str, dict[str, str]]:
    """The contexts of a project that has one account, and says by plain variables where.

    Each context names the role that SageMaker assumes for what its jobs start; CircleCI's role may pass no other.
    """
    [place] = organisation.places
    shared = _where(organisation) | {
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    roles = {
        "train": ("train-{model}", "jobs-{model}"),
        "approve": ("approve", "jobs-{model}"),
        "deploy": ("deploy", "endpoint-{model}"),
        "operate": ("operate", "jobs-{model}"),
    }
    return {
        name: shared | {"AWS_ROLE_ARN": place.role(own), "SAGEMAKER_EXECUTION_ROLE_ARN": place.role(passed)}
        for name, (own, passed) in roles.items()
    }


def _where(organisation: Organisation) -> dict[str, str]:
    [place] = organisation.places
    return {"SAGEMAKER_BUCKET": place.bucket, "NOTIFY_TOPIC_ARN": place.topic}
