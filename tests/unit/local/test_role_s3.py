"""S3 as an execution role sees it: its own policies, the bucket's and the key's decide, as on AWS."""

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from moto.backends import get_backend

from common.local.context import LocalAws
from common.local.roles import s3 as module
from common.local.roles.keys import KeyUnusable, usable_key
from common.local.roles.s3 import RoleS3, S3Refused
from common.local.services import Services
from common.local.store import Store
from tests.accounts import REGION

TRUST = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}


class Place:
    """An account with a bucket, an object in it, and a key."""

    def __init__(self) -> None:
        self.account = f"{uuid.uuid4().int % 10**12:012d}"
        self.bucket = f"bucket-{self.account}"
        backend = get_backend("s3")[self.account]["aws"]
        backend.create_bucket(self.bucket, REGION)
        backend.put_object(self.bucket, "m/data", b"rows")
        self.s3: Any = backend
        self.kms: Any = get_backend("kms")[self.account][REGION]

    def role(self, *statements: dict[str, Any]) -> RoleS3:
        """S3 as a role of this account with these statements in its policy."""
        iam: Any = get_backend("iam")[self.account]["aws"]
        iam.create_role("jobs", json.dumps({"Statement": TRUST}), "/", None, "", [], "3600")
        iam.put_role_policy("jobs", "own", json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))
        aws = LocalAws(Path("nowhere"), Store(Path(":memory:")), Services(lambda _: None), "http://127.0.0.1:0")
        return RoleS3(aws, self.account, REGION, f"arn:aws:iam::{self.account}:role/jobs")

    def key(self, *admitted: str) -> str:
        """ARN of a new key, which the policies of its account and the principals admitted may use."""
        principals = [f"arn:aws:iam::{self.account}:root", *admitted]
        policy = {"Effect": "Allow", "Principal": {"AWS": principals}, "Action": "kms:*", "Resource": "*"}
        arn: str = self.kms.create_key(json.dumps({"Statement": policy}), "", "SYMMETRIC_DEFAULT", "", []).arn
        return arn

    def encrypts(self, key: str) -> None:
        """From now on the bucket encrypts with this key what comes without one."""
        default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
        self.s3.put_bucket_encryption(self.bucket, {"Rule": {"ApplyServerSideEncryptionByDefault": default}})

    def admits(self, principal: str, action: str) -> None:
        """The bucket's policy."""
        wanted = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": action}
        objects = f"arn:aws:s3:::{self.bucket}/*"
        self.s3.put_bucket_policy(self.bucket, json.dumps({"Statement": wanted | {"Resource": objects}}).encode())


@pytest.fixture
def place() -> Place:
    return Place()


def may(action: str | list[str], resource: str = "*") -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def refusal(call: Callable[[], Any]) -> str:
    with pytest.raises(S3Refused) as caught:
        call()
    return str(caught.value)


def denied(s3: RoleS3, action: str, resource: str, kind: str = "identity-based") -> str:
    return (
        f"AccessDenied: User: arn:aws:sts::{s3.account}:assumed-role/jobs/SageMaker is not authorized to perform: {action} "
        f"on resource: {resource} because no {kind} policy allows the {action} action"
    )


def test_each_operation_needs_its_action(place: Place, tmp_path: Path) -> None:
    s3 = place.role(may("sqs:*"))
    (tmp_path / "file").write_bytes(b"more")
    bucket = f"arn:aws:s3:::{place.bucket}"
    for action, resource, call in (
        ("s3:GetObject", f"{bucket}/m/data", lambda: s3.read(place.bucket, "m/data")),
        ("s3:GetObject", f"{bucket}/m/data", lambda: s3.size(place.bucket, "m/data")),
        ("s3:GetObject", f"{bucket}/m/data", lambda: list(s3.parts(place.bucket, "m/data"))),
        ("s3:GetObject", f"{bucket}/m/data", lambda: s3.download(place.bucket, "m/data", tmp_path / "to")),
        ("s3:ListBucket", bucket, lambda: s3.objects(place.bucket, "m/")),
        ("s3:PutObject", f"{bucket}/m/new", lambda: s3.write(place.bucket, "m/new", b"")),
        ("s3:PutObject", f"{bucket}/m/new", lambda: s3.upload(place.bucket, "m/new", tmp_path / "file")),
    ):
        assert refusal(call) == denied(s3, action, resource)
    assert not (tmp_path / "to").exists()
    assert [key.name for key in place.s3.list_objects(place.s3.get_bucket(place.bucket), "", None, None, None)[0]] == [
        "m/data"
    ]


