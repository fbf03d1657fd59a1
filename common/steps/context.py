"""What every step works with: the account, the checkout, the run that it belongs to, and a way to say what happens."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from common.aws import Aws
from common.lineage import Checkout
from common.model import Model
from common.registry import Registry
from common.settings import Run, Settings
from common.storage import Bucket, Layout


def say(line: str) -> None:
    """Print a line of progress at once, so that a CI log shows it when it happens."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@dataclass(frozen=True)
class Context:
    """One run of a step."""

    aws: Aws
    checkout: Checkout = field(default_factory=Checkout)
    run: Run = field(default_factory=Run.from_environment)
    say: Callable[[str], None] = say

    @classmethod
    def from_environment(cls) -> Context:
        """The context that the environment variables describe.

        Raises:
            SettingsError: variables are missing or malformed.
        """
        return cls(Aws(Settings.from_environment()))

    @property
    def bucket(self) -> Bucket:
        return Bucket(self.aws)

    def registry(self, model: Model) -> Registry:
        return Registry(self.aws, model)

    def gathered(self, model: Model, source: str) -> str:
        """The data version that the source has gathered, or an empty string."""
        record = self.bucket.read_json(Layout(model.name).source(source))
        return str(record["data_version"]) if record else ""
