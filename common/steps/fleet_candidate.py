"""A trained fleet on its way into the registry: what was fitted, how good it is, and everything that will travel with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any

import numpy as np

from common.data.parts import MANIFEST
from common.deployment.fleet import answered_offline
from common.errors import ArtifactError, DataError, TrainingError
from common.evaluation.fleet import FleetChampion, FleetEvaluation, assess_fleet
from common.evaluation.fleet_manifest import FACTS, SCORES, FleetManifest
from common.evaluation.fleet_parts import Parts, read_parts
from common.evaluation.gate import Verdict
from common.evaluation.golden import GOLDEN_ROWS, FleetGolden
from common.forecasting.artifacts import forecaster_digest
from common.forecasting.checks import Limits
from common.model import Model
from common.report.cost import Cost, training_cost
from common.report.fleet import FleetReport
from common.steps.context import Context
from common.steps.fleet_champion import DeployedFleet, Kept, deployed_fleet
from common.steps.fleet_examples import read_examples
from common.steps.fleet_objects import Index, etags_of, model_key, read_index, read_many, read_results
from common.steps.registering import image_facts, run_facts
from common.storage import Layout
from common.training.code import SERVING_ENVIRONMENT, verified
from common.training.fleet import Fleet
from common.training.fleet_job import FleetJobs, train_fleet_jobs
from common.training.image import resolved

_EPOCH = date(1970, 1, 1)
_GOLDEN_REQUEST = {"period": 7}


@dataclass(frozen=True)
class FleetCandidate:
    """A fleet of this commit, made from a data version. Each of its parts is made once, when it is first asked for.

    Attributes:
        testing: nothing will be registered, and nothing is written beside what the jobs leave.
    """

    context: Context
    model: Model
    fleet: Fleet
    source: str
    data_version: str
    testing: bool

    @cached_property
    def data(self) -> dict[str, Any]:
        """The manifest of the data version.

        Raises:
            DataError: it is missing from the bucket, or damaged.
        """
        found = self.context.bucket.read_json(self._layout.data(self.data_version, MANIFEST))
        if found is None:
            raise DataError(
                f"Data version {self.data_version}, which source {self.source} of {self.model.name} gathered, is missing "
                "from the bucket.",
                f"Run `python -m {self.model.folder}.gather_data --refresh` to gather again.",
            )
        return found

    @cached_property
    def deployed(self) -> DeployedFleet | None:
        """The fleet that serves now; None where none does."""
        return deployed_fleet(self.context, self.model)

    @cached_property
    def jobs(self) -> FleetJobs:
        """The completed jobs.

        Raises:
            TrainingError: a job failed.
        """
        declared = self.model.declaration("gather_data", "DATA")
        # Not the manifest's ceiling, which only a warehouse is asked with: a file is taken whole.
        tomorrow = (datetime.fromisoformat(self.data["gathered_at"]).date() - _EPOCH).days + 1
        return train_fleet_jobs(
            self.context.aws,
            self.model,
            self.fleet,
            source=self.source,
            data_version=self.data_version,
            limits=Limits(declared.at_least, declared.at_most, tomorrow),
            champion=self.deployed.results if self.deployed else "",
            say=self.context.say,
        )

    @cached_property
    def index(self) -> Index:
        """Where the clean readings of each customer lie, and whom the split job has set aside."""
        _ = self.jobs
        return read_index(self.context.bucket, self._layout.index(self.data_version, self.source, ""))

    @cached_property
    def code(self) -> bytes:
        """The archive of the code that fitted the models, and will serve them.

        Raises:
            ArtifactError: it has been removed or written over since the jobs ran.
        """
        return verified(self.context.bucket, self.jobs.code)

    @cached_property
    def parts(self) -> Parts:
        """What the jobs left of every customer.

        Raises:
            ArtifactError: a part is damaged.
            TrainingError: the fit job has left nothing of some customers.
        """
        _ = self.jobs
        fitted = read_parts(read_results(self.context.bucket, self._layout.fleet(self.source, self.data_version, "")))
        lost = sorted(self.index.customers.keys() - fitted.customers.keys() - fitted.set_aside.keys())
        if lost:
            raise TrainingError(
                f"The fit job {self.jobs.fit['TrainingJobName']} completed without a result for {len(lost):,} of "
                f"{len(self.index.customers):,} customers (the first: {lost[0]}).",
                "Look into its log; change the model or gather anew, so that it is another job.",
            )
        return Parts(fitted.customers, {**self.index.set_aside, **fitted.set_aside})

    @cached_property
    def kept(self) -> Mapping[str, Kept]:
        """The models of customers that are set aside now, as the deployed fleet has them, where this code can serve them."""
        if self.deployed is None:
            return {}
        wanted = self.deployed.customers.keys() & self.parts.set_aside.keys()
        return self.deployed.kept(wanted, forecaster_digest(self.fleet.forecaster.to_json()), self.code)

    @cached_property
    def champion(self) -> FleetChampion:
        """The deployed fleet as the rival that the fit job has scored."""
        if self.deployed is None:
            return FleetChampion()
        channels = {channel["ChannelName"]: channel for channel in self.jobs.fit["InputDataConfig"]}
        scored = channels["champion"]["DataSource"]["S3DataSource"]["S3Uri"] if "champion" in channels else ""
        reason = self.deployed.reason
        if not reason and scored != self.deployed.results:
            reason = f"the fit job has scored {scored or 'no fleet'}, which was deployed when it was started"
        customers = self.deployed.customers if self.deployed.manifest else None
        return FleetChampion(self.deployed.name, customers, self.kept.keys(), reason)

    @cached_property
    def evaluation(self) -> FleetEvaluation:
        return assess_fleet(self.fleet.gate, self.fleet.tolerance, self.parts, self.champion)

    @property
    def verdict(self) -> Verdict:
        return self.evaluation.verdict

    @cached_property
    def manifest(self) -> FleetManifest:
        """Every customer's artifact as it lies in S3; those that are kept are put there first.

        Raises:
            ArtifactError: an artifact is missing, or not the one that was fitted.
        """
        layout, context = self._layout, self.context
        prefix = layout.fleet(self.source, self.data_version, "models/")
        for customer, kept in self.kept.items():
            context.bucket.write(model_key(prefix, customer), kept.archive)
        entries = self._entries()
        md5 = {customer: entry["md5"] for customer, entry in self.parts.customers.items()}
        digests = {customer: entry["digest"] for customer, entry in entries.items()}
        found = etags_of(context.bucket, prefix, digests, md5)
        return FleetManifest(
            model=self.model.name,
            source=self.source,
            data_version=self.data_version,
            code={"uri": self.jobs.code, "digest": self.jobs.code_digest},
            fleet=context.bucket.uri(prefix),
            customers={
                customer: {**entry, "etag": found[customer][0], "bytes": found[customer][1]}
                for customer, entry in entries.items()
            },
            set_aside=self.parts.set_aside,
        )

    def _entries(self) -> dict[str, dict[str, Any]]:
        """What the manifest says of each customer that is served, but for what S3 says of its artifact."""
        entries: dict[str, dict[str, Any]] = {}
        for customer, entry in self.parts.customers.items():
            holdout = entry["holdout"] or {}
            entries[customer] = {name: entry[name] for name in FACTS} | {name: holdout.get(name) for name in SCORES}
        entries |= {customer: dict(kept.entry) for customer, kept in self.kept.items()}
        return dict(sorted(entries.items()))

    @cached_property
    def golden(self) -> bytes:
        """What a few customers, spread over the fleet, answer: by their artifacts in S3 and the code that will serve them."""
        customers = list(self.manifest.customers)
        chosen = [customers[i] for i in np.unique(np.linspace(0, len(customers) - 1, GOLDEN_ROWS).astype(int)).tolist()]
        prefix = self._layout.fleet(self.source, self.data_version, "models/")
        archives = read_many(self.context.bucket, {customer: model_key(prefix, customer) for customer in chosen})
        for customer, archive in archives.items():
            if hashlib.sha256(archive).hexdigest() != self.manifest.customers[customer]["digest"]:
                raise ArtifactError(
                    f"The artifact of customer {customer} has changed while its fleet was registered.",
                    "Find out who writes to the bucket, restore the object from its versions, and run the step again.",
                )
        answers = answered_offline(self.code, archives, dict.fromkeys(chosen, _GOLDEN_REQUEST))
        told = {customer: {"request": _GOLDEN_REQUEST, "answer": answer} for customer, answer in answers.items()}
        return FleetGolden(told).to_json()

    @cached_property
    def archive(self) -> bytes:
        return self.manifest.to_archive()

    @cached_property
    def costs(self) -> dict[str, Cost]:
        """What the two jobs were billed for."""
        region, split, fit = self.context.aws.settings.region, self.jobs.split, self.jobs.fit
        cluster, resources = split["ProcessingResources"]["ClusterConfig"], fit["ResourceConfig"]
        return {
            "split": training_cost(
                region,
                cluster["InstanceType"],
                instances=cluster["InstanceCount"],
                seconds=(split["ProcessingEndTime"] - split["ProcessingStartTime"]).total_seconds(),
            ),
            "fit": training_cost(
                region,
                str(resources["InstanceType"]),
                instances=resources["InstanceCount"],
                seconds=fit["BillableTimeInSeconds"],
                training_seconds=fit["TrainingTimeInSeconds"],
            ),
        }

    @property
    def _fitted_in(self) -> str:
        return self.jobs.fit["AlgorithmSpecification"]["TrainingImage"]

    @cached_property
    def image(self) -> str:
        """What will serve the models: the image that they were fitted in, by digest."""
        return resolved(self.context.aws, self._fitted_in)

    @cached_property
    def lineage(self) -> dict[str, str]:
        """What the fleet was made from, by whom and where."""
        facts = {
            **run_facts(self.context, self.source, self.data_version),
            "processing_job": self.jobs.split["ProcessingJobName"],
            "training_job": self.jobs.fit["TrainingJobName"],
            "code": self.jobs.code,
            "code_digest": self.jobs.code_digest,
        }
        if not self.testing:  # which uploads nothing
            facts |= image_facts(self._fitted_in, self.image, self.deployed.package if self.deployed else None)
            facts |= {"evaluation": self._uri("evaluation.json"), "report": self._uri("report.html")}
        return {name: value for name, value in facts.items() if value}

    @cached_property
    def metadata(self) -> dict[str, str]:
        """`CustomerMetadataProperties`: what traces the package back, and the figures for listings."""
        figures, population = self.evaluation.figures, self.evaluation.figures.population
        told = {name: f"{value:.6g}" for name, value in figures.metrics.items()}
        if figures.champion is not None:
            told |= {"champion_ratio": f"{figures.champion.ratio:.6g}", "excess": f"{figures.champion.excess:.6g}"}
        counts = {
            "customers": population.served,
            "set_aside": len(population.set_aside),
            "kept": len(population.kept),
            "dropped": len(population.dropped),
        }
        return {
            **self.lineage,
            "gate": "passed" if self.verdict.passed else f"refused: {self.verdict.reason}",
            "fleet": self.manifest.fleet,
            "artifact_digest": hashlib.sha256(self.archive).hexdigest(),
            "golden_digest": hashlib.sha256(self.golden).hexdigest(),
            **told,
            **{name: str(count) for name, count in counts.items()},
        }

    @cached_property
    def report(self) -> FleetReport:
        before = self.deployed.data_version if self.deployed else ""
        return FleetReport(
            self.model,
            self.evaluation,
            self.data,
            self.context.bucket.read_json(self._layout.data(before, MANIFEST)) if before else None,
            self.lineage,
            read_examples(self.context.bucket, self.index, self.parts, self.fleet.forecaster, self.evaluation.worst),
            self.costs,
        )

    @cached_property
    def files(self) -> dict[str, bytes]:
        """Everything that travels with the package, by its name; `evaluation.json` is the last."""
        told = {
            "report.html": self.report.html().encode(),
            "summary.md": self.report.summary().encode(),
            "junit/gate.xml": self.report.junit().encode(),
            "evaluation.json": json.dumps(self.evaluation.document(), indent=2, sort_keys=True).encode(),
        }
        return told if self.testing else {"fleet.tar.gz": self.archive, "golden.json": self.golden} | told

    def _uri(self, name: str) -> str:
        return self.context.bucket.uri(self._layout.package(self.source, self.data_version, name))

    @property
    def _layout(self) -> Layout:
        return Layout(self.model.name)

    def package_request(self) -> dict[str, Any]:
        """What `CreateModelPackage` needs beyond group, status and metadata."""
        statistics = {"ContentType": "application/json", "S3Uri": self._uri("evaluation.json")}
        container = {
            "Image": self.image,
            "ModelDataUrl": self._uri("fleet.tar.gz"),
            "Environment": {**SERVING_ENVIRONMENT, "SAGEMAKER_SUBMIT_DIRECTORY": self.jobs.code},
        }
        return {
            "InferenceSpecification": {
                "Containers": [container],
                "SupportedContentTypes": ["application/json"],
                "SupportedResponseMIMETypes": ["application/json"],
            },
            "ModelMetrics": {"ModelQuality": {"Statistics": statistics}},
        }
