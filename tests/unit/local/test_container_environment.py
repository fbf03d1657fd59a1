"""What code in a container learns of the machine and of AWS."""

from pathlib import Path

import pytest

from common.local.container_environment import container_environment
from common.local.context import LocalAws
from common.local.jobs import contract
from common.local.services import Services
from common.local.store import Store

ROLE = "arn:aws:iam::123456789012:role/jobs"
REQUEST = {"TrainingJobName": "j", "RoleArn": ROLE, "ResourceConfig": {"InstanceCount": 1}}
REACH = {"AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}


@pytest.fixture
def aws() -> LocalAws:
    return LocalAws(Path("nowhere"), Store(Path(":memory:")), Services(lambda _: None), "http://127.0.0.1:2")


@pytest.mark.parametrize("isolated", [False, True])
def test_code_that_is_isolated_from_the_network_finds_no_aws_and_no_packages(
    aws: LocalAws, monkeypatch: pytest.MonkeyPatch, isolated: bool
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of this machine's user")
    found = container_environment(aws, "eu-west-1", ROLE, Path("/base"), {"A": "1"}, isolated=isolated)
    assert REACH & set(found) == (set() if isolated else REACH)
    assert (found["A"], found["AWS_REGION"]) == ("1", "eu-west-1")
    assert found.get("AWS_SECRET_ACCESS_KEY") != "of this machine's user"
    assert {"PIP_NO_INDEX", "PIP_INDEX_URL"} & set(found) == ({"PIP_NO_INDEX"} if isolated else {"PIP_INDEX_URL"})


@pytest.mark.parametrize("isolated", [False, True])
def test_a_training_job_says_whether_its_containers_are_isolated(aws: LocalAws, isolated: bool) -> None:
    arn = "arn:aws:sagemaker:eu-west-1:123456789012:training-job/j"
    request = REQUEST | ({"EnableNetworkIsolation": True} if isolated else {})
    found = contract.environment(aws, request, arn, Path("/base"))
    assert REACH & set(found) == (set() if isolated else REACH)
