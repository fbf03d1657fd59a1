"""What every source outside this machine is held to: a limit of size, a deadline, and encryption on the way."""

import ipaddress
import math
import time
from collections.abc import Callable

from common.errors import SourceError

MAX_BYTES = 256 * 2**20
"""The largest source that is read: rows are prepared in memory."""


def limited(read: Callable[[int], bytes], description: str, deadline: float = math.inf) -> bytes:
    """All that can be read, up to the first empty piece.

    Args:
        read: the next piece, of about as many bytes as it is given.
        deadline: in `time.monotonic()` seconds.

    Raises:
        SourceError: there is nothing, or more than MAX_BYTES.
        TimeoutError: the deadline has passed.
    """
    content = bytearray()
    while chunk := read(2**20):
        content += chunk
        if len(content) > MAX_BYTES:
            raise SourceError(
                f"{description} is larger than {MAX_BYTES // 2**20} MiB.",
                "Name a smaller extract: rows are prepared in memory.",
            )
        if time.monotonic() > deadline:
            raise TimeoutError
    if not content.strip():
        raise SourceError(f"{description} is empty.", "Check what writes it.")
    return bytes(content)


def is_loopback(host: str) -> bool:
    """Whether the host is this machine itself, so that nobody else is on the way."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
