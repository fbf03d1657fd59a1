"""The front door of moto's services: who sent a request, whether they may, and the error in the service's own form."""

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, parse_qsl

from common.local.access.assume import check_assume_role, check_web_identity, web_identity
from common.local.access.callers import Caller, check_expiry, conditions, identify
from common.local.access.guard import bucket_side, require_all, restrained
from common.local.access.objects import customer_key
from common.local.access.s3_requests import bucket_and_key, s3_needs
from common.local.access.sagemaker_requests import named_resources, request_conditions, sagemaker_needs
from common.local.access.service_requests import Asked, read_request, service_needs
from common.local.api import ApiError
from common.local.context import LocalAws

Environ = dict[str, Any]

_CREDENTIAL = re.compile(r"([^/= ]+)/\d+/([^/]+)/([^/]+)/aws4_request")
_WEB_IDENTITY = "AssumeRoleWithWebIdentity"
_EVALUATED = ("s3", "kms", "sts")
"""Where administrators are held to something, too: the policies of buckets and keys, the trust of roles."""


def admit(aws: LocalAws, environ: Environ) -> AbstractContextManager[None]:
    """Check a request to one of moto's services; it is to be answered within what is returned.

    Raises:
        ApiError: the caller may not, or its keys have expired. `in_form` gives it the service's form.
    """
    signed = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", "")) or _presigned(environ)
    if signed is None:
        return _unsigned(aws, environ)
    key, region, service = signed.groups()
    caller = identify(key)
    check_expiry(caller)
    if restrained(caller.arn) or service in _EVALUATED:
        _check(aws, environ, caller, region, service)
    return nullcontext()


def admit_operation(
    aws: LocalAws, caller: Caller, region: str, service: str, operation: str, request: Mapping[str, Any]
) -> dict[str, str | list[str]]:
    """Check a request to a service that is ours, SageMaker or Application Auto Scaling.

    Returns:
        The condition keys of the request, for what its operation asks itself.

    Raises:
        ApiError: `AccessDeniedException`.
    """
    context = _context(caller, region)
    if service == "sagemaker":
        named = named_resources(operation, request, caller.account, region)
        context |= request_conditions(request, _tags(aws, named))
    if restrained(caller.arn):
        asked = Asked(service, operation, request, caller.account, region)
        needs = sagemaker_needs if service == "sagemaker" else service_needs
        require_all(aws, caller.arn, needs(asked), context)
    return context


def _tags(aws: LocalAws, resources: list[str]) -> dict[str, str]:
    """The tags of the first of the resources, if that exists."""
    parts = resources[0].split(":") if resources else []
    document = aws.store.get(f"{parts[4]}/{parts[3]}", "tags", resources[0]) if len(parts) > 5 else None
    return {tag: str(value) for tag, value in document["Tags"].items()} if document else {}


def in_form(error: ApiError, service: str, *, json: bool) -> ApiError:
    """A refusal with the code and status that the service's protocol has for it; any other error as it is.

    Args:
        json: whether the service answers in JSON.
    """
    if error.code == "ExpiredToken":
        if service == "s3":
            return ApiError("ExpiredToken", "The provided token has expired.", 400)
        return ApiError("ExpiredTokenException" if json else "ExpiredToken", error.message, 400 if json else 403)
    if error.code == "InvalidClientTokenId" and (service == "s3" or json):
        code = "InvalidAccessKeyId" if service == "s3" else "UnrecognizedClientException"
        return ApiError(code, error.message, 403 if service == "s3" else 400)
    if error.code in ("AccessDenied", "AccessDeniedException") and not json:
        return ApiError("AuthorizationError" if service == "sns" else "AccessDenied", error.message, 403)
    return error


def _presigned(environ: Mapping[str, Any]) -> re.Match[str] | None:
    """The credential of a URL that carries its own signature, of the fourth version or of the second."""
    query = parse_qs(environ.get("QUERY_STRING", "")) if "Signature=" in environ.get("QUERY_STRING", "") else {}
    given = query.get("X-Amz-Credential", [])
    given += [f"{key}/1/us-east-1/s3/aws4_request" for key in query.get("AWSAccessKeyId", [])]
    return _CREDENTIAL.search(given[0]) if given else None


def _unsigned(aws: LocalAws, environ: Environ) -> AbstractContextManager[None]:
    """Nobody's request: a token takes the place of keys, or it is refused, as every other that is not signed."""
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        asked = dict(parse_qsl(_body(environ).decode("utf-8", "replace")))
        if asked.get("Action") == _WEB_IDENTITY:
            return web_identity(check_web_identity(aws, asked))
    raise ApiError("AccessDenied", "The request has no signature of the fourth version, which says who sends it.", 403)


def _check(aws: LocalAws, environ: Environ, caller: Caller, region: str, service: str) -> None:
    if service == "s3":
        if restrained(caller.arn) or _guarded(environ, caller):
            deletes = environ["REQUEST_METHOD"] == "POST" and "delete" in environ.get("QUERY_STRING", "")
            body = _body(environ) if deletes else b""
            require_all(aws, caller.arn, s3_needs(environ, caller.arn, body), _context(caller, region))
        return
    asked = read_request(environ, _body(environ), service, caller.account, region)
    if f"{asked.service}:{asked.operation}" == "sts:AssumeRole":
        check_assume_role(caller, asked.parameters)
    else:
        require_all(aws, caller.arn, service_needs(asked), _context(caller, region))


def _context(caller: Caller, region: str) -> dict[str, str | list[str]]:
    return conditions(caller.arn, caller) | {"aws:requestedregion": region}


def _guarded(environ: Environ, caller: Caller) -> bool:
    """Whether a bucket is another account's, or holds even its own administrator to something."""
    bucket = bucket_and_key(environ)[0]
    return any(_holds(each, caller) for each in (bucket, _source(environ)) if each)


def _source(environ: Environ) -> str:
    return str(environ.get("HTTP_X_AMZ_COPY_SOURCE", "")).lstrip("/").partition("/")[0]


def _holds(bucket: str, caller: Caller) -> bool:
    side = bucket_side(bucket)
    return side.owner not in ("", caller.account) or side.policy is not None or bool(customer_key(bucket))


def _body(environ: Environ) -> bytes:
    """The body, which whoever comes next finds again."""
    body: bytes = environ["wsgi.input"].read()
    environ["wsgi.input"] = BytesIO(body)
    return body
