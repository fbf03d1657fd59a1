"""`python killed_deploy.py URL ACCOUNT PACKAGE_ARN OPERATION[-N]`: a deploy that dies before its N-th call of that operation."""

import os
import signal
import sys

from tests.accounts import Account
from tests.functional.deployment.deployment_kit import Project, on_call

url, account, arn, operation = sys.argv[1:]
name, _, nth = operation.partition("-")
project = Project(Account(url, account))
left = int(nth or 1)


def die() -> None:
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)


client = project.aws.runtime if name == "InvokeEndpoint" else project.aws.sagemaker
with on_call(client, name, die):
    project.deploy(project.registry.describe(arn))
