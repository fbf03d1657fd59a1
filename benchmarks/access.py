"""What it costs the local AWS to hold a role to its policies: the same requests by an administrator, and by a role.

A hundred small objects are written and read, and a package group is listed as often. The role is CircleCI's for training, by a
web identity of a branch, in four accounts as Terraform makes them: bucket, key and group are another account's, and each has a
policy. Run it with `python -m benchmarks.access`.
"""

import json
import urllib.request
from functools import partial
from typing import Any

import boto3

from benchmarks.kit import local_aws, paired, table
from common.local.accounts.layout import REGION, CircleCi, four_accounts
from common.local.accounts.make import Administrator, make
from common.local.daemon import Running
from common.local.pipeline.project import ORGANISATION, PROJECT, USER

_REPOSITORY = "github.com/acme/models"
_REQUESTS = 100
_PLAIN = "510000000009"


def main() -> None:
    with local_aws() as running:
        organisation = four_accounts(CircleCi(_REPOSITORY), ("abalone",), name="bench")
        make(running.url, organisation)
        registry, plain = organisation.registry, Administrator(running.url, _PLAIN)
        plain.client("s3").create_bucket(Bucket="plain", CreateBucketConfiguration={"LocationConstraint": REGION})
        plain.client("sagemaker").create_model_package_group(ModelPackageGroupName="abalone")
        role = _role(running, organisation.doing("train")[0].role("train-abalone"))
        group = f"arn:aws:sagemaker:{REGION}:{registry.account}:model-package-group/abalone"
        seconds = paired(
            7,
            administrator=partial(_work, plain.client("s3"), plain.client("sagemaker"), "plain", "abalone"),
            role=partial(_work, role.client("s3"), role.client("sagemaker"), registry.bucket, group),
        )
        table(seconds, "administrator")


def _work(s3: Any, sagemaker: Any, bucket: str, group: str) -> None:
    for number in range(_REQUESTS):
        key = f"abalone/packages/bench/{number}.json"
        s3.put_object(Bucket=bucket, Key=key, Body=b"[]")
        s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        sagemaker.list_model_packages(ModelPackageGroupName=group)


def _role(running: Running, arn: str) -> Any:
    """A session of the role, as a job of CircleCI gets it."""
    subject = f"org/{ORGANISATION}/project/{PROJECT}/user/{USER}/vcs-origin/{_REPOSITORY}/vcs-ref/refs/heads/feature"
    claims = {"iss": f"https://oidc.circleci.com/org/{ORGANISATION}", "aud": ORGANISATION, "sub": subject}
    request = urllib.request.Request(  # noqa: S310 - of this benchmark's own server
        f"{running.url}/_local/oidc/token",
        json.dumps({"claims": claims}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        token = json.load(answer)["token"]
    given = boto3.client("sts").assume_role_with_web_identity(
        RoleArn=arn, RoleSessionName="bench", WebIdentityToken=token
    )["Credentials"]
    return boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], REGION)


if __name__ == "__main__":
    main()
