"""Who sent a request: the account and identity behind an access key, and what conditions can ask about them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from moto.iam.models import get_account_id_from
from moto.sts.models import sts_backends

from common.local import clock
from common.local.access.patterns import Context
from common.local.access.policy import plain_arn
from common.local.access.roles import find_role, tags
from common.local.api import ApiError

WEB_IDENTITY = "web_identity"
"""The attribute of moto's session that keeps the condition keys of the token which it was given for."""
OF_ROLE = "of_role"
"""The attribute that keeps whether IAM had the role."""


class Caller(NamedTuple):
    """Whose access key signed a request."""

    account: str
    arn: str
    user_id: str = ""
    expires: float | None = None
    """Epoch seconds on the local AWS's clock; None for keys that no role gave out."""
    web_identity: Mapping[str, str] = {}
    """Condition keys of the token that the session was given for: `<issuer>:sub`, `<issuer>:aud`."""
    of_role: bool = False
    """Whether IAM had the role of the session when that was made."""


@lru_cache(maxsize=4096)
def identify(access_key: str) -> Caller:
    """The caller of an access key; keys that nobody was given belong to moto's default account.

    Raises:
        ApiError: `InvalidClientTokenId`: a session's key that this server has not given out, or no longer knows.
    """
    account = get_account_id_from(access_key)
    sts: Any = sts_backends[account]["aws"]
    session = sts.get_assumed_role_from_access_key(access_key)
    if session is None:
        if access_key.startswith("ASIA"):
            raise _unknown()
        return Caller(account, f"arn:aws:iam::{account}:root", account)
    expires = session.expiration.replace(tzinfo=UTC).timestamp()
    of_role = getattr(session, OF_ROLE, False)
    return Caller(account, session.arn, session.user_id, expires, getattr(session, WEB_IDENTITY, {}), of_role)


def _unknown() -> ApiError:
    return ApiError("InvalidClientTokenId", "The security token included in the request is invalid.", 403)


def check_expiry(caller: Caller) -> None:
    """Refuse keys whose time is over, or whose role is. Those of roles that IAM never had belong to no one, and last.

    Raises:
        ApiError: `ExpiredToken`, `InvalidClientTokenId`.
    """
    if caller.of_role and find_role(caller.arn) is None:
        raise _unknown()
    if caller.expires is not None and caller.expires <= clock.now() and find_role(caller.arn) is not None:
        raise ApiError("ExpiredToken", "The security token included in the request is expired")


def conditions(arn: str, caller: Caller | None = None) -> dict[str, str | list[str]]:
    """The condition keys that hold for whatever a principal asks, in lower case.

    Source: "AWS global condition context keys" in the IAM user guide.
    """
    now = clock.now()
    found: dict[str, str | list[str]] = {
        "aws:principalarn": arn,
        "aws:securetransport": "true",  # the loopback connection stands for TLS
        "aws:sourceip": "127.0.0.1",
        "aws:currenttime": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "aws:epochtime": str(int(now)),
        "aws:viaawsservice": "false",
    }
    if not arn.startswith("arn:"):  # a service
        return found | {"aws:principalisawsservice": "true", "aws:principalservicename": arn}
    found |= {"aws:principalaccount": arn.split(":")[4], "aws:principalisawsservice": "false"}
    role = find_role(arn)
    if ":assumed-role/" in arn or ":role/" in arn:
        found |= {"aws:principaltype": "AssumedRole", "aws:principalarn": role.arn if role else plain_arn(arn)}
    else:
        found["aws:principaltype"] = "Account" if arn.endswith(":root") else "User"
    if role:
        found |= {f"aws:principaltag/{key.lower()}": value for key, value in tags(role).items()}
    if caller:
        found |= {"aws:userid": caller.user_id, **caller.web_identity}
    return found


def lower(context: Context) -> dict[str, str | list[str]]:
    """Condition keys are not case sensitive."""
    return {key.lower(): value for key, value in context.items()}
