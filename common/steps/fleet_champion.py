"""The fleet that serves now: whom it serves, and the models that customers keep who get no new one."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple

from common.deployment.fleet import added_customers, answered_offline, code_of, manifest_of
from common.errors import ArtifactError, DeploymentError
from common.evaluation.fleet_manifest import FACTS, SCORES, FleetManifest
from common.evaluation.golden import FleetGolden
from common.forecasting.artifacts import DamagedModel, unpack_model
from common.model import Model
from common.registry import Package
from common.steps.context import Context
from common.steps.fleet_objects import keys_below, model_key
from common.steps.live import champion
from common.storage import split_uri

MODELS, RESULTS = "models/", "parts/"
_REQUEST = {"period": 7}
_SOME = 5
"""So many of those who cannot keep their model are named in the log."""


class Kept(NamedTuple):
    """A model that goes on serving in a new fleet.

    Attributes:
        entry: what the new manifest says of it: what its own said, and `kept_from`, the fleet that it was fitted in.
    """

    archive: bytes
    entry: Mapping[str, Any]


@dataclass(frozen=True)
class DeployedFleet:
    """The fleet behind the endpoint.

    Attributes:
        manifest: None where it is lost or another one than was registered: the fleet still serves, but what it consists of
            is not known.
        results: S3 prefix of the fit job's results, which a new fit scores it by; empty where they are gone.
        reason: why it cannot be scored; empty where it can.
    """

    context: Context
    package: Package
    manifest: FleetManifest | None
    results: str
    reason: str

    @property
    def name(self) -> str:
        return f"version {self.package.version}"

    @property
    def data_version(self) -> str:
        return self.package.data_version

    @cached_property
    def customers(self) -> Mapping[str, Mapping[str, Any]]:
        """What is known of each customer that it serves, also of those who were added since; of nobody where the manifest is
        lost.
        """
        if self.manifest is None:
            return {}
        notes = added_customers(self.context.aws, self.package)
        return {customer: _entry(note) for customer, note in notes.items()} | dict(self.manifest.customers)

    def kept(self, customers: Collection[str], forecaster: str, code: bytes) -> dict[str, Kept]:
        """The models of these customers that are what was registered, and that new code serves as the present code does.

        Args:
            forecaster: the digest of the forecaster that is declared now.
            code: the archive that will serve them.
        """
        fitted_in = f"{self.package.source}-{self.package.data_version}"
        found: dict[str, Kept] = {}
        problems: dict[str, str] = {}
        for customer in sorted(customers):
            archive = self.context.bucket.read(split_uri(model_key(self.package.fleet, customer))[1])
            problem = self._unusable(customer, archive, forecaster)
            if archive is None or problem:
                problems[customer] = problem
            else:
                found[customer] = Kept(archive, {"kept_from": fitted_in, **self.customers[customer]})
        problems |= self._read_otherwise({customer: kept.archive for customer, kept in found.items()}, code)
        for customer, problem in islice(problems.items(), _SOME):
            self.context.say(f"  warning: customer {customer} cannot keep its model of {self.name}: {problem}")
        if len(problems) > _SOME:
            self.context.say(f"  warning: nor can {len(problems) - _SOME:,} more, whom evaluation.json lists")
        return {customer: kept for customer, kept in found.items() if customer not in problems}

    def _read_otherwise(self, models: Mapping[str, bytes], code: bytes) -> dict[str, str]:
        """Which of these models the new code does not answer with as the present code does, and in what."""
        if not models or hashlib.sha256(code).hexdigest() == self.package.metadata.get("code_digest"):
            return {}
        requests = dict.fromkeys(models, _REQUEST)
        try:
            before = answered_offline(code_of(self.context.aws, self.package), models, requests)
            after = answered_offline(code, models, requests)
        except (ArtifactError, DeploymentError) as error:
            return dict.fromkeys(models, f"its answers cannot be compared: {error.what}")
        golden = FleetGolden({customer: {"answer": answer} for customer, answer in before.items()})
        differences = {customer: golden.mismatch(customer, answer) for customer, answer in after.items()}
        return {
            customer: f"the new code answers otherwise with it ({difference})"
            for customer, difference in differences.items()
            if difference
        }

    def _unusable(self, customer: str, archive: bytes | None, forecaster: str) -> str:
        if archive is None:
            return "it is gone from the bucket"
        if hashlib.sha256(archive).hexdigest() != self.customers[customer]["digest"]:
            return "it is not the one that was registered"
        try:
            fitted_by = unpack_model(archive).forecaster
        except DamagedModel as error:
            return str(error)
        return "" if fitted_by == forecaster else "it was fitted by a forecaster that is declared in another way"


def _entry(note: Mapping[str, Any]) -> dict[str, Any]:
    """What a manifest would say of a customer who was added."""
    return {name: note[name] for name in FACTS} | {name: (note["holdout"] or {}).get(name) for name in SCORES}


def deployed_fleet(context: Context, model: Model) -> DeployedFleet | None:
    """The fleet of the package that is deployed; None where none of the registry's is."""
    package = champion(context, model)
    if package is None or not package.fleet:
        return None
    manifest, reason = None, ""
    try:
        manifest = manifest_of(context.aws, package)
    except (ArtifactError, DeploymentError) as error:
        # A lost champion must not keep its successor from being trained; the report says that it was not compared.
        reason = error.what
        context.say(f"  warning: the customers of version {package.version} are not known: {error.what}")
    results = f"{package.fleet.removesuffix(MODELS)}{RESULTS}"
    if not keys_below(context.bucket, split_uri(results)[1], ".json.gz"):
        results, reason = "", reason or f"the results of its fit are gone from {results}"
    return DeployedFleet(context, package, manifest, results if not reason else "", reason)
