"""The services that moto provides, used in process: no HTTP between the local SageMaker and its S3, Logs or CloudWatch."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Services:
    """moto's backends of this process, by account and region."""

    def read_object(self, account: str, bucket: str, key: str) -> bytes:
        """The object's content. Raises KeyError when bucket or object are missing."""
        raise NotImplementedError

    def download(self, account: str, bucket: str, key: str, to: Path) -> None:
        """Write the object to a file. Raises KeyError when bucket or object are missing."""
        raise NotImplementedError

    def write_object(self, account: str, bucket: str, key: str, body: bytes) -> None:
        raise NotImplementedError

    def list_objects(self, account: str, bucket: str, prefix: str) -> list[tuple[str, int]]:
        """(key, size) of every object below the prefix, sorted by key. Raises KeyError when the bucket is missing."""
        raise NotImplementedError

    def put_log_events(self, account: str, region: str, group: str, stream: str, lines: Iterable[str]) -> None:
        """Append lines to a stream, creating group and stream where they are missing."""
        raise NotImplementedError

    def put_metric(
        self, account: str, region: str, namespace: str, name: str, dimensions: dict[str, str],
        values: Iterable[float], unit: str = "None",
    ) -> None:
        """Record values of a metric at the present moment."""
        raise NotImplementedError
