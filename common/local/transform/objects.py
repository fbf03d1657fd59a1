"""One object through one instance: its parts are read, sent, answered and put together in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from common.local.jobs.inputs import InputObject

Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Item:
    """An object to transform, and where its output goes."""

    source: InputObject
    target: str
    """The output's key."""

    @property
    def name(self) -> str:
        """How the data log calls it."""
        return f"{self.source.bucket}/{self.source.key}"


def target_key(output_prefix: str, uri: str, is_prefix: bool, item: InputObject) -> str:
    """`<output>/<what follows the prefix in the key>.out`; of a prefix that ends within a name, what follows its folder.

    Args:
        output_prefix: the key of the job's S3OutputPath.
        uri, is_prefix: the S3Uri of the input, and whether it is an S3Prefix; a manifest's objects say by themselves what
            follows the prefix.
    """
    below = item.path
    if is_prefix:
        prefix = uri.removeprefix("s3://").partition("/")[2].rstrip("/")
        folder = prefix if item.key.startswith(prefix + "/") else prefix.rpartition("/")[0]
        below = item.key.removeprefix(folder).lstrip("/")
    return "/".join(filter(None, (output_prefix.strip("/"), f"{below}.out")))


def in_order(
    pool: ThreadPoolExecutor, work: Callable[[Given], Made], given: Iterable[Given], at_once: int
) -> Iterator[Made]:
    """What `work` makes of each, in the order given, while the pool works on several; raises what it raises.

    At most `at_once` are begun and not yet handed out, and no more are taken from `given`.
    """
    begun: deque[Future[Made]] = deque()
    try:
        for one in given:
            begun.append(pool.submit(work, one))
            if len(begun) == at_once:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        for future in begun:
            future.cancel()
