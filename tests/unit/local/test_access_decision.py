"""IAM's rules, on policies as AWS's user guides show them, and as laws."""

import json
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.local.access.conditions import PolicyError
from common.local.access.decision import ADMINISTRATOR, Decision, Principal, decide
from common.local.access.patterns import matches
from common.local.access.policy import parse_policy

HERE, THERE = "111111111111", "222222222222"
ROLE = f"arn:aws:iam::{HERE}:role/ci/deploy"
SESSION = f"arn:aws:sts::{HERE}:assumed-role/deploy/build-7"
KEY = f"arn:aws:kms:eu-west-1:{HERE}:key/k"
OBJECT = "arn:aws:s3:::models/abalone/a.csv"


def statement(effect: str = "Allow", action: Any = "s3:GetObject", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def policy(*statements: dict[str, Any], version: str = "2012-10-17") -> Any:
    return parse_policy(json.dumps({"Version": version, "Statement": list(statements)}))


def ask(*statements: dict[str, Any], action: str = "s3:GetObject", resource: str = OBJECT, **context: Any) -> Decision:
    """What the principal may do by its own policy alone."""
    keys = {name.replace("_", ":", 1).lower(): value for name, value in context.items()}
    return decide(Principal(SESSION), action, resource, keys, identity=[policy(*statements)])


@pytest.mark.parametrize(
    ("element", "action", "resource", "expected"),
    [
        ({"Action": "s3:Get*", "Resource": "*"}, "s3:GetObject", OBJECT, True),
        ({"Action": "S3:getobject", "Resource": OBJECT}, "s3:GetObject", OBJECT, True),
        ({"Action": "s3:GetObject", "Resource": OBJECT.upper()}, "s3:GetObject", OBJECT, False),
        ({"Action": "s3:?etObject", "Resource": "arn:aws:s3:::models/abalone/?.csv"}, "s3:GetObject", OBJECT, True),
        ({"Action": "s3:GetObject", "Resource": "arn:aws:s3:::models"}, "s3:GetObject", OBJECT, False),
        (
            {"Action": "s3:*", "Resource": ["arn:aws:s3:::models", "arn:aws:s3:::models/*"]},
            "s3:PutObject",
            OBJECT,
            True,
        ),
        ({"NotAction": "s3:*", "Resource": "*"}, "s3:GetObject", OBJECT, False),
        ({"NotAction": "iam:*", "Resource": "*"}, "s3:GetObject", OBJECT, True),
        ({"Action": "*", "NotResource": "arn:aws:s3:::models/abalone/*"}, "s3:GetObject", OBJECT, False),
        ({"Action": "*", "NotResource": "arn:aws:s3:::models/churn/*"}, "s3:GetObject", OBJECT, True),
        ({"Action": "cloudwatch:PutMetricData", "Resource": "*"}, "cloudwatch:PutMetricData", "*", True),
        ({"Action": "cloudwatch:PutMetricData", "Resource": "arn:aws:s3:::x"}, "cloudwatch:PutMetricData", "*", False),
    ],
)
def test_actions_and_resources(element: dict[str, Any], action: str, resource: str, expected: bool) -> None:
    assert ask({"Effect": "Allow", **element}, action=action, resource=resource).allowed is expected


CONDITIONS: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    # what the request says is the second column
    ({"StringEquals": {"aws:RequestTag/model": "abalone"}}, {"aws_RequestTag/model": "abalone"}, True),
    ({"StringEquals": {"AWS:requesttag/Model": "abalone"}}, {"aws_RequestTag/model": "abalone"}, True),
    ({"StringEquals": {"aws:RequestTag/model": ["churn", "abalone"]}}, {"aws_RequestTag/model": "abalone"}, True),
    ({"StringEquals": {"aws:RequestTag/model": "abalone"}}, {}, False),
    ({"StringEqualsIfExists": {"aws:RequestTag/model": "abalone"}}, {}, True),
    ({"StringEqualsIfExists": {"aws:RequestTag/model": "abalone"}}, {"aws_RequestTag/model": "x"}, False),
    ({"StringEqualsIgnoreCase": {"aws:x": "ABALONE"}}, {"aws_x": "abalone"}, True),
    ({"StringNotEquals": {"aws:x": ["a", "b"]}}, {"aws_x": "b"}, False),
    ({"StringNotEquals": {"aws:x": ["a", "b"]}}, {"aws_x": "c"}, True),
    ({"StringNotEquals": {"aws:x": "a"}}, {}, True),
    ({"StringLike": {"s3:prefix": ["", "abalone/*"]}}, {"s3_prefix": "abalone/data"}, True),
    ({"StringLike": {"s3:prefix": ["", "abalone/*"]}}, {"s3_prefix": "churn/"}, False),
    ({"StringNotLike": {"aws:x": "a*"}}, {"aws_x": "b"}, True),
    ({"StringEquals": {"aws:x": "a*"}}, {"aws_x": "ab"}, False),
    ({"ArnLike": {"aws:SourceArn": "arn:aws:events:*:*:rule/*"}}, {"aws_SourceArn": "arn:aws:events:e:1:rule/r/s"}, True),
    ({"ArnEquals": {"aws:SourceArn": "arn:aws:*:rule/r"}}, {"aws_SourceArn": "arn:aws:events:e:1:rule/r"}, False),
    ({"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/a"}}, {"aws_PrincipalArn": "arn:aws:iam::1:role/b"}, True),
    ({"Bool": {"aws:SecureTransport": "false"}}, {"aws_SecureTransport": "true"}, False),
    ({"Bool": {"aws:SecureTransport": True}}, {"aws_SecureTransport": "true"}, True),
    ({"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}, {}, True),
    ({"Null": {"sagemaker:ModelApprovalStatus": "true"}}, {}, True),
    ({"Null": {"sagemaker:ModelApprovalStatus": True}}, {"sagemaker_ModelApprovalStatus": "Approved"}, False),
    ({"NumericLessThanEquals": {"s3:max-keys": "10"}}, {"s3_max-keys": "10"}, True),
    ({"NumericGreaterThan": {"s3:max-keys": 10}}, {"s3_max-keys": "10"}, False),
    ({"NumericEquals": {"s3:max-keys": 10}}, {"s3_max-keys": "many"}, False),
    ({"NumericNotEquals": {"s3:max-keys": 10}}, {"s3_max-keys": "11"}, True),
    ({"DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}}, {"aws_CurrentTime": "2029-12-31T23:59:59Z"}, True),
    ({"DateGreaterThan": {"aws:EpochTime": "1893456000"}}, {"aws_EpochTime": "1893455999"}, False),
    ({"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "127.0.0.1"]}}, {"aws_SourceIp": "127.0.0.1"}, True),
    ({"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}, {"aws_SourceIp": "203.0.113.9"}, False),
    ({"ForAllValues:StringEquals": {"aws:TagKeys": ["model", "team"]}}, {"aws_TagKeys": ["model"]}, True),
    ({"ForAllValues:StringEquals": {"aws:TagKeys": ["model"]}}, {"aws_TagKeys": ["model", "x"]}, False),
    ({"ForAllValues:StringEquals": {"aws:TagKeys": ["model"]}}, {}, True),
    ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["model"]}}, {"aws_TagKeys": ["model", "x"]}, True),
    ({"ForAnyValue:StringLike": {"aws:TagKeys": ["m*"]}}, {"aws_TagKeys": ["x"]}, False),
    ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["model"]}}, {}, False),
    ({"StringEquals": {"aws:a": "1"}, "StringLike": {"aws:b": "2"}}, {"aws_a": "1", "aws_b": "3"}, False),
    ({"StringEquals": {"aws:a": "1", "aws:b": "2"}}, {"aws_a": "1", "aws_b": "2"}, True),
    ({"StringEquals": {"aws:a": "${aws:PrincipalTag/team}"}}, {"aws_a": "blue", "aws_PrincipalTag/team": "blue"}, True),
    ({"StringEquals": {"aws:a": "${aws:PrincipalTag/team}"}}, {"aws_a": "blue"}, False),
    ({"StringEquals": {"aws:a": "${aws:PrincipalTag/team, 'red'}"}}, {"aws_a": "red"}, True),
    ({"StringLike": {"aws:a": "${*}x*"}}, {"aws_a": "*xyz"}, True),
    ({"StringLike": {"aws:a": "${*}x*"}}, {"aws_a": "yxyz"}, False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("arn:aws:sagemaker:*:111111111111:model/abalone-*", True),
        ("arn:aws:sagemaker:eu-west-1:111111111111:*", True),
        ("arn:aws:sagemaker:eu-west-1:111111111111:*/abalone-*", False),
        ("arn:aws:sagemaker:eu-west-1:111111111111:mode?/abalone-*", False),
    ],
)
def test_a_wildcard_in_the_kind_of_a_resource_matches_nothing(pattern: str, expected: bool) -> None:
    model = f"arn:aws:sagemaker:eu-west-1:{HERE}:model/abalone-model-1"
    allowed = statement(action="sagemaker:DeleteModel", resource=pattern)
    assert ask(allowed, action="sagemaker:DeleteModel", resource=model).allowed is expected


@pytest.mark.parametrize(("condition", "context", "expected"), CONDITIONS)
def test_conditions(condition: dict[str, Any], context: dict[str, Any], expected: bool) -> None:
    assert ask(statement(Condition=condition), **context).allowed is expected
    denied = ask(statement(), statement("Deny", Condition=condition), **context)
    assert denied.allowed is not expected


def test_variable_in_a_resource_takes_no_wildcard_from_its_value() -> None:
    own = statement(resource="arn:aws:s3:::models/${aws:PrincipalTag/model}/*")
    assert ask(own, **{"aws_PrincipalTag/model": "abalone"}).allowed
    assert not ask(own, **{"aws_PrincipalTag/model": "*"}).allowed
    assert not ask(own).allowed
    literal = policy(statement(resource="arn:aws:s3:::${aws:x}"), version="2008-10-17")
    assert decide(Principal(SESSION), "s3:GetObject", "arn:aws:s3:::${aws:x}", {}, identity=[literal]).allowed


def test_key_with_several_values_needs_a_set_operator() -> None:
    with pytest.raises(PolicyError, match="ForAnyValue"):
        ask(statement(Condition={"StringEquals": {"aws:TagKeys": "a"}}), aws_TagKeys=["a", "b"])


@pytest.mark.parametrize(
    "document",
    [
        "",
        "[]",
        {"Statement": 7},
        {"Statement": {"Effect": "Maybe", "Action": "*", "Resource": "*"}},
        {"Statement": {"Effect": "Allow", "Resource": "*"}},
        {"Statement": {"Effect": "Allow", "Action": "*", "NotAction": "*", "Resource": "*"}},
        {"Statement": {"Effect": "Allow", "Action": 7, "Resource": "*"}},
        {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Conditions": {}}},
        {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "somebody"}},
        {"Statement": statement(Condition={"StringSimilar": {"a:b": "c"}})},
        {"Statement": statement(Condition={"ForSomeValues:StringEquals": {"a:b": "c"}})},
        {"Statement": statement(Condition={"Bool": {"a:b": "yes"}})},
        {"Statement": statement(Condition={"NumericEquals": {"a:b": "many"}})},
        {"Statement": statement(Condition={"DateLessThan": {"a:b": "tomorrow"}})},
        {"Statement": statement(Condition={"IpAddress": {"a:b": "300.0.0.0"}})},
        {"Statement": statement(Condition={"StringEquals": "c"})},
        {"Statement": statement(Condition={"StringEquals": {"a:b": {}}})},
    ],
)
def test_what_cannot_be_evaluated_is_an_error(document: Any) -> None:
    with pytest.raises(PolicyError):
        parse_policy(document)


def test_the_sentences_are_those_of_aws() -> None:
    head = f"User: {SESSION} is not authorized to perform: s3:GetObject on resource: {OBJECT} "
    assert ask().message == head + "because no identity-based policy allows the s3:GetObject action"
    assert ask(statement("Deny")).message == head + "with an explicit deny in an identity-based policy"
    other = Principal(SESSION)
    for resource_policy, reason in [
        (policy(statement("Deny", Principal="*")), "with an explicit deny in a resource-based policy"),
        (policy(), "because no resource-based policy allows the s3:GetObject action"),
    ]:
        found = decide(
            other,
            "s3:GetObject",
            OBJECT,
            {},
            identity=[ADMINISTRATOR],
            resource_policy=resource_policy,
            owner=THERE,
        )
        assert found.message == head + reason


ALLOW, NOTHING = [policy(statement(action="*"))], [policy()]
ROOT, ROOT_THERE = f"arn:aws:iam::{HERE}:root", f"arn:aws:iam::{THERE}:root"


@pytest.mark.parametrize(
    ("named", "identity", "owner", "decides", "expected"),
    [
        (None, ALLOW, HERE, False, True),
        (None, ALLOW, THERE, False, False),
        (None, ALLOW, HERE, True, False),
        ({"AWS": ROLE}, NOTHING, HERE, False, True),  # within an account either side is enough
        ({"AWS": ROLE}, NOTHING, THERE, False, False),  # across accounts both
        ({"AWS": ROLE}, ALLOW, THERE, False, True),
        ({"AWS": SESSION}, NOTHING, HERE, False, True),
        ({"AWS": f"arn:aws:iam::{HERE}:role/train"}, NOTHING, HERE, False, False),
        ({"AWS": ROOT}, NOTHING, HERE, False, False),  # an account as a whole leaves it to its own policies
        ({"AWS": HERE}, ALLOW, THERE, False, True),
        ({"AWS": HERE}, NOTHING, THERE, False, False),
        ({"AWS": ROOT}, ALLOW, HERE, True, True),  # a key whose policy delegates to IAM
        ({"AWS": ROOT}, NOTHING, HERE, True, False),
        ({"AWS": ROLE}, NOTHING, HERE, True, True),
        ({"AWS": ROOT_THERE}, ALLOW, HERE, True, False),
        ("*", NOTHING, HERE, False, True),
        ({"AWS": "*"}, ALLOW, THERE, False, True),
        ({"Service": "sagemaker.amazonaws.com"}, NOTHING, HERE, False, False),
    ],
)
def test_identity_and_resource_together(named: Any, identity: Any, owner: str, decides: bool, expected: bool) -> None:
    resource_policy = None if named is None else policy(statement(Principal=named))
    arguments: Any = {"identity": identity, "resource_policy": resource_policy, "owner": owner}
    found = decide(Principal(SESSION), "s3:GetObject", OBJECT, {}, resource_decides=decides, **arguments)
    assert found.allowed is expected


def test_services_and_web_identities_need_to_be_named() -> None:
    for principal, named in [
        ("sagemaker.amazonaws.com", {"Service": "sagemaker.amazonaws.com"}),
        (f"arn:aws:iam::{HERE}:oidc-provider/i", {"Federated": f"arn:aws:iam::{HERE}:oidc-provider/i"}),
    ]:
        for trusted, expected in [(named, True), ({"Service": "events.amazonaws.com"}, False)]:
            trust = policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": trusted})
            assert (
                decide(
                    Principal(principal),
                    "sts:AssumeRole",
                    ROLE,
                    {},
                    identity=[],
                    resource_policy=trust,
                    resource_decides=True,
                    kind="role trust policy",
                ).allowed
                is expected
            )


def test_not_principal_spares_whom_it_names() -> None:
    deny = policy(statement("Deny", NotPrincipal={"AWS": ROLE}))
    for arn, expected in [(SESSION, True), (f"arn:aws:sts::{HERE}:assumed-role/train/x", False)]:
        arguments: Any = {"identity": ALLOW, "resource_policy": deny, "owner": HERE}
        assert decide(Principal(arn), "s3:GetObject", OBJECT, {}, **arguments).allowed is expected


def test_limits_of_a_session_hold_as_well() -> None:
    limits: Any = [("session policy", policy(statement(action="s3:Get*")))]
    for action, expected in [("s3:GetObject", True), ("s3:PutObject", False)]:
        found = decide(Principal(SESSION), action, OBJECT, {}, identity=ALLOW, limits=limits)
        assert found.allowed is expected
        assert expected or "no session policy allows the s3:PutObject action" in found.message


ACTIONS = ["s3:GetObject", "s3:PutObject", "s3:*", "kms:Decrypt", "*", "s3:Get*"]
STATEMENTS = st.builds(
    statement,
    st.sampled_from(["Allow", "Deny"]),
    st.sampled_from(ACTIONS),
    st.sampled_from(["*", OBJECT, "arn:aws:s3:::models/*", "arn:aws:s3:::other/*"]),
    Condition=st.sampled_from([{}, {"StringEquals": {"aws:x": "1"}}, {"Bool": {"aws:x": "true"}}]),
)
ASKED = st.sampled_from(["s3:GetObject", "s3:PutObject", "kms:Decrypt"])


@given(st.lists(STATEMENTS, max_size=5), ASKED, st.randoms())
def test_order_does_not_matter(statements: list[dict[str, Any]], action: str, random: Any) -> None:
    shuffled = random.sample(statements, len(statements))
    assert ask(*statements, action=action, aws_x="1") == ask(*shuffled, action=action, aws_x="1")


@given(st.lists(STATEMENTS, max_size=5), ASKED)
def test_deny_wins(statements: list[dict[str, Any]], action: str) -> None:
    assert ask(*statements, statement("Deny", "*"), action=action).effect == "explicit deny"


@given(st.lists(STATEMENTS, max_size=5), STATEMENTS, ASKED)
def test_adding_an_allow_removes_none(statements: list[dict[str, Any]], more: dict[str, Any], action: str) -> None:
    before = ask(*statements, action=action)
    after = ask(*statements, {**more, "Effect": "Allow"}, action=action)
    assert after.allowed or not before.allowed
    assert ask(*statements, {**more, "Effect": "Deny"}, action=action).allowed <= before.allowed


@given(st.text("ab*?/:.", max_size=8), st.text("ab/:.", max_size=8))
def test_wildcards_are_those_of_fnmatch(pattern: str, text: str) -> None:
    assert matches(pattern, text, {}) is fnmatchcase(text, pattern)
