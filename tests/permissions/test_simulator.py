"""iam-simulate as the other tests use it, on policies so small that what is right can be seen."""

from dataclasses import replace

import pytest

from tests.permissions import iam_simulate, requests
from tests.permissions.requests import Document, Request

PROVIDER = "arn:aws:iam::333333333333:oidc-provider/oidc.circleci.com/org/acme"
TRUST: Document = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Federated": PROVIDER},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {"oidc.circleci.com/org/acme:aud": "acme"},
                "StringLike": {"oidc.circleci.com/org/acme:sub": "org/acme/*/vcs-ref/refs/heads/main"},
            },
        }
    ],
}


def token(branch: str) -> Request:
    claims = {
        "oidc.circleci.com/org/acme:aud": "acme",
        "oidc.circleci.com/org/acme:sub": f"org/acme/project/p/vcs-ref/refs/heads/{branch}",
    }
    role = "arn:aws:iam::333333333333:role/models-deploy"
    return Request(PROVIDER, "sts:AssumeRoleWithWebIdentity", role, "333333333333", claims, (), TRUST)


def write(context: requests.Context) -> Request:
    allows: Document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::bucket/*"}],
    }
    session = "arn:aws:sts::333333333333:assumed-role/models-deploy/build"
    return Request(session, "s3:PutObject", "arn:aws:s3:::bucket/key", "333333333333", context, (allows,), None)


def test_the_claims_of_circleci_are_evaluated() -> None:
    iam_simulate.require()
    assert iam_simulate.decide([token("main"), token("other")]) == [True, False]


def test_a_request_with_a_key_that_its_action_does_not_have_is_a_fault() -> None:
    iam_simulate.require()
    with pytest.raises(AssertionError, match="has no sagemaker:ModelApprovalStatus"):
        iam_simulate.decide([write({"sagemaker:ModelApprovalStatus": "Approved"})])


def test_a_request_for_an_action_that_does_not_exist_is_a_fault() -> None:
    iam_simulate.require()
    with pytest.raises(AssertionError, match=r"s3:PutObjects.*invalid\.action"):
        iam_simulate.decide([replace(write({}), action="s3:PutObjects")])
