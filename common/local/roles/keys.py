"""Keys of KMS as requests name them."""

from typing import Any

from moto.backends import get_backend

_UNUSABLE = {
    "Disabled": ("DisabledException", "is disabled"),
    "PendingDeletion": ("KMSInvalidStateException", "is pending deletion"),
    "PendingImport": ("KMSInvalidStateException", "is pending import"),
}


class KeyUnusable(Exception):
    """Nobody can use a key; the message is KMS's own."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        """`NotFoundException`, `DisabledException` or `KMSInvalidStateException`."""


def usable_key(account: str, region: str, name: str) -> str:
    """ARN of the key that an id, an ARN or an alias means to callers of the account.

    Raises:
        KeyUnusable: there is none, or it is not enabled.
    """
    arn = name if name.startswith("arn:") else f"arn:aws:kms:{region}:{account}:{_path(name)}"
    found = _find(*arn.split(":", 5)[3:])
    if found is None:
        alias = ":alias/" in arn
        raise KeyUnusable("NotFoundException", f"Alias {arn} is not found." if alias else f"Key '{arn}' does not exist")
    if found.key_state in _UNUSABLE:
        code, reason = _UNUSABLE[found.key_state]
        raise KeyUnusable(code, f"{found.arn} {reason}.")
    return str(found.arn)


def _path(name: str) -> str:
    return name if name.startswith("alias/") else f"key/{name}"


def _find(region: str = "", account: str = "", path: str = "") -> Any | None:
    if not (region and account and path):
        return None
    kms: Any = get_backend("kms")[account][region]
    identifier = kms.get_key_id_from_alias(path) if path.startswith("alias/") else path.removeprefix("key/")
    return kms.keys.get(identifier)
