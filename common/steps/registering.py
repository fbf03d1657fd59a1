"""What the steps that train a model or a fleet have in common: from gathered data to a package that is registered once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from common.errors import GateError, TrainingError
from common.evaluation.gate import Verdict
from common.model import ROOT, Model
from common.registry import PENDING, REJECTED, Package
from common.steps.context import Context
from common.storage import Layout

OUTPUTS = ("evaluation.json", "report.html", "summary.md", "junit/gate.xml")
"""What travels with a package for people and CI, and is kept in `build/<model>/`."""


class Registrable(Protocol):
    """A trained model or fleet on its way into the registry."""

    @property
    def context(self) -> Context: ...

    @property
    def model(self) -> Model: ...

    @property
    def source(self) -> str: ...

    @property
    def data_version(self) -> str: ...

    @property
    def verdict(self) -> Verdict: ...

    @property
    def metadata(self) -> Mapping[str, str]:
        """`CustomerMetadataProperties`: what traces the package back, and the metrics for listings."""

    @property
    def files(self) -> Mapping[str, bytes]:
        """Everything that travels with the package, by its name; `evaluation.json` is the last."""

    def package_request(self) -> dict[str, Any]:
        """What `CreateModelPackage` needs beyond group, status and metadata."""


def gathered_version(context: Context, model: Model, source: str) -> str:
    """The data version that the source has gathered.

    Raises:
        TrainingError: it has gathered none.
    """
    version = context.gathered(model, source)
    if not version:
        raise TrainingError(
            f"Source {source} of {model.name} has gathered no data yet.",
            f"Run `python -m {model.folder}.gather_data` first.",
        )
    return version


def register_once(candidate: Registrable) -> Package:
    """Register the package, or find the one that was registered; keep its outputs in `build/<model>/`.

    Raises:
        GateError: it is not good enough; its package is registered as rejected, with the reason.
    """
    context, model = candidate.context, candidate.model
    package = context.registry(model).find(candidate.source, candidate.data_version)
    if package:
        context.say(
            f"{model.name}: source {candidate.source} with data {candidate.data_version} is version {package.version}, "
            f"{package.status}"
        )
    else:
        package = _register(candidate)
        context.say(f"{model.name}: registered version {package.version}, {package.status}: {package.arn}")
    layout = Layout(model.name)
    kept = {
        name: context.bucket.read(layout.package(candidate.source, candidate.data_version, name)) for name in OUTPUTS
    }
    _keep(context, model, {name: content for name, content in kept.items() if content is not None})
    if package.status == REJECTED:
        raise GateError(
            f"Version {package.version} of {model.name} is rejected: {package.reason}",
            f"build/{model.name}/report.html has the evaluation. Improve the model, or the gate in train_register.py.",
        )
    return package


def _register(candidate: Registrable) -> Package:
    """Upload everything that travels with the package, then register it."""
    context, layout = candidate.context, Layout(candidate.model.name)
    keys = {name: layout.package(candidate.source, candidate.data_version, name) for name in candidate.files}
    *files, last = ((keys[name], content) for name, content in candidate.files.items())
    context.bucket.write_all(files, last=last)
    return context.registry(candidate.model).register(
        candidate.package_request(),
        dict(candidate.metadata),
        commit=candidate.metadata["commit"],
        status=PENDING if candidate.verdict.passed else REJECTED,
        reason="" if candidate.verdict.passed else f"gate: {candidate.verdict.reason}",
    )


def keep_trial(candidate: Registrable) -> None:
    """Keep the outputs of a trial, of which nothing is registered."""
    _keep(candidate.context, candidate.model, candidate.files)
    candidate.context.say(
        f"{candidate.model.name}: tried out, and nothing registered; "
        f"build/{candidate.model.name}/report.html has the evaluation"
    )


def _keep(context: Context, model: Model, files: Mapping[str, bytes]) -> None:
    """Write what people and CI read to `build/<model>/`, and the summary to the log."""
    folder = ROOT / "build" / model.name
    for name in OUTPUTS:
        if name in files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(files[name])
    if "summary.md" in files:
        context.say(files["summary.md"].decode())


def image_facts(named: str, image: str, champion: Package | None) -> dict[str, str]:
    """Which image will serve, by tag and digest; and whether the tag stood for another one when the champion was registered."""
    tag, digest = named.rpartition(":")[2], image.rpartition("@")[2]
    before = champion.metadata.get("image_digest", digest) if champion and champion.named_image == named else digest
    moved = {"image_moved_since": f"version {champion.version}"} if champion and before != digest else {}
    return {"image_tag": tag, "image_digest": digest, **moved}


def run_facts(context: Context, source: str, data_version: str) -> dict[str, str]:
    """What a package was made from, by whom and where; empty values among them."""
    run, checkout = context.run, context.checkout
    return {
        "source": source,
        "data_version": data_version,
        "commit": checkout.commit(),
        "branch": run.branch or checkout.branch(),
        "trained_by": run.user,
        "pipeline": run.pipeline,
        "build_number": run.number,
        "build_url": run.url,
    }
