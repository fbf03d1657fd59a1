"""Data capture: requests and answers of an endpoint as JSON lines in S3, in the format of SageMaker's Model Monitor.

A request only appends to a list. A background flush writes the files, one for each variant and hour of requests, when the
oldest line is `AGE_SECONDS` old, and at the latest when the fleet that took the requests ends.

The lines of a production and of a shadow variant for one request have event ids of their own; what joins them is the
`inferenceId`, where the caller has sent one, as in AWS's own example of a shadow test.
"""

import json
import random
import threading
import time
import uuid
from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from common.local.api import validation_error
from common.local.hosting.telemetry import Origin
from common.local.roles.s3 import RoleS3, S3Refused

AGE_SECONDS = 2.0
"""How long a line may wait for its file: real seconds. On AWS it is minutes."""

_FILE_BYTES = 8 * 2**20
"""Bodies in a file, above which it is written at once."""

_HELD_BYTES = 128 * 2**20
"""Bodies that may wait to be written. Beyond, requests are not captured, as on an instance whose disk is full."""

_NO_TYPE = "application/octet-stream"


@dataclass(frozen=True)
class CaptureSpec:
    """A `DataCaptureConfig`."""

    enabled: bool
    percentage: int
    destination: str
    """`s3://bucket/prefix`"""
    kms_key: str
    modes: tuple[str, ...]
    """`Input`, `Output` or both."""
    csv_types: tuple[str, ...]
    json_types: tuple[str, ...]

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "CaptureSpec":
        """What an endpoint configuration asks for; capture is on unless it says otherwise.

        Raises:
            ApiError: ValidationException, the destination is no S3 URI.
        """
        if not config["DestinationS3Uri"].startswith("s3://"):
            raise validation_error(
                f"DestinationS3Uri {config['DestinationS3Uri']} must be an S3 URI (s3://bucket/prefix)."
            )
        given = {option["CaptureMode"] for option in config["CaptureOptions"]}
        both = "InputAndOutput" in given
        types = config.get("CaptureContentTypeHeader", {})
        return cls(
            enabled=config.get("EnableCapture", True),
            percentage=config["InitialSamplingPercentage"],
            destination=config["DestinationS3Uri"].rstrip("/"),
            kms_key=config.get("KmsKeyId", ""),
            modes=tuple(mode for mode in ("Input", "Output") if both or mode in given),
            csv_types=tuple(types.get("CsvContentTypes", ())),
            json_types=tuple(types.get("JsonContentTypes", ())),
        )

    def summary(self) -> dict[str, Any]:
        """`DataCaptureConfigSummary`, as DescribeEndpoint shows it."""
        return {
            "EnableCapture": self.enabled,
            "CaptureStatus": "Started" if self.enabled else "Stopped",
            "CurrentSamplingPercentage": self.percentage,
            "DestinationS3Uri": self.destination,
            "KmsKeyId": self.kms_key,
        }

    def samples(self) -> bool:
        """Whether the next request is captured."""
        # At random, unlike the traffic: a second sequence beside that of the weights could move in step with it, so that
        # one variant's requests would all be captured and another's never.
        return self.enabled and random.random() * 100 < self.percentage  # noqa: S311 - a sample, no secret


@dataclass(frozen=True, slots=True)
class Event:
    """A request and its answer."""

    request: bytes
    request_type: str | None
    answer: bytes
    answer_type: str | None
    inference_id: str | None
    moment: float = field(default_factory=time.time)

    @property
    def size(self) -> int:
        return len(self.request) + len(self.answer)


class Place(NamedTuple):
    """Where events come from, and what becomes of them."""

    origin: Origin
    variant: str
    wanted: CaptureSpec
    s3: RoleS3
    """The model's execution role writes them."""


class Capture:
    """The captured events of all endpoints, until they are written. Safe from any thread."""

    def __init__(self, log: Callable[[Origin, str, str], None]) -> None:
        """`log` writes a line to a stream of an endpoint."""
        self._log = log
        self._collecting = threading.Lock()
        self._writing = threading.Lock()
        self._held: defaultdict[Place, list[Event]] = defaultdict(list)
        self._bytes = 0
        self._lost: defaultdict[Place, int] = defaultdict(int)

    def record(self, place: Place, event: Event) -> None:
        """Keep an event for a file that is written soon."""
        with self._collecting:
            if self._bytes + event.size > _HELD_BYTES:
                self._lost[place] += 1
                return
            self._bytes += event.size
            self._held[place].append(event)

    def write_due(self) -> None:
        """Write what has waited long enough, or has become large."""
        self._write(lambda _origin, events: _is_due(events))

    def flush(self, origin: Origin | None = None) -> None:
        """Write everything, or all of one endpoint. When it returns, what was recorded before the call is written."""
        self._write(lambda owner, _events: origin in (None, owner))

    def _write(self, wanted: Callable[[Origin, list[Event]], bool]) -> None:
        with self._writing:
            with self._collecting:
                taken = {place: events for place, events in self._held.items() if wanted(place.origin, events)}
                for place, events in taken.items():
                    del self._held[place]
                    self._bytes -= sum(event.size for event in events)
                lost, self._lost = self._lost, defaultdict(int)
            for place, events in taken.items():
                self._put(place, events)
            for place, count in lost.items():
                text = f"{count} requests were not captured: too many wait to be written."
                self._log(place.origin, place.variant, text)

    def _put(self, place: Place, events: list[Event]) -> None:
        origin, variant, wanted, s3 = place
        bucket, _, prefix = wanted.destination.removeprefix("s3://").partition("/")
        hours: defaultdict[str, list[Event]] = defaultdict(list)
        for event in events:
            hours[_utc(event.moment).strftime("%Y/%m/%d/%H")].append(event)
        for hour, group in hours.items():
            started = _utc(group[0].moment)
            name = f"{started:%M-%S}-{started.microsecond // 1000:03d}-{uuid.uuid4()}.jsonl"
            key = "/".join(filter(None, (prefix, origin.endpoint, variant, hour, name)))
            body = "".join(json.dumps(line(event, wanted)) + "\n" for event in group).encode()
            try:
                s3.write(bucket, key, body, wanted.kms_key or None)
            except (KeyError, S3Refused) as fault:
                reason = str(fault) if isinstance(fault, S3Refused) else f"there is no bucket {bucket}"
                text = f"{len(group)} captured requests are lost: {reason} (DataCaptureConfig)."
                self._log(origin, variant, text)


def line(event: Event, wanted: CaptureSpec) -> dict[str, Any]:
    """An event as a line of a captured file holds it."""
    sides = {
        "Input": ("endpointInput", "INPUT", event.request_type, event.request),
        "Output": ("endpointOutput", "OUTPUT", event.answer_type, event.answer),
    }
    captured = {}
    for side in wanted.modes:
        name, mode, content_type, body = sides[side]
        data, encoding = _encoded(body, content_type or _NO_TYPE, wanted)
        captured[name] = {
            "observedContentType": content_type or _NO_TYPE,
            "mode": mode,
            "data": data,
            "encoding": encoding,
        }
    return {
        "captureData": captured,
        "eventMetadata": {
            "eventId": str(uuid.uuid4()),
            **({"inferenceId": event.inference_id} if event.inference_id else {}),
            "inferenceTime": _utc(event.moment).strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
        "eventVersion": "0",
    }


def _encoded(body: bytes, content_type: str, wanted: CaptureSpec) -> tuple[str, str]:
    """The body as text where its type is one of those that the configuration names, else in base64."""
    kind = content_type.partition(";")[0].strip().lower()
    for encoding, types in (("CSV", wanted.csv_types), ("JSON", wanted.json_types)):
        if kind in (each.lower() for each in types):
            try:
                return body.decode(), encoding
            except UnicodeDecodeError:
                break
    return b64encode(body).decode(), "BASE64"


def _is_due(events: list[Event]) -> bool:
    return time.time() - events[0].moment > AGE_SECONDS or sum(event.size for event in events) > _FILE_BYTES


def _utc(moment: float) -> datetime:
    return datetime.fromtimestamp(moment, UTC)
