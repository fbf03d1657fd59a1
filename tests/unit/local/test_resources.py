"""Lists and access policies, on a call that needs no server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.local.api import ApiError, Call
from common.local.context import LocalAws
from common.local.sagemaker.access import authorize, check_group_policy
from common.local.sagemaker.resources import Page, Resource, list_page, parse_arn, resource
from common.local.services import Services
from common.local.store import Document, Store

OWNER, OTHER = "111111111111", "222222222222"
GROUP = Resource(OWNER, "eu-west-1", "model-package-group", "abalone")
PACKAGE = f"arn:aws:sagemaker:eu-west-1:{OWNER}:model-package/abalone/1"


@pytest.fixture
def aws() -> Iterator[LocalAws]:
    store = Store(Path(":memory:"))
    yield LocalAws(Path(), store, Services(changed=lambda service: None), "")
    store.close()


def call(aws: LocalAws | None, account: str = OWNER, caller: str = "", **request: Any) -> Call:
    caller = caller or f"arn:aws:iam::{account}:root"
    return Call(aws, account, "eu-west-1", request, caller)  # type: ignore[arg-type]


def named(page: Page) -> list[str]:
    return [document["Name"] for document in page.items]


def documents(count: int) -> list[Document]:
    return [{"Name": f"n{number:03}", "CreationTime": 1000.0 + number} for number in range(count)]


def test_ten_are_listed_unless_asked_otherwise() -> None:
    page = list_page(call(None), documents(11), name="Name")
    assert (len(page.items), page.next_token is None) == (10, False)
    assert list_page(call(None, MaxResults=11), documents(11), name="Name").next_token is None


@given(count=st.integers(0, 30), size=st.integers(1, 7), order=st.sampled_from(["Ascending", "Descending"]))
def test_pages_add_up_to_the_list(count: int, size: int, order: str) -> None:
    seen: list[str] = []
    token: str | None = None
    while True:
        more = {"NextToken": token} if token else {}
        page = list_page(call(None, MaxResults=size, SortOrder=order, **more), documents(count), name="Name")
        seen += named(page)
        token = page.next_token
        if not token:
            break
    expected = [document["Name"] for document in documents(count)]
    assert seen == (expected if order == "Ascending" else expected[::-1])


def test_deleting_between_pages_skips_nothing() -> None:
    first = list_page(call(None, MaxResults=3), documents(6), name="Name")
    rest = documents(6)[2:]
    second = list_page(call(None, MaxResults=3, NextToken=first.next_token), rest, name="Name")
    assert named(second) == ["n003", "n004", "n005"]


def test_bounds_of_time_and_status_and_name_all_hold() -> None:
    found = [{**document, "State": "A" if index % 2 else "B"} for index, document in enumerate(documents(10))]
    request: dict[str, Any] = {
        "CreationTimeAfter": 1002.0,
        "CreationTimeBefore": 1008.0,
        "StatusEquals": "A",
        "NameContains": "5",
    }
    assert named(list_page(call(None, **request), found, name="Name", status="State")) == ["n005"]


@pytest.mark.parametrize("arn", ["", "abalone", "arn:aws:s3:::bucket", "arn:aws:sagemaker:eu-west-1:1:model/x"])
def test_foreign_arn_is_refused(arn: str) -> None:
    with pytest.raises(ApiError, match="not an ARN of SageMaker"):
        parse_arn(arn)


def test_arn_of_another_kind_or_region_is_refused() -> None:
    with pytest.raises(ApiError, match="not the ARN of a model"):
        resource(call(None), "model", PACKAGE)
    with pytest.raises(ApiError, match="another region"):
        resource(call(None), "model-package", PACKAGE.replace("eu-west-1", "us-east-1"))


def statement(**members: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": {"AWS": OTHER}, "Action": "sagemaker:*", "Resource": "*", **members}


def allowed(aws: LocalAws, *statements: dict[str, Any], account: str = OTHER, caller: str = "") -> bool:
    policy = {"ResourcePolicy": json.dumps({"Statement": list(statements)})}
    aws.store.put(GROUP.scope, "model-package-group-policy", GROUP.name, policy)
    try:
        authorize(call(aws, account, caller), "DescribeModelPackage", PACKAGE)
    except ApiError:
        return False
    return True


SESSION = f"arn:aws:sts::{OTHER}:assumed-role/Deploy/ci"


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, True),
        ({"Principal": "*"}, True),
        ({"Principal": {"AWS": ["333333333333", f"arn:aws:iam::{OTHER}:root"]}}, True),
        ({"Principal": {"AWS": f"arn:aws:iam::{OTHER}:role/ci/Deploy"}}, True),
        ({"Principal": {"AWS": SESSION}}, True),
        ({"Principal": {"AWS": f"arn:aws:iam::{OTHER}:role/Train"}}, False),
        ({"Principal": {"AWS": "333333333333"}}, False),
        ({"Principal": {"Service": "sagemaker.amazonaws.com"}}, False),
        ({"Action": ["sagemaker:List*", "sagemaker:describemodelpackage"]}, True),
        ({"Action": "sagemaker:UpdateModelPackage"}, False),
        ({"Action": "s3:*"}, False),
        ({"Resource": f"arn:aws:sagemaker:eu-west-1:{OWNER}:model-package/abalone/*"}, True),
        ({"Resource": f"arn:aws:sagemaker:eu-west-1:{OWNER}:model-package/abalone/?"}, True),
        ({"Resource": f"arn:aws:sagemaker:eu-west-1:{OWNER}:model-package/churn/*"}, False),
        ({"Resource": f"arn:aws:sagemaker:eu-west-1:{OWNER}:model-package-group/abalone"}, False),
        ({"Condition": {"StringEquals": {"aws:PrincipalAccount": OTHER}}}, True),
        ({"Condition": {"StringEquals": {"aws:PrincipalAccount": OWNER}}}, False),
    ],
)
def test_policy_allows_what_it_says(aws: LocalAws, members: dict[str, Any], expected: bool) -> None:
    assert allowed(aws, statement(**members), caller=SESSION) is expected


def test_deny_wins_over_allow_even_for_the_owner(aws: LocalAws) -> None:
    deny = statement(Effect="Deny", Principal="*")
    assert not allowed(aws, statement(), deny)
    assert not allowed(aws, deny, account=OWNER)


def test_owner_needs_no_policy_and_others_do(aws: LocalAws) -> None:
    authorize(call(aws), "DescribeModelPackage", PACKAGE)
    with pytest.raises(ApiError, match="not authorized to perform: sagemaker:DescribeModelPackage") as caught:
        authorize(call(aws, OTHER), "DescribeModelPackage", PACKAGE)
    assert caught.value.code == "AccessDeniedException"


@pytest.mark.parametrize(
    "policy",
    [
        "",
        "[]",
        "{}",
        json.dumps({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*"}]}),
        json.dumps({"Statement": statement(Effect="Maybe")}),
        json.dumps({"Statement": statement(Principal=OTHER)}),
        json.dumps({"Statement": statement(Principal={"AWS": [1]})}),
        json.dumps({"Statement": statement(Action=7)}),
        json.dumps({"Statement": [7]}),
        json.dumps({"Statement": statement(Condition={"StringSimilar": {"aws:PrincipalOrgID": "o-1"}})}),
        json.dumps({"Statement": statement(NotAction="sagemaker:*")}),
    ],
)
def test_policy_that_cannot_be_evaluated_is_refused(policy: str) -> None:
    with pytest.raises(ApiError) as caught:
        check_group_policy(policy)
    assert caught.value.code == "ValidationException"
