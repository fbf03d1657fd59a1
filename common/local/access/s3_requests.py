"""What a request to S3 needs: from its method, path, query and headers. Pure but for the objects that it names.

Source: "Actions, resources, and condition keys for Amazon S3" in the Service Authorization Reference.
"""

import re
from collections.abc import Iterator, Mapping
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, unquote

from common.local.access.guard import Need
from common.local.access.objects import kms_need, object_needs, upload_key
from common.local.api import ApiError

Environ = Mapping[str, Any]

_NAMES = {
    "accelerate": "AccelerateConfiguration",
    "acl": "BucketAcl",
    "analytics": "AnalyticsConfiguration",
    "cors": "BucketCORS",
    "encryption": "EncryptionConfiguration",
    "intelligent-tiering": "IntelligentTieringConfiguration",
    "inventory": "InventoryConfiguration",
    "lifecycle": "LifecycleConfiguration",
    "logging": "BucketLogging",
    "metrics": "MetricsConfiguration",
    "notification": "BucketNotification",
    "object-lock": "BucketObjectLockConfiguration",
    "ownershipControls": "BucketOwnershipControls",
    "policy": "BucketPolicy",
    "policyStatus": "BucketPolicyStatus",
    "publicAccessBlock": "BucketPublicAccessBlock",
    "replication": "ReplicationConfiguration",
    "requestPayment": "BucketRequestPayment",
    "tagging": "BucketTagging",
    "versioning": "BucketVersioning",
    "website": "BucketWebsite",
}
"""What each of a bucket's settings is called in actions, after Get and Put; by the parameter of the query."""
_DELETED = {"policy": "DeleteBucketPolicy", "website": "DeleteBucketWebsite"}
"""Whose removal has an action of its own; the others' is Put."""
_LISTS = {"versions": "ListBucketVersions", "uploads": "ListBucketMultipartUploads", "location": "GetBucketLocation"}
_OF_OBJECTS = {
    "acl": "ObjectAcl",
    "tagging": "ObjectTagging",
    "retention": "ObjectRetention",
    "legal-hold": "ObjectLegalHold",
}
_VIRTUAL_HOST = re.compile(r"(.+)\.localhost(?::\d+)?", re.IGNORECASE)
_DELETED_OBJECT = re.compile(rb"<Object>(.*?)</Object>", re.DOTALL)
_DELETED_KEY = re.compile(rb"<Key>(.*?)</Key>", re.DOTALL)


def s3_needs(environ: Environ, principal: str, body: bytes) -> Iterator[Need]:
    """What has to be allowed, one after the other.

    Args:
        body: of a request that deletes several objects; not looked at otherwise.

    Raises:
        ApiError: `AccessDeniedException`: it cannot be told what the request does.
    """
    bucket, key = bucket_and_key(environ)
    query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
    method = environ["REQUEST_METHOD"]
    if not bucket:
        yield Need("s3:ListAllMyBuckets")
    elif key:
        yield from _of_object(environ, principal, method, bucket, key, query)
    elif method == "POST" and "delete" in query:
        for each in _DELETED_OBJECT.findall(body):
            for name in _DELETED_KEY.findall(each):
                named = unescape(name.decode("utf-8", "replace"))
                yield Need(_delete_action(b"<VersionId>" in each), f"arn:aws:s3:::{bucket}/{named}")
    else:
        yield Need(f"s3:{_bucket_action(method, query)}", f"arn:aws:s3:::{bucket}", _listing(query))


def bucket_and_key(environ: Environ) -> tuple[str, str]:
    """What a request is about; the bucket's name may also stand before the server's. Empty where none is named."""
    path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "surrogateescape").lstrip("/")
    if before := _VIRTUAL_HOST.fullmatch(environ.get("HTTP_HOST", "")):
        return before[1], path
    bucket, _, key = path.partition("/")
    return bucket, key


