"""Objects in S3: what a request about them needs, with what their encryption needs of KMS."""

from collections.abc import Iterator
from typing import Any

from moto.backends import get_backend
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket

from common.local.access.guard import NO_CONTEXT, Need
from common.local.access.patterns import Context

READS = ("s3:GetObject", "s3:GetObjectVersion")


def mend_s3() -> None:
    """Keep moto, in this process, from evaluating bucket policies itself: it counts every condition as true."""
    bucket: Any = FakeBucket
    bucket.get_permission = lambda _bucket, _action, _resource: PermissionResult.NEUTRAL


def object_needs(
    principal: str, action: str, bucket: str, key: str, kms_key: str = "", context: Context = NO_CONTEXT
) -> Iterator[Need]:
    """The action itself, and for reads and writes that of KMS. A read of what is not there takes the right to list:
    otherwise S3 does not tell that it is not there."""
    arn = f"arn:aws:s3:::{bucket}/{key}"
    yield Need(action, arn, context)
    if action == "s3:PutObject":
        if used := _key_arn(kms_key or customer_key(bucket), principal, bucket):
            yield kms_need("kms:GenerateDataKey", used, _encrypted_as(arn, _has_bucket_key(bucket)), principal)
    elif action in READS:
        found = _object(bucket, key, str(context.get("s3:versionid", "")))
        if found is None:
            yield Need("s3:ListBucket", f"arn:aws:s3:::{bucket}", {"s3:prefix": key})
        elif found.encryption == "aws:kms" and (used := _key_arn(found.kms_key_id, principal, bucket)):
            yield kms_need("kms:Decrypt", used, _encrypted_as(arn, found.bucket_key_enabled), principal)


def kms_need(action: str, key_arn: str, s3_arn: str, principal: str) -> Need:
    """What S3 asks of KMS in the caller's name."""
    region = key_arn.split(":")[3]
    context = {
        "kms:ViaService": f"s3.{region}.amazonaws.com",
        "kms:CallerAccount": principal.split(":")[4],
        "kms:EncryptionContext:aws:s3:arn": s3_arn,
        "aws:ViaAWSService": "true",
    }
    return Need(action, key_arn, context)


def upload_key(principal: str, bucket: str, kms_key: str = "") -> str:
    """ARN of the key that a write to this bucket uses; empty where it is none of the customer's."""
    return _key_arn(kms_key or customer_key(bucket), principal, bucket)


def _bucket(name: str) -> Any | None:
    backends: Any = get_backend("s3")
    _, owner = backends.bucket_accounts.get(name, ("", ""))
    return backends[owner]["aws"].buckets.get(name) if owner else None


def _object(bucket: str, key: str, version: str) -> Any | None:
    found = _bucket(bucket)
    if found is None:
        return None
    if version:
        return next((each for each in found.keys.getlist(key, []) if each.version_id == version), None)
    latest = found.keys.get(key)
    return latest if hasattr(latest, "encryption") else None  # a delete marker is no object


def customer_key(bucket: str) -> str:
    """The key of the bucket's default encryption; empty where that is none of the customer's."""
    found = _bucket(bucket)
    if found is None or not found.encryption:
        return ""
    rule = found.encryption["Rule"]["ApplyServerSideEncryptionByDefault"]
    return str(rule.get("KMSMasterKeyID") or "") if rule["SSEAlgorithm"] == "aws:kms" else ""


def _has_bucket_key(bucket: str) -> object:
    found = _bucket(bucket)
    return found.encryption["Rule"].get("BucketKeyEnabled") if found is not None and found.encryption else False


def _encrypted_as(arn: str, bucket_key: object) -> str:
    """What the encryption context names: the object, or its bucket where one key of that is used for all objects."""
    return arn.partition("/")[0] if str(bucket_key).lower() == "true" else arn


def _key_arn(key: str | None, principal: str, bucket: str) -> str:
    """The ARN of a key that is named by ARN, id or alias. What is no ARN is of the caller's account, as on AWS."""
    if not key or (key.startswith("arn:") and ":key/" in key):
        return key or ""
    account = principal.split(":")[4]
    found = _bucket(bucket)
    region = key.split(":")[3] if key.startswith("arn:") else (found.region_name if found else "us-east-1")
    owner = key.split(":")[4] if key.startswith("arn:") else account
    kms: Any = get_backend("kms")[owner][region]
    return f"arn:aws:kms:{region}:{owner}:key/{kms.any_id_to_key_id(key)}"