def test_what_the_policy_allows_is_done(place: Place, tmp_path: Path) -> None:
    s3 = place.role(may(["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::{place.bucket}/m/*"))
    s3.write(place.bucket, "m/new", b"new")
    s3.download(place.bucket, "m/new", tmp_path / "to")
    assert (tmp_path / "to").read_bytes() == s3.read(place.bucket, "m/new") == b"new"
    assert "s3:PutObject" in refusal(lambda: s3.write(place.bucket, "other/new", b""))


def test_only_who_may_list_learns_that_an_object_is_missing(place: Place) -> None:
    s3 = place.role(may("s3:GetObject"))
    assert refusal(lambda: s3.read(place.bucket, "gone")) == denied(s3, "s3:ListBucket", f"arn:aws:s3:::{place.bucket}")
    lists = Place()
    with pytest.raises(KeyError):
        lists.role(may(["s3:GetObject", "s3:ListBucket"])).read(lists.bucket, "gone")
    with pytest.raises(KeyError):  # that a bucket is missing everybody learns
        s3.read("no-such-bucket", "gone")


def test_a_list_is_held_to_its_prefix(place: Place) -> None:
    s3 = place.role(may("s3:ListBucket") | {"Condition": {"StringLike": {"s3:prefix": "m/*"}}})
    assert s3.objects(place.bucket, "m/") == [("m/data", 4)]
    assert "s3:ListBucket" in refusal(lambda: s3.objects(place.bucket, ""))


def test_a_bucket_of_another_account_takes_both_policies(place: Place) -> None:
    other = Place()
    s3 = place.role(may("s3:GetObject"))
    object_arn = f"arn:aws:s3:::{other.bucket}/m/data"
    assert refusal(lambda: s3.read(other.bucket, "m/data")) == denied(s3, "s3:GetObject", object_arn, "resource-based")
    other.admits(f"arn:aws:iam::{place.account}:role/jobs", "s3:*")
    assert s3.read(other.bucket, "m/data") == b"rows"
    assert refusal(lambda: s3.write(other.bucket, "m/new", b"")) == denied(
        s3, "s3:PutObject", f"arn:aws:s3:::{other.bucket}/m/new"
    )


def test_the_buckets_key_takes_actions_of_kms(place: Place) -> None:
    key = place.key()
    place.encrypts(key)
    writes = place.role(may("s3:*"), may("kms:GenerateDataKey", key))
    writes.write(place.bucket, "m/new", b"new")
    assert place.s3.get_object(place.bucket, "m/new").kms_key_id == key
    assert refusal(lambda: writes.read(place.bucket, "m/new")) == denied(writes, "kms:Decrypt", key)
    assert writes.size(place.bucket, "m/new") == 3
    reads = Place()
    reads.encrypts(key := reads.key())
    s3 = reads.role(may("s3:*"), may("kms:Decrypt", key))
    assert refusal(lambda: s3.write(reads.bucket, "m/new", b"")) == denied(s3, "kms:GenerateDataKey", key)


def test_a_large_object_goes_up_in_parts_which_takes_decrypting(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MULTIPART_BYTES", 10)
    place.encrypts(key := place.key())
    s3 = place.role(may("s3:*"), may("kms:GenerateDataKey"))
    s3.write(place.bucket, "small", b"1" * 10)
    assert refusal(lambda: s3.write(place.bucket, "large", b"1" * 11)) == denied(s3, "kms:Decrypt", key)


def test_a_named_key_of_another_account_has_to_admit_the_role(place: Place) -> None:
    s3, other = place.role(may(["s3:*", "kms:*"])), Place()
    closed, opened = other.key(), other.key(f"arn:aws:iam::{place.account}:root")
    message = refusal(lambda: s3.write(place.bucket, "k", b"", closed))
    assert message == denied(s3, "kms:GenerateDataKey", closed, "resource-based")
    s3.write(place.bucket, "k", b"new", opened)
    whose = {"StringEquals": {"kms:CallerAccount": place.account, "kms:ViaService": f"s3.{REGION}.amazonaws.com"}}
    policy = may("kms:*") | {"Principal": "*", "Condition": whose}
    other.kms.keys[opened.rpartition("/")[2]].policy = json.dumps({"Statement": policy})
    assert (place.s3.get_object(place.bucket, "k").kms_key_id, s3.read(place.bucket, "k")) == (opened, b"new")


def test_a_bucket_may_want_its_own_key_alone(place: Place) -> None:
    """As the project's buckets do, by the condition key of the header that names it."""
    key, other = place.key(), place.key()
    place.encrypts(key)
    named = "s3:x-amz-server-side-encryption-aws-kms-key-id"
    condition = {"Null": {named: "false"}, "StringNotEquals": {named: key}}
    objects = {"Resource": f"arn:aws:s3:::{place.bucket}/*", "Condition": condition}
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", **objects}
    place.s3.put_bucket_policy(place.bucket, json.dumps({"Statement": deny}).encode())
    s3 = place.role(may(["s3:*", "kms:*"]))
    s3.write(place.bucket, "k", b"")
    s3.write(place.bucket, "k", b"", key)
    assert "with an explicit deny in a resource-based policy" in refusal(
        lambda: s3.write(place.bucket, "k", b"", other)
    )


def test_a_role_without_policies_is_the_accounts_administrator(place: Place) -> None:
    s3 = RoleS3(place.role(may("sqs:*")).aws, place.account, REGION, f"arn:aws:iam::{place.account}:role/nobody")
    assert s3.read(place.bucket, "m/data") == b"rows"
    assert "s3:GetObject" in refusal(lambda: s3.read(Place().bucket, "m/data"))


@pytest.mark.parametrize("state", ["Disabled", "PendingDeletion"])
def test_a_key_that_is_not_enabled_opens_nothing(place: Place, state: str) -> None:
    place.encrypts(key := place.key())
    s3 = place.role(may("*"))
    s3.write(place.bucket, "k", b"new")
    place.kms.keys[key.rpartition("/")[2]].key_state = state
    code, reason = {
        "Disabled": ("DisabledException", "is disabled"),
        "PendingDeletion": ("KMSInvalidStateException", "is pending deletion"),
    }[state]
    for call in (lambda: s3.read(place.bucket, "k"), lambda: s3.write(place.bucket, "k", b"")):
        assert refusal(call) == f"KMS.{code}: {key} {reason}."


def test_a_key_has_several_names(place: Place) -> None:
    key = place.key()
    identifier = key.rpartition("/")[2]
    place.kms.create_alias(identifier, "alias/models")
    alias = f"arn:aws:kms:{REGION}:{place.account}:alias/models"
    assert {usable_key(place.account, REGION, name) for name in (key, identifier, alias, "alias/models")} == {key}
    assert usable_key(Place().account, REGION, key) == key


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone", "Key 'arn:aws:kms:eu-west-1:{account}:key/gone' does not exist"),
        ("alias/gone", "Alias arn:aws:kms:eu-west-1:{account}:alias/gone is not found."),
        (
            "arn:aws:kms:us-east-1:111122223333:key/gone",
            "Key 'arn:aws:kms:us-east-1:111122223333:key/gone' does not exist",
        ),
        ("arn:aws:kms", "Key 'arn:aws:kms' does not exist"),
    ],
)
def test_a_key_that_does_not_exist_is_named(place: Place, name: str, message: str) -> None:
    with pytest.raises(KeyUnusable) as caught:
        usable_key(place.account, REGION, name)
    assert (caught.value.code, str(caught.value)) == ("NotFoundException", message.format(account=place.account))
