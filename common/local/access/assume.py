"""Taking on a role: by AssumeRole, or with a web identity. What moto does without looking is looked at here before."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

from moto.iam.models import iam_backends
from moto.sts.models import AssumedRole, STSBackend

from common.local import clock
from common.local.access.callers import OF_ROLE, WEB_IDENTITY, Caller, conditions
from common.local.access.guard import may_assume
from common.local.access.roles import find_role
from common.local.access.tokens import Issuer
from common.local.api import ApiError
from common.local.context import LocalAws

_SHORTEST, _LONGEST, _CHAINED = 900, 43_200, 3600
"""Seconds that a session can last; the last when a session takes on another role."""
_ACTION = "sts:AssumeRoleWithWebIdentity"
_assume_role = STSBackend.assume_role
_said: ContextVar[Mapping[str, str]] = ContextVar("what the token of the session says that is being made")


def mend_sts() -> None:
    """Let sessions end by the local AWS's clock, in this process."""
    backend: Any = STSBackend
    backend.assume_role = _assumed


def _assumed(self: STSBackend, **asked: Any) -> AssumedRole:
    session = _assume_role(self, **asked)
    session.expiration += timedelta(seconds=clock.skipped())
    setattr(session, WEB_IDENTITY, dict(_said.get({})))
    setattr(session, OF_ROLE, find_role(session.arn) is not None)
    return session


@contextmanager
def web_identity(keys: Mapping[str, str]) -> Iterator[None]:
    """Let the session that is made meanwhile, in this thread, keep the condition keys of its token."""
    before = _said.set(keys)
    try:
        yield
    finally:
        _said.reset(before)


def check_assume_role(caller: Caller, asked: Mapping[str, Any]) -> None:
    """Check an `AssumeRole`.

    Raises:
        ApiError: `AccessDenied`, `ValidationError`, or `UnsupportedOperation` for a session with a policy of its own.
    """
    role_arn = str(asked.get("RoleArn", ""))
    _check_session(asked, chained=":assumed-role/" in caller.arn)
    context = conditions(caller.arn, caller) | {"sts:rolesessionname": str(asked.get("RoleSessionName", ""))}
    if "ExternalId" in asked:
        context["sts:externalid"] = asked["ExternalId"]
    decided = may_assume(caller.arn, role_arn, "sts:AssumeRole", context)
    if not decided.allowed:
        raise ApiError("AccessDenied", decided.message, 403)


def check_web_identity(aws: LocalAws, asked: Mapping[str, Any]) -> dict[str, str]:
    """Check an `AssumeRoleWithWebIdentity`: the token, the account's identity provider, and the trust of the role.

    Returns:
        The condition keys that the token gives to the session.

    Raises:
        ApiError: `InvalidIdentityToken`, `ExpiredTokenException`, `AccessDenied`, `ValidationError`.
    """
    role_arn = str(asked.get("RoleArn", ""))
    _check_session(asked, chained=False)
    claims = aws.part(Issuer).verify(str(asked.get("WebIdentityToken", "")))
    issuer = claims["iss"].removeprefix("https://")
    provider = _provider(role_arn, issuer)
    if provider is None:
        raise ApiError("InvalidIdentityToken", f"No OpenIDConnect provider found in your account for {claims['iss']}")
    if claims["aud"] not in provider.client_id_list:
        raise ApiError("InvalidIdentityToken", "Incorrect token audience")
    keys = {f"{issuer}:{name}".lower(): claims[name] for name in ("aud", "sub")}
    context = {
        **conditions(provider.arn),
        **keys,
        "aws:federatedprovider": provider.arn,
        "sts:rolesessionname": str(asked.get("RoleSessionName", "")),
    }
    if find_role(role_arn) is None or not may_assume(provider.arn, role_arn, _ACTION, context).allowed:
        raise ApiError("AccessDenied", f"Not authorized to perform {_ACTION}", 403)
    return keys


def _provider(role_arn: str, issuer: str) -> Any | None:
    account = role_arn.split(":")[4] if role_arn.count(":") >= 5 else ""
    iam: Any = iam_backends[account]["aws"] if account.isdecimal() else None
    return iam.open_id_providers.get(f"arn:aws:iam::{account}:oidc-provider/{issuer}") if iam else None


def _check_session(asked: Mapping[str, Any], *, chained: bool) -> None:
    """How long it is to last, and that it has no policy of its own, which would be passed over here."""
    if asked.get("Policy") or asked.get("PolicyArns"):
        raise ApiError("UnsupportedOperation", "The local AWS does not support policies of a session.")
    seconds = str(asked.get("DurationSeconds", _CHAINED))
    if not seconds.isdecimal() or not _SHORTEST <= int(seconds) <= _LONGEST:
        raise ApiError(
            "ValidationError",
            f"1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to satisfy constraint: "
            f"Member must have value between {_SHORTEST} and {_LONGEST}",
        )
    if chained and int(seconds) > _CHAINED:
        raise ApiError(
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
        )
    role = find_role(str(asked.get("RoleArn", "")))
    if role and int(seconds) > int(role.max_session_duration or _CHAINED):
        raise ApiError(
            "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )
