"""One request to a model, its outcome, and what the platform keeps of both: metrics, and the data capture."""

import time
from dataclasses import dataclass, field

from common.local.hosting.capture import Capture, CaptureSpec, Event, Place
from common.local.hosting.telemetry import Invocation, Origin, Telemetry
from common.local.hosting.worker import Reply
from common.local.roles.s3 import RoleS3

TIMEOUT_SECONDS = 60.0
"""How long a container may take to answer: real seconds, since it is the model's own work that takes them."""

OVERLOADED = 503
"""What a variant answers that has no room for one more request."""


class NoInstance(Exception):
    """The variant has no instances: an asynchronous endpoint's that is scaled to zero."""


class WrongTarget(Exception):
    """The request names a model and the variant serves a single one, or the other way round."""

    def __init__(self, given: bool) -> None:
        super().__init__("a target model for a variant of one model" if given else "no target model")
        self.given = given
        """Whether the request names a model."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a caller sends to an endpoint's model."""

    body: bytes
    headers: dict[str, str]
    """As the container sees them."""
    target: str | None = None
    """The model of a multi-model container, by its key below the endpoint's prefix."""
    inference_id: str | None = None
    timeout: float = TIMEOUT_SECONDS
    """How long containers may take, in real seconds."""
    received: float = field(default_factory=time.perf_counter)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request."""

    label: str
    """The container that answered: the last of a pipeline, or the first that failed."""
    reply: Reply
    """Status 0 stands for no answer in time; the body says so."""
    model_seconds: float
    """Spent in containers."""
    lost: bool = False
    """Whether the container ended, or was not there, before it answered."""

    @property
    def succeeded(self) -> bool:
        return 200 <= self.reply.status < 300

    def error_message(self, origin: Origin) -> str:
        """How the platform words the error of a request that did not succeed."""
        text = self.reply.body.decode(errors="replace")
        kind = "client" if 400 <= self.reply.status < 500 else "server"
        return (
            f'Received {kind} error ({self.reply.status}) from {self.label} with message "{text}". See '
            f"https://{origin.region}.console.aws.amazon.com/cloudwatch/home?region={origin.region}"
            f"#logEventViewer:group={origin.log_group} in account {origin.account} for more information."
        )


@dataclass(frozen=True)
class Ledger:
    """Where a variant's invocations are written down."""

    origin: Origin
    variant: str
    telemetry: Telemetry
    capture: Capture
    wanted: CaptureSpec | None
    """What data capture keeps of them."""
    s3: RoleS3
    """As which it does so."""

    def samples(self) -> bool:
        """Whether data capture wants the next request."""
        return self.wanted is not None and self.wanted.samples()

    def enter(self, request: Request, outcome: Outcome, sampled: bool) -> None:
        """Count an invocation, and capture it where it was sampled and succeeded."""
        overhead = time.perf_counter() - request.received - outcome.model_seconds
        status = outcome.reply.status or 504
        self.telemetry.record(
            self.origin, self.variant, Invocation(status, outcome.model_seconds * 1e6, max(overhead, 0.0) * 1e6)
        )
        if sampled and outcome.succeeded and self.wanted is not None:
            event = Event(
                request.body,
                request.headers.get("Content-Type"),
                outcome.reply.body,
                outcome.reply.content_type,
                request.inference_id,
            )
            self.capture.record(Place(self.origin, self.variant, self.wanted, self.s3), event)