def _bucket_action(method: str, query: Mapping[str, str]) -> str:
    setting = next((name for name in _NAMES if name in query), None)
    if setting and method in ("GET", "PUT"):
        return f"{method.capitalize()}{_NAMES[setting]}"
    if setting and method == "DELETE":
        return _DELETED.get(setting, f"Put{_NAMES[setting]}")
    if method in ("GET", "HEAD"):
        return next((action for name, action in _LISTS.items() if name in query), "ListBucket")
    if method in ("PUT", "DELETE"):
        return "CreateBucket" if method == "PUT" else "DeleteBucket"
    if method == "POST":
        return "PutObject"  # a form
    raise ApiError("AccessDeniedException", f"The local AWS does not know which action {method} of a bucket is.")


def _listing(query: Mapping[str, str]) -> dict[str, str]:
    names = {"prefix": "s3:prefix", "delimiter": "s3:delimiter", "max-keys": "s3:max-keys"}
    return {key: query[name] for name, key in names.items() if name in query}


def _of_object(
    environ: Environ, principal: str, method: str, bucket: str, key: str, query: Mapping[str, str]
) -> Iterator[Need]:
    arn = f"arn:aws:s3:::{bucket}/{key}"
    version = query.get("versionId", "")
    context = {**_written(environ), **({"s3:versionid": version} if version else {})}
    setting = next((name for name in _OF_OBJECTS if name in query), None)
    if setting:
        kind = _OF_OBJECTS[setting].replace("Object", "ObjectVersion") if version else _OF_OBJECTS[setting]
        yield Need(f"s3:{method.capitalize()}{kind}", arn, context)
    elif method in ("GET", "HEAD"):
        if "uploadId" in query:
            yield Need("s3:ListMultipartUploadParts", arn)
        else:
            action = "s3:GetObjectVersion" if version else "s3:GetObject"
            needs = object_needs(principal, action, bucket, key, context=context)
            yield from (need for need in needs if method == "GET" or need.action != "kms:Decrypt")
    elif method == "DELETE":
        yield Need("s3:AbortMultipartUpload" if "uploadId" in query else _delete_action(version), arn, context)
    elif method == "POST" and "restore" in query:
        yield Need("s3:RestoreObject", arn)
    elif method in ("PUT", "POST"):
        yield from _write(environ, principal, bucket, key, query, context)
    else:
        raise ApiError("AccessDeniedException", f"The local AWS does not know which action {method} of an object is.")


def _write(
    environ: Environ, principal: str, bucket: str, key: str, query: Mapping[str, str], context: Mapping[str, str]
) -> Iterator[Need]:
    if source := environ.get("HTTP_X_AMZ_COPY_SOURCE"):
        name, _, rest = source.partition("?")
        from_bucket, _, from_key = unquote(name).lstrip("/").partition("/")
        version = dict(parse_qsl(rest)).get("versionId", "")
        of = {"s3:versionid": version} if version else {}
        action = "s3:GetObjectVersion" if version else "s3:GetObject"
        yield from object_needs(principal, action, from_bucket, from_key, context=of)
    arn = f"arn:aws:s3:::{bucket}/{key}"
    named = environ.get("HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION_AWS_KMS_KEY_ID", "")
    if "uploadId" in query:  # the key was settled when the upload began
        yield Need("s3:PutObject", arn, context)
        return
    yield from object_needs(principal, "s3:PutObject", bucket, key, named, context)
    if "HTTP_X_AMZ_TAGGING" in environ:
        yield Need("s3:PutObjectTagging", arn, context)
    if "uploads" in query and (used := upload_key(principal, bucket, named)):
        yield kms_need("kms:Decrypt", used, arn, principal)  # the parts are put together again


def _written(environ: Environ) -> dict[str, str]:
    """Condition keys that travel as headers."""
    names = (
        "x-amz-acl",
        "x-amz-server-side-encryption",
        "x-amz-server-side-encryption-aws-kms-key-id",
        "x-amz-copy-source",
        "if-none-match",
    )
    keys = {name: f"HTTP_{name.upper().replace('-', '_')}" for name in names}
    return {f"s3:{name}": environ[key] for name, key in keys.items() if key in environ}


def _delete_action(version: object) -> str:
    return "s3:DeleteObjectVersion" if version else "s3:DeleteObject"
