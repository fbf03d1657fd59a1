"""What every step works with: the account, the checkout, the run that it belongs to, and a way to say what happens."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from common.aws import Aws, require_account
from common.errors import SettingsError
from common.lineage import Checkout
from common.model import Model
from common.registry import Registry
from common.settings import Run, Settings
from common.storage import Bucket, Layout

if TYPE_CHECKING:
    from common.deployment.modes import DeclaredEndpoint
    from common.deployment.shared.declare import SharedEndpoint


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
            SettingsError: variables are missing or malformed, or the credentials are those of another account.
        """
        aws = Aws(Settings.from_environment())
        require_account(aws)
        # Sources of data read by clients of their own, which know nothing of environments.
        os.environ["AWS_REGION"] = aws.settings.region
        return cls(aws)

    @property
    def bucket(self) -> Bucket:
        return Bucket(self.aws)

    def endpoint(self, model: Model) -> DeclaredEndpoint | SharedEndpoint:
        """What `deploy.py` declares that the model is served by in this environment.

        Raises:
            SettingsError: it declares something for an environment that there is not.
        """
        return endpoint_in(self, model, model.declaration("deploy", "ENDPOINT"), model.overrides())

    def registry(self, model: Model) -> Registry:
        return Registry(self.aws, model)

    def gathered(self, model: Model, source: str) -> str:
        """The data version that the source has gathered, or an empty string."""
        record = self.bucket.read_json(Layout(model.name).source(source))
        return str(record["data_version"]) if record else ""


def endpoint_in(
    context: Context,
    model: Model,
    endpoint: DeclaredEndpoint | SharedEndpoint,
    overrides: Mapping[str, DeclaredEndpoint | SharedEndpoint],
) -> DeclaredEndpoint | SharedEndpoint:
    """What serves the model in this environment: `endpoint`, or what is declared for the environment's name.

    Raises:
        SettingsError: something is declared for an environment that there is not.
    """
    settings = context.aws.settings
    unknown = sorted(overrides.keys() - set(settings.others))
    if len(settings.others) > 1 and unknown:
        raise SettingsError(
            f"{model.folder}/deploy.py has OVERRIDES for {', '.join(unknown)}, and there are only the environments "
            f"{', '.join(settings.others)}.",
            "Correct the name: an override that no environment has would be passed over silently.",
        )
    return overrides.get(settings.environment, endpoint)
