"""What a transform job's request means, with what the container asks for where the request leaves it open."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

MEGABYTE = 1024**2
DEFAULT_PAYLOAD_MB = 6
LARGEST_PAYLOAD_MB = 100
"""Also the limit of MaxConcurrentTransforms times MaxPayloadInMB."""
_DEFAULT_TIMEOUT_SECONDS = 600
_DEFAULT_RETRIES = 3
_STRATEGIES = {"SINGLE_RECORD": "SingleRecord", "MULTI_RECORD": "MultiRecord"}


@dataclass(frozen=True)
class Settings:
    """How objects become requests, and answers objects."""

    by_line: bool
    """Whether an object is split into its lines; otherwise it is one request."""
    single: bool
    """Whether each line is a request of its own."""
    payload_bytes: int
    concurrency: int
    """Requests that an instance works on at a time."""
    assembled: bytes
    """What follows every answer."""
    gzip: bool
    headers: Mapping[str, str]
    timeout: float
    """Seconds, real ones, since it is the model's own work that takes them."""
    retries: int

    @property
    def described(self) -> str:
        """What the data log says first."""
        strategy = "SINGLE_RECORD" if self.single else "MULTI_RECORD"
        megabytes = self.payload_bytes // MEGABYTE
        return f"MaxConcurrentTransforms={self.concurrency}, MaxPayloadInMB={megabytes}, BatchStrategy={strategy}"


def settings(job: Mapping[str, Any]) -> Settings:
    """What the request says, and SageMaker's defaults."""
    given, output, client = job["TransformInput"], job["TransformOutput"], job.get("ModelClientConfig", {})
    types = {"Content-Type": given.get("ContentType"), "Accept": output.get("Accept")}
    return Settings(
        by_line=given.get("SplitType", "None") == "Line",
        single=job.get("BatchStrategy") == "SingleRecord",
        payload_bytes=job.get("MaxPayloadInMB", DEFAULT_PAYLOAD_MB) * MEGABYTE,
        concurrency=job.get("MaxConcurrentTransforms") or 1,
        assembled=b"\n" if output.get("AssembleWith", "None") == "Line" else b"",
        gzip=given.get("CompressionType", "None") == "Gzip",
        headers={name: value for name, value in types.items() if value},
        timeout=client.get("InvocationsTimeoutInSeconds", _DEFAULT_TIMEOUT_SECONDS),
        retries=client.get("InvocationsMaxRetries", _DEFAULT_RETRIES),
    )


def as_the_container_asks(asked: bytes, of: Settings, job: Mapping[str, Any]) -> Settings:
    """The settings with those of `GET /execution-parameters` that the request leaves open.

    Raises:
        ValueError, TypeError: the container's answer is none.
    """
    found = dict(json.loads(asked))
    if "BatchStrategy" not in job and found.get("BatchStrategy") in _STRATEGIES:
        of = replace(of, single=_STRATEGIES[found["BatchStrategy"]] == "SingleRecord")
    if "MaxPayloadInMB" not in job and found.get("MaxPayloadInMB"):
        of = replace(of, payload_bytes=int(found["MaxPayloadInMB"]) * MEGABYTE)
    if not job.get("MaxConcurrentTransforms") and found.get("MaxConcurrentTransforms"):
        of = replace(of, concurrency=int(found["MaxConcurrentTransforms"]))
    return of


def environment(job: Mapping[str, Any]) -> dict[str, str]:
    """What the container learns of the job: that it is one, and what the request itself says of it."""
    told = {"SAGEMAKER_BATCH": "true"}
    if "MaxPayloadInMB" in job:
        told["SAGEMAKER_MAX_PAYLOAD_IN_MB"] = str(job["MaxPayloadInMB"])
    if job.get("MaxConcurrentTransforms"):
        told["SAGEMAKER_MAX_CONCURRENT_TRANSFORMS"] = str(job["MaxConcurrentTransforms"])
    if "BatchStrategy" in job:
        names = {value: name for name, value in _STRATEGIES.items()}
        told["SAGEMAKER_BATCH_STRATEGY"] = names[job["BatchStrategy"]]
    return told | dict(job.get("Environment", {}))
