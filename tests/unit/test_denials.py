"""AWS's refusals name the role and the action; ours add what to change, by its name in Terraform."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from common.aws import explain
from common.denials import Denial, denial_in

SESSION = "arn:aws:sts::111111111111:assumed-role/models-train-abalone/circleci-7"
PASS_ROLE = (
    f"User: {SESSION} is not authorized to perform: iam:PassRole on resource: "
    "arn:aws:iam::111111111111:role/models-jobs-churn because no identity-based policy allows the iam:PassRole action"
)
KMS = (
    f"User: {SESSION} is not authorized to perform: kms:GenerateDataKey on resource: "
    "arn:aws:kms:eu-west-1:222222222222:key/k because no resource-based policy allows the kms:GenerateDataKey action"
)
TERRAFORM = Path(__file__).parents[2] / "infra" / "examples"


def test_role_action_and_resource_are_read() -> None:
    role = "arn:aws:iam::111111111111:role/models-jobs-churn"
    assert denial_in(PASS_ROLE) == Denial("models-train-abalone", "111111111111", "iam:PassRole", role, explicit=False)


@pytest.mark.parametrize(
    ("text", "variable"),
    [
        (PASS_ROLE, "models"),
        (KMS, "accounts"),
        (KMS.replace("222222222222", "111111111111"), "key_users"),
        (f"User: {SESSION} is not authorized to perform: secretsmanager:GetSecretValue on resource: arn:aws:s:::x",
         "warehouse_secrets"),
        (f"User: {SESSION} is not authorized to perform: ec2:CreateNetworkInterface on resource: *", "network"),
        (f"User: {SESSION} is not authorized to perform: sagemaker:CreateEndpoint on resource: arn:aws:sagemaker:eu-west-1:"
         "111111111111:endpoint/abalone because no identity-based policy allows it", "models"),
        (f"ClientError: Data download failed: User: {SESSION} is not authorized to perform: s3:GetObject on resource: "
         '"arn:aws:s3:::models-registry/churn/data/x"', "accounts"),
    ],
)  # fmt: skip
def test_the_remedy_names_role_action_and_variable(text: str, variable: str) -> None:
    denial = denial_in(text)
    assert denial is not None
    assert "models-train-abalone" in denial.remedy
    assert f"`{variable}`" in denial.remedy


def test_a_statement_that_forbids_is_told_as_meant() -> None:
    denial = denial_in(PASS_ROLE.split(" because")[0] + " with an explicit deny in an identity-based policy")
    assert denial is not None
    assert denial.explicit
    assert "on purpose" in denial.remedy


@pytest.mark.parametrize("text", ["", "The security token included in the request is expired", "not authorized"])
def test_other_messages_are_no_denials(text: str) -> None:
    assert denial_in(text) is None


@pytest.mark.parametrize("example", ["one-account", "four-accounts"])
def test_the_variables_that_errors_name_exist(example: str) -> None:
    declared = set(re.findall(r'variable "(\w+)"', "".join(p.read_text() for p in (TERRAFORM / example).glob("*.tf"))))
    assert {
        "models",
        "shared_endpoints",
        "circleci",
        "network",
        "key_users",
        "warehouse_secrets",
        "session_hours",
    } <= declared
    assert ("account" if example == "one-account" else "accounts") in declared


def error(code: str, message: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def test_expired_credentials_name_role_action_and_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::111111111111:role/models-train-abalone")
    told = str(
        explain(
            error("ExpiredTokenException", "The security token included in the request is expired", "CreateEndpoint")
        )
    )
    assert "models-train-abalone" in told
    assert "CreateEndpoint" in told
    assert "`session_hours`" in told


def test_an_identity_that_no_role_trusts_names_the_role_and_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::444444444444:role/models-deploy")
    message = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
    told = str(explain(error("AccessDenied", message, "AssumeRoleWithWebIdentity")))
    assert "models-deploy" in told
    assert "sts:AssumeRoleWithWebIdentity" in told
    assert "`circleci`" in told
