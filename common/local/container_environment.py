"""What a container's process finds in its environment: little of this machine's, and an identity of its own."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moto.sts.models import sts_backends

import common
from common.local.context import LocalAws

_REPOSITORY = str(Path(common.__file__).parents[1])


def container_environment(
    aws: LocalAws, region: str, role_arn: str | None, base: Path, given: Mapping[str, str]
) -> dict[str, str]:
    """The environment of a container with the base folder `base`; `given` is what the job or the model asks for.

    Code in it that uses boto3 finds this local AWS and acts as the role. `given` goes before all else but the base folder
    and the path on which the container's own program lies.
    """
    # requirements come from where this machine gets its packages
    machine = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    return {
        **machine,
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": str(base),
        "PYTHONUNBUFFERED": "1",
        # threads that spin while they wait would take the turns of other containers
        "OMP_WAIT_POLICY": "PASSIVE",
        "AWS_ENDPOINT_URL": aws.url,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
        **(_credentials(role_arn, region) if role_arn else {}),
        **given,
        "PYTHONPATH": os.pathsep.join(filter(None, (_REPOSITORY, given.get("PYTHONPATH")))),
        "SAGEMAKER_BASE_DIR": str(base),
    }


def _credentials(role_arn: str, region: str) -> dict[str, str]:
    sts: Any = sts_backends[role_arn.split(":")[4]]["aws"]
    role = sts.assume_role(
        region_name=region,
        role_session_name="SageMaker",
        role_arn=role_arn,
        policy=None,
        duration=43200,
        external_id=None,
    )
    return {
        "AWS_ACCESS_KEY_ID": role.access_key_id,
        "AWS_SECRET_ACCESS_KEY": role.secret_access_key,
        "AWS_SESSION_TOKEN": role.session_token,
    }
