"""A warehouse whose login is kept in AWS Secrets Manager, so that no environment, log or request holds its password."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.data.warehouse import Warehouse
from common.errors import SourceError

if TYPE_CHECKING:
    from common.data.extract import Reading, Wanted

SCHEME = "secretsmanager://"
_FORM = 'a JSON object {"username", "password", "host", "port", "dbname"}, as RDS and Redshift write it, or a postgresql:// URL'


@dataclass(frozen=True)
class SecretWarehouse:
    """The warehouse that a secret names; the secret is fetched when the warehouse is asked.

    Attributes:
        secret: its name or ARN.
        parameters: what stands after the `?` of the warehouse's URL, where the secret is no URL: `sslrootcert=FILE`.
        query: see `Warehouse`.
    """

    secret: str
    query: str
    parameters: str = ""

    @classmethod
    def from_url(cls, url: str, query: str) -> SecretWarehouse:
        """The warehouse of `secretsmanager://<name or ARN>?<parameters>`.

        Raises:
            SourceError: it names no secret.
        """
        secret, _, parameters = url.removeprefix(SCHEME).partition("?")
        if not secret:
            raise SourceError(f"{SCHEME} names no secret.", f"Give {SCHEME}<the secret's name or ARN>.")
        return cls(secret, query, parameters)

    @property
    def description(self) -> str:
        return f"the warehouse of the secret {self.secret}"

    def read(self) -> bytes:
        return self.warehouse().read()

    def readings(self, wanted: Wanted) -> Iterator[list[Reading]]:
        return self.warehouse().readings(wanted)

    def warehouse(self) -> Warehouse:
        """The warehouse with its login.

        Raises:
            SourceError: there is no such secret, it may not be read, or it names no warehouse. Never repeats the secret.
        """
        url = _url(self._fetched(), self.parameters)
        if url is None:
            raise SourceError(f"The secret {self.secret} names no warehouse.", f"Write {_FORM} into it.")
        return Warehouse(url, self.query)

    def _fetched(self) -> str:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import ClientError

        from common.aws import error_code, explained

        config = Config(retries={"mode": "standard"}, connect_timeout=5, read_timeout=60)
        remedies = {
            "ResourceNotFoundException": "Check its name, the region and the account.",
            "AccessDeniedException": "This role needs secretsmanager:GetSecretValue for it, and kms:Decrypt of its key.",
        }
        with explained():
            session: Any = boto3.Session(region_name=os.environ.get("AWS_REGION"))
            client = session.client("secretsmanager", config=config)
            try:
                found = client.get_secret_value(SecretId=self.secret)
            except ClientError as error:
                if error_code(error) not in remedies:
                    raise
                raise SourceError(
                    f"The secret {self.secret} cannot be read: {error}.", remedies[error_code(error)]
                ) from error
        return str(found.get("SecretString", "")).strip()


def _url(text: str, parameters: str) -> str | None:
    """The URL that the secret's text is or describes; None where it does neither, since an error could repeat parts of it."""
    from sqlalchemy import URL

    if text.startswith(("postgresql://", "postgres://")):
        return text
    try:
        parts = json.loads(text)
        login, host, port = (str(parts["username"]), str(parts["password"])), str(parts["host"]), int(parts["port"])
        url = URL.create("postgresql", *login, host, port, str(parts.get("dbname") or parts["database"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return url.render_as_string(hide_password=False) + (f"?{parameters}" if parameters else "")
