"""What AWS has denied, from its own words: which role, which action, and what to change so that it is allowed. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_DENIED = re.compile(
    r"(?:User: |role )?(?P<who>arn:aws[a-z-]*:(?:sts|iam)::\d{12}:(?:assumed-role|role|user)/\S+|arn:aws[a-z-]*:iam::\d{12}:root)"
    r" is not authorized to perform: (?P<action>[\w-]+:\w+)"
    r"(?: on (?:the )?(?:resource|key|secret)s?:? (?P<resource>arn:\S+|\*))?"
    r"(?P<because>.*)",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class Denial:
    """An action that was denied.

    Attributes:
        role: the name of the role that asked, or the ARN of who else did.
        account: whose it is.
        action: e.g. `iam:PassRole`.
        resource: what it was asked for, an ARN; empty where AWS does not say.
        explicit: whether a statement forbids it, and not only none allows it.
    """

    role: str
    account: str
    action: str
    resource: str
    explicit: bool

    @property
    def remedy(self) -> str:
        """What to change, and where; the Terraform variables are those of infra/examples/."""
        if self.explicit:
            return (
                f"A statement forbids {self.action} to {self.role} on purpose: look for it in infra/policies/ "
                "(docs/permissions.md says who may do what), or in the policies of your AWS organisation."
            )
        return (
            f"The role {self.role} of account {self.account} lacks {self.action}. {self._variable} Then `make infra-plan`, and "
            "apply; without Terraform, see infra/policies/."
        )

    @property
    def _variable(self) -> str:
        service, operation = self.action.split(":")
        foreign = self.resource.split(":")[4:5] not in ([], [""], [self.account])
        if operation == "PassRole":
            return (
                f"It may pass only the roles that Terraform makes for the variable `models` (`shared_endpoints`): name what "
                f"{self.resource.rpartition('/')[2] or 'the role'} is for there, or correct the role in environments.json."
            )
        if service == "kms":
            return (
                "The key's policy admits the roles of the Terraform variable `accounts`; others are named in `key_users`."
                if foreign
                else "The key's policy admits the roles that Terraform makes, and those of the variable `key_users`."
            )
        if service == "secretsmanager":
            return "Name the secret in the Terraform variable `warehouse_secrets`."
        if service == "ec2":
            return "Its VPC is declared by the Terraform variable `network`."
        if foreign or (service == "s3" and self.action != "s3:ListAllMyBuckets"):
            return (
                "Check the Terraform variables `models` and `accounts`: they decide which role reads and writes what."
            )
        return "Check that the Terraform variable `models` names the model: each has permissions of its own."


def denial_in(text: str) -> Denial | None:
    """The denial that AWS tells of, in an error's message or a job's reason for its failure; None where it is none."""
    found = _DENIED.search(text)
    if found is None:
        return None
    return Denial(
        role=_role(found["who"]),
        account=found["who"].split(":")[4],
        action=found["action"],
        resource=(found["resource"] or "").rstrip(".,;:)"),
        explicit="explicit deny" in found["because"],
    )


def remedy_of(reason: str, otherwise: str) -> str:
    """What to do about a failure: what makes AWS allow what it has denied, where that is the reason."""
    denial = denial_in(reason)
    return denial.remedy if denial else otherwise


def _role(arn: str) -> str:
    """The role's name; a session's is that of its role."""
    session = re.match(r"arn:aws[a-z-]*:(?:sts|iam)::\d{12}:(assumed-role|role)/(.+)", arn)
    if session is None:
        return arn
    return session[2].split("/")[0] if session[1] == "assumed-role" else session[2].rpartition("/")[2]
