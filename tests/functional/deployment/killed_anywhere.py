"""`python killed_anywhere.py URL ACCOUNT PACKAGE_ARN DECLARATION N`: a deploy that dies right before its N-th change (from 1).

DECLARATION is a name from `declarations`. A deploy that makes fewer changes ends as it would.
"""

import os
import signal
import sys
from typing import Any

from tests.accounts import Account
from tests.functional.deployment.declarations import declarations, name_of
from tests.functional.deployment.deployment_kit import Project

READS = ("Describe", "List", "Get")

if __name__ == "__main__":
    url, account, arn, declaration, nth = sys.argv[1:]
    project = Project(Account(url, account))
    left = int(nth)

    def count(model: Any, **_: Any) -> None:
        global left
        left -= not model.name.startswith(READS)
        if not left:
            os.write(1, model.name.encode())
            os.kill(os.getpid(), signal.SIGKILL)

    for client in (project.aws.sagemaker, project.aws.runtime, project.aws.cloudwatch, project.aws.s3):
        client.meta.events.register("before-call", count)
    [endpoint] = [each for each in declarations() if name_of(each) == declaration]
    project.deploy(project.registry.describe(arn), endpoint)
