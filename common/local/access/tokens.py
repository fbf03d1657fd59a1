"""Web identities as CI systems get them: signed tokens (JWT), issued and verified by this server alone.

Source of form and claims: RFC 7519; what AWS checks: `AssumeRoleWithWebIdentity` in the STS API reference.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from typing import Any

from common.local import clock
from common.local.api import ApiError, validation_error
from common.local.context import LocalAws

LIFETIME = 3600
"""Seconds."""
_REQUIRED = ("iss", "aud", "sub")


class Issuer:
    """Issues tokens of any issuer, for players of CI systems, and verifies them. The secret is this process's own."""

    def __init__(self, _aws: LocalAws) -> None:
        self._secret = secrets.token_bytes(32)

    def issue(self, claims: Mapping[str, Any]) -> str:
        """A token with these claims, valid for an hour unless they say otherwise (`exp`, in epoch seconds).

        Raises:
            ApiError: `ValidationException`: a claim is missing.
        """
        if missing := [name for name in _REQUIRED if not isinstance(claims.get(name), str)]:
            raise validation_error(f"The claims of a token need {', '.join(missing)}, as text.")
        now = int(clock.now())
        body = {"iat": now, "exp": now + LIFETIME, **claims}
        signed = f"{_encoded({'alg': 'HS256', 'typ': 'JWT'})}.{_encoded(body)}"
        return f"{signed}.{_text(self._signature(signed))}"

    def verify(self, token: str) -> dict[str, Any]:
        """The claims of a token.

        Raises:
            ApiError: `InvalidIdentityToken`: it is none, or another server's; `ExpiredTokenException`.
        """
        signed, _, signature = token.rpartition(".")
        try:
            claims: dict[str, Any] = json.loads(_decoded(signed.partition(".")[2]))
            valid = hmac.compare_digest(_decoded(signature), self._signature(signed))
            expires = float(claims["exp"])
        except (ValueError, KeyError, TypeError):
            raise ApiError("InvalidIdentityToken", "The ID Token provided is not a valid JWT.") from None
        if not valid:
            raise ApiError("InvalidIdentityToken", "The signature of the token is not that of this server.")
        if expires <= clock.now():
            raise ApiError(
                "ExpiredTokenException",
                f"Token expired: current date/time {int(clock.now())} must be before the expiration date/time {int(expires)}",
            )
        return claims

    def _signature(self, signed: str) -> bytes:
        return hmac.digest(self._secret, signed.encode(), hashlib.sha256)


def _encoded(part: Mapping[str, Any]) -> str:
    return _text(json.dumps(part).encode())


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
