"""What a job of CircleCI holds: a role, taken on by its web identity."""

import json
import urllib.request

import boto3
from botocore import UNSIGNED
from botocore.config import Config

from common.local.accounts.layout import REGION
from common.local.pipeline.project import ISSUER, ORGANISATION, USER, subject


def session(url: str, role: str, repository: str, reference: str, user: str = USER) -> boto3.Session:
    """A session of a role on the local AWS, for the identity that a job of the player's project would have.

    Args:
        role: ARN.
        reference: that the job is built of, e.g. `refs/heads/main`.

    Raises:
        ClientError: the role does not trust that identity.
    """
    claims = {"iss": ISSUER, "aud": ORGANISATION, "sub": subject(repository, reference, user)}
    asked = urllib.request.Request(  # noqa: S310 - of this machine, by HTTP
        f"{url}/_local/oidc/token",
        data=json.dumps({"claims": claims}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310
        token = json.load(answer)["token"]
    sts = boto3.client("sts", endpoint_url=url, region_name=REGION, config=Config(signature_version=UNSIGNED))
    given = sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="circleci", WebIdentityToken=token)
    keys = given["Credentials"]
    return boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], REGION)
