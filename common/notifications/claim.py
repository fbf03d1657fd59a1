"""Doing something once, whoever else tries at the same moment: a record in the bucket, written under conditions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from common.aws import error_code
from common.storage import Bucket

_SENDING, _SENT, _FAILED = "sending", "sent", "failed"
_ABANDONED_AFTER = timedelta(minutes=10)
"""Longer than a call with all its retries takes: whoever has claimed and not sent by then was killed."""


@dataclass(frozen=True)
class Claim:
    """The right to send what has a key, recorded in `notifications/<digest of the key>.json`.

    S3 writes under a condition (`If-None-Match`, `If-Match`), so of two that claim at once one gets it. The record is
    never deleted, and says what was sent when.
    """

    bucket: Bucket
    key: str
    about: Mapping[str, str]

    @property
    def object_key(self) -> str:
        return f"notifications/{hashlib.sha256(self.key.encode()).hexdigest()[:32]}.json"

    def taken(self) -> bool:
        """Take the claim; False where it was sent, or somebody else is about to send it."""
        if self._write(_SENDING, IfNoneMatch="*"):
            return True
        answer = self.bucket.aws.s3.get_object(Bucket=self.bucket.name, Key=self.object_key)
        record = json.loads(answer["Body"].read())
        age = datetime.now(UTC) - datetime.fromisoformat(record["at"])
        if record["state"] == _SENT or (record["state"] == _SENDING and age < _ABANDONED_AFTER):
            return False
        return self._write(_SENDING, IfMatch=answer["ETag"])

    def done(self, message_id: str) -> None:
        """Record that it was sent."""
        self._write(_SENT, message_id)

    def give_up(self) -> None:
        """Leave it to the next one."""
        self._write(_FAILED)

    def _write(self, state: str, message_id: str = "", **condition: Any) -> bool:
        """Write the record; False when the condition does not hold."""
        record = {**self.about, "key": self.key, "state": state, "at": datetime.now(UTC).isoformat()}
        if message_id:
            record["message_id"] = message_id
        body = json.dumps(record, indent=2, sort_keys=True).encode()
        try:
            self.bucket.aws.s3.put_object(
                Bucket=self.bucket.name,
                Key=self.object_key,
                Body=body,
                ContentType="application/json",
                **condition,
            )
        except ClientError as error:
            # Two conditional writes at the very same moment: S3 answers the later one with a conflict.
            if error_code(error) not in ("PreconditionFailed", "ConditionalRequestConflict"):
                raise
            return False
        return True
