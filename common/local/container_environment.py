"""What a container's process finds in its environment: little of this machine's, and an identity of its own."""

import os
from collections.abc import Mapping
from pathlib import Path

import common
from common.local.access.sessions import role_session
from common.local.context import LocalAws

_REPOSITORY = str(Path(common.__file__).parents[1])


def container_environment(
    aws: LocalAws, region: str, role_arn: str | None, base: Path, given: Mapping[str, str], *, isolated: bool = False
) -> dict[str, str]:
    """The environment of a container with the base folder `base`; `given` is what the job or the model asks for.

    Code in it that uses boto3 finds this local AWS and acts as the role; `isolated` from the network, it finds neither, and
    pip no packages. `given` goes before all else but the base folder and the path on which the container's own program lies.

    Raises:
        ApiError: `ValidationException`: the role does not trust SageMaker.
    """
    # requirements come from where this machine gets its packages
    machine = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    return {
        **({"PIP_NO_INDEX": "1"} if isolated else machine | _reach(aws, role_arn)),
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": str(base),
        "PYTHONUNBUFFERED": "1",
        # threads that spin while they wait would take the turns of other containers
        "OMP_WAIT_POLICY": "PASSIVE",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
        **given,
        "PYTHONPATH": os.pathsep.join(filter(None, (_REPOSITORY, given.get("PYTHONPATH")))),
        "SAGEMAKER_BASE_DIR": str(base),
    }


def _reach(aws: LocalAws, role_arn: str | None) -> dict[str, str]:
    """Where AWS is, and the keys of a session of the role."""
    return {"AWS_ENDPOINT_URL": aws.url, **(role_session(role_arn).environment if role_arn else {})}
