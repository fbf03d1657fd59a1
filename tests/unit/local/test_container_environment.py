"""What code in a container learns of the machine and of AWS."""

from pathlib import Path

import pytest

from common.local.container_environment import container_environment
from common.local.context import LocalAws
from common.local.services import Services
from common.local.store import Store

ROLE = "arn:aws:iam::123456789012:role/jobs"
REACH = {"AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}


@pytest.mark.parametrize("isolated", [False, True])
def test_code_that_is_isolated_from_the_network_finds_no_aws_and_no_packages(
    monkeypatch: pytest.MonkeyPatch, isolated: bool
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of this machine's user")
    aws = LocalAws(Path("nowhere"), Store(Path(":memory:")), Services(lambda _: None), "http://127.0.0.1:2")
    found = container_environment(aws, "eu-west-1", ROLE, Path("/base"), {"A": "1"}, isolated=isolated)
    assert REACH & set(found) == (set() if isolated else REACH)
    assert (found["A"], found["AWS_REGION"]) == ("1", "eu-west-1")
    assert found.get("AWS_SECRET_ACCESS_KEY") != "of this machine's user"
    assert {"PIP_NO_INDEX", "PIP_INDEX_URL"} & set(found) == ({"PIP_NO_INDEX"} if isolated else {"PIP_INDEX_URL"})
