"""`python -m …somebody URL ACCOUNT ACTION VERSION`: a person, as a process of its own, who acts when a line is typed.

The actions are to deploy, to roll back, to approve and to reject. Prints `ready` when it could begin, and then what it was told;
exits with 1 where that is a refusal.
"""

import sys

from common.errors import ModelsError
from tests.accounts import Account
from tests.functional.deployment.deployment_kit import Project
from tests.functional.operations.operations_kit import OnCall

url, account, action, version = sys.argv[1:]
project = Project(Account(url, account))
package = project.registry.version(int(version))
person = OnCall(project, main=package, user=f"{action}{version}")
project.aws.sts.get_caller_identity()  # clients take long to build, and all shall begin together
sys.stdout.write("ready\n")
sys.stdout.flush()
sys.stdin.readline()
try:
    match action:
        case "deploy":
            person.deploy()
        case "rollback":
            person.roll_back("too old")
        case "approve":
            project.registry.approve(package, person.context.run)
        case "reject":
            project.registry.reject(package, person.context.run, "too old")
except ModelsError as error:
    sys.exit(str(error))
sys.stdout.write("\n".join(person.said))
