"""What the jobs of a fleet leave in the bucket: many small objects, read a few at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from common.deployment.fleet import SUFFIX, listing_of
from common.errors import ArtifactError, DataError
from common.evaluation.fleet_manifest import Listing
from common.storage import Bucket

_AT_ONCE = 16
_SOME = 5


@dataclass(frozen=True)
class Index:
    """What the split job says of every customer.

    Attributes:
        customers: of each that passed its checks: `part` (the key of the object that holds its readings), `offset` and
            `length` of its bytes there, and `rows`.
        set_aside: why each other did not.
    """

    customers: Mapping[str, Mapping[str, Any]]
    set_aside: Mapping[str, str]


def model_key(prefix: str, customer: str) -> str:
    """The key of a customer's artifact below the prefix of a fleet's models."""
    return f"{prefix}{customer}{SUFFIX}"


def read_many(bucket: Bucket, keys: Mapping[str, str]) -> dict[str, bytes]:
    """The objects at these keys, by the same names.

    Raises:
        ArtifactError: one is missing.
    """
    _ = bucket.aws.s3  # made once, and not by several threads at a time
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        contents = dict(zip(keys, pool.map(bucket.read, keys.values()), strict=True))
    found = {name: content for name, content in contents.items() if content is not None}
    if missing := sorted(keys.keys() - found.keys()):
        raise ArtifactError(
            f"{len(missing):,} of {len(keys):,} objects are missing from the bucket (the first: "
            f"{bucket.uri(keys[missing[0]])}).",
            "Restore them from the bucket's versions.",
        )
    return found


def keys_below(bucket: Bucket, prefix: str, suffix: str) -> list[str]:
    """The keys below a prefix that end so, in order."""
    return [f"{prefix}{name}" for name in bucket.listing(prefix) if name.endswith(suffix)]


def read_results(bucket: Bucket, fleet: str) -> list[tuple[str, bytes]]:
    """(key, content) of each part of a fit job's results; `fleet` is the key that all of the fleet lies below."""
    keys = keys_below(bucket, f"{fleet}parts/", ".json.gz")
    return list(read_many(bucket, {key: key for key in keys}).items())


def read_index(bucket: Bucket, prefix: str) -> Index:
    """Unite the indices of a split job, which lie below a prefix beside that of the parts: `index/…`, `customers/…`.

    Raises:
        DataError: there is none, or one is damaged.
    """
    keys = keys_below(bucket, prefix, ".json")
    customers: dict[str, Mapping[str, Any]] = {}
    set_aside: dict[str, str] = {}
    for key in keys:
        index = bucket.read_json(key) or {}
        part = f"{key.replace('/index/', '/customers/').removesuffix('.json')}.csv.gz"
        customers |= {customer: {**entry, "part": part} for customer, entry in index["customers"].items()}
        set_aside |= index["set_aside"]
    if not keys:
        raise DataError(
            f"The split job has left no index below {bucket.uri(prefix)}.",
            "Restore the objects from the bucket's versions, or gather other data.",
        )
    return Index(customers, set_aside)


def etags_of(bucket: Bucket, prefix: str, digests: Mapping[str, str], md5: Mapping[str, str]) -> Listing:
    """What S3 lists of these customers' artifacts, once each is known to be the one that was fitted.

    The ETag of an object that is put in one piece is its MD5. It is not where the bucket encrypts with a key of KMS, and
    not of a model whose MD5 is not known: such an artifact is read, and its SHA-256 compared.

    Args:
        digests: SHA-256 of each customer's artifact.
        md5: of those of whom it is known.

    Raises:
        ArtifactError: artifacts are missing, or other ones.
    """
    listing = listing_of(bucket.aws, bucket.uri(prefix))
    missing = sorted(digests.keys() - listing.keys())
    if missing:
        raise ArtifactError(
            f"{len(missing):,} of {len(digests):,} artifacts are missing below {bucket.uri(prefix)}: {_some(missing)}.",
            "Restore the objects from the bucket's versions: the fit job of the same source and data has already run.",
        )
    doubtful = [customer for customer in digests if listing[customer][0] != md5.get(customer)]
    contents = read_many(bucket, {customer: model_key(prefix, customer) for customer in doubtful})
    wrong = [c for c, content in contents.items() if hashlib.sha256(content).hexdigest() != digests[c]]
    if wrong:
        raise ArtifactError(
            f"{len(wrong):,} of {len(digests):,} artifacts below {bucket.uri(prefix)} are not those that were fitted: "
            f"{_some(wrong)}.",
            "Find out who wrote to the bucket, and restore the objects from the bucket's versions.",
        )
    return {customer: listing[customer] for customer in digests}


def _some(customers: list[str]) -> str:
    more = f" and {len(customers) - _SOME:,} more" if len(customers) > _SOME else ""
    return ", ".join(customers[:_SOME]) + more
