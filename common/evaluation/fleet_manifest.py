"""The manifest of a fleet: every customer's artifact with what tells it from any other, and why some have none.

It is the one archive that a package needs. The models themselves lie below a prefix of their own, which is never written
again once the package is registered.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.archives import ArchiveError, gunzip
from common.errors import ArtifactError

FILE = "manifest.json"
FACTS = ("digest", "rows", "first", "last")
SCORES = ("mae", "mase", "naive_mae", "coverage80", "coverage95")
"""What is said of each customer, beside what S3 says of its artifact; scores are None where the history was too short."""
_REMEDY = "Restore the object from the bucket's versions, or change the model and train anew."

Listing = Mapping[str, tuple[str, int]]
"""What S3 lists below the fleet's prefix: by customer (ETag, bytes) of `<customer>.tar.gz`."""


@dataclass(frozen=True)
class FleetManifest:
    """What a fleet consists of.

    Attributes:
        code: `uri` and `digest` (SHA-256) of the code archive that fits and serves the models.
        fleet: S3 prefix of the models, with a slash at the end.
        customers: of each that is served: `digest` (SHA-256 of its archive), `etag` and `bytes` as S3 listed them when the
            fleet was registered, `rows`, `first` and `last` day, its scores, and `kept_from`, the fleet that it was fitted
            in, where that is an earlier one.
        set_aside: why each other customer of the data, or one with a kept model, has no new one.
    """

    model: str
    source: str
    data_version: str
    code: Mapping[str, str]
    fleet: str
    customers: Mapping[str, Mapping[str, Any]]
    set_aside: Mapping[str, str]

    def to_archive(self) -> bytes:
        """`fleet.tar.gz`; the same manifest makes the same bytes."""
        content = json.dumps(self.__dict__, sort_keys=True, indent=0).encode()
        target = io.BytesIO()
        # gzip and tar note the time of writing, unless told not to
        with gzip.GzipFile(fileobj=target, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
            member = tarfile.TarInfo(FILE)
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
        return target.getvalue()

    @classmethod
    def from_archive(cls, archive: bytes) -> FleetManifest:
        """Read `fleet.tar.gz`.

        Raises:
            ArtifactError: it is damaged, or holds no manifest of a fleet.
        """
        try:
            with tarfile.open(fileobj=io.BytesIO(gunzip(archive)), mode="r:") as tar:
                member = tar.extractfile(FILE)
                document = json.loads(member.read() if member else b"")
            return cls(**document)
        except (ArchiveError, tarfile.TarError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise ArtifactError(f"The archive holds no manifest of a fleet: {error}.", _REMEDY) from error

    def differs(self, listing: Listing) -> str:
        """How the listed artifacts differ from those that were registered, in words; empty where they are the same.

        One that the manifest does not know is a customer who was added later, and no difference.
        """
        missing = sorted(self.customers.keys() - listing.keys())
        changed = sorted(
            customer
            for customer, entry in self.customers.items()
            if customer in listing and listing[customer] != (entry["etag"], entry["bytes"])
        )
        told = [
            f"{len(customers):,} of {len(self.customers):,} artifacts are {what} (the first: {customers[0]}.tar.gz)"
            for what, customers in (("missing", missing), ("not those that were registered", changed))
            if customers
        ]
        return "; ".join(told)
