"""Which variant a caller's key belongs to, and the ids that tell its outcomes apart. A pure function of key and weights.

A caller in another language needs ten lines for the same; docs/experiments.md has them.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Mapping

_KEYED = re.compile(r"([0-9a-f]{16})-.+")


def assigned_variant(key: str, weights: Mapping[str, float]) -> str:
    """The variant that answers this key for as long as the weights stay the same.

    The first 8 bytes of the SHA-256 of `variant:` and the key, read as a big-endian number and divided by 2⁶⁴, are a point
    between 0 and 1. The variants, sorted by their names, share the line by their weights, and the key belongs to the one on
    whose part its point lies.

    Args:
        weights: of each variant, as `DescribeEndpoint` tells them; at least one above 0.
    """
    point = int.from_bytes(hashlib.sha256(f"variant:{key}".encode()).digest()[:8], "big") / 2**64
    reached, left = 0.0, point * sum(weights.values())
    names = sorted(name for name, weight in weights.items() if weight > 0)
    for name in names:
        reached += weights[name]
        if left < reached:
            return name
    return names[-1]  # a sum of weights may be rounded to less than itself


def new_inference_id(key: str) -> str:
    """An id for one request of a caller's key, to be sent as `InferenceId` and kept for the ground truth.

    It begins with 16 hexadecimal digits of the key's SHA-256, by which an experiment knows what belongs together; the key
    itself does not reach S3.
    """
    return f"{hashlib.sha256(key.encode()).hexdigest()[:16]}-{uuid.uuid4()}"


def unit_of(inference_id: str) -> str:
    """What a request counts as: the digits of its caller's key, or the request itself where it tells of none."""
    found = _KEYED.fullmatch(inference_id)
    return found[1] if found else inference_id
