"""What the runs of all kinds of jobs have in common: a turn, processes that are watched, and an end that is told."""

import logging
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Generic, TypeVar

from common.local.api import ApiError
from common.local.container_process import Container
from common.local.context import LocalAws
from common.local.jobs.artifacts import Mirror
from common.local.jobs.inputs import InputError, parse_s3_uri
from common.local.jobs.metrics import as_logged
from common.local.jobs.state import Ending, JobDocument
from common.local.roles.s3 import RoleS3

_POLL_SECONDS = 0.01
_STOP_SECONDS = 120
"""Between SIGTERM and SIGKILL, in AWS's time."""
_MIRROR_SECONDS = 1.0
_MIRROR_SHARE = 4
"""A copy of many files is followed by a pause of at least so many times its own length."""

State = TypeVar("State", bound=JobDocument)

log = logging.getLogger(__name__)


class JobRun(ABC, Generic[State]):
    """Runs the job that the store describes. Its folder goes with it: what is to stay is in S3, Logs and CloudWatch."""

    kind: ClassVar[str]
    """`training` or `processing`."""
    log_group: ClassVar[str]

    def __init__(self, aws: LocalAws, account: str, region: str, state: State) -> None:
        self._aws = aws
        self._account = account
        self._region = region
        self._state = state
        self._job = state.read()
        self._s3 = RoleS3(aws, account, region, self._job["RoleArn"] or None)
        self._created = time.monotonic()
        self._folder = aws.root / "jobs" / account / region / self.kind / state.name

    def run(self) -> None:
        """Take the job to its end. When the server closes, it is left as it is: `resume` marks it `Failed`."""
        try:
            ending = self._attempt()
        except InputError as error:
            ending = Ending("Failed", str(error))
        except ApiError as error:  # its role no longer trusts SageMaker
            ending = Ending("Failed", f"ClientError: {error.message}")
        except Exception:
            log.exception("%s job %s", self.kind, self._state.name)
            ending = Ending("Failed", "InternalServerError: We encountered an internal error. Please try again.")
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
        if not self._aws.closing.is_set():
            self._finish(ending)

    @abstractmethod
    def _attempt(self) -> Ending:
        """Wait for a turn, run the containers, and put their outputs where they belong.

        Raises:
            InputError: the inputs cannot be had, or the outputs cannot be written.
        """

    @abstractmethod
    def _finish(self, ending: Ending) -> None:
        """Tell the document, and who else waits for it."""

    def _watch(
        self, containers: Sequence[Container], mirrors: Sequence[Mirror], timed_out: Ending, deadline: float
    ) -> Ending:
        """Wait until all containers have ended, or one has failed; stop them when that is asked for or time is up.

        Args:
            mirrors: copied to S3 now and then.
        """
        ending = Ending("Completed")
        kill_at = float("inf")
        next_copy = time.monotonic() + _MIRROR_SECONDS
        while not self._aws.closing.wait(_POLL_SECONDS):
            codes = [container.poll() for container in containers]
            now = time.monotonic()
            stopped = kill_at < float("inf")
            if all(code is not None for code in codes) or now > kill_at:
                return ending if stopped or not any(codes) else Ending("Failed")
            if any(codes) and not stopped:
                return Ending("Failed")
            if not stopped and (self._state.is_stopping() or now > deadline):
                ending = timed_out if now > deadline else Ending("Stopped")
                kill_at = now + _STOP_SECONDS * self._aws.time_scale
                for container in containers:
                    container.terminate()
            if now > next_copy:
                for mirror in mirrors:
                    mirror.copy()
                copied = time.monotonic()
                next_copy = copied + max(_MIRROR_SECONDS, _MIRROR_SHARE * (copied - now))
        return ending

    def _log(self, stream: str, lines: list[str]) -> None:
        """Put lines of a host's output into its log stream."""
        logged = [as_logged(line) for line in lines if line.strip()]
        if logged and not self._aws.closing.is_set():
            self._aws.services.put_log_events(self._account, self._region, self.log_group, stream, logged)
            self._read(logged)

    def _read(self, lines: list[str]) -> None:
        """Take from logged lines what else they tell; a kind of job that has metrics does."""

    def _require_bucket(self, uri: str) -> None:
        bucket, _ = parse_s3_uri(uri)
        try:
            self._aws.services.require_bucket(self._account, bucket)
        except KeyError:
            message = f"Please ensure that the bucket {bucket} of {uri} exists and that the role may write to it."
            raise InputError(f"ClientError: Artifact upload failed:{message}") from None
