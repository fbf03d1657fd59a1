"""Shadow and A/B tests: begin them, say what they have found, and end them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from common.deployment.declare import VARIANT
from common.deployment.live import observe
from common.deployment.modes import DeclaredEndpoint
from common.errors import DeploymentError, UsageError
from common.experiments.ab_report import ab_report
from common.experiments.arms import Standing, outcomes, stand
from common.experiments.captured import captured_answers, ground_truth
from common.experiments.losses import Loss, loss_for
from common.experiments.paired import compare, pair
from common.experiments.plan import SHADOW, Kind, ab_test, require_real_time, shadow_test
from common.experiments.report import Report
from common.experiments.run import Laboratory, Running, require_approved, running
from common.experiments.shadow_report import shadow_report
from common.experiments.traffic import Traffic, variant_traffic
from common.model import Model
from common.steps.announce import announce_deployed
from common.steps.context import Context
from common.steps.deploy import deploy_model, package_of_main
from common.storage import Layout


def laboratory(context: Context, model: Model, endpoint: DeclaredEndpoint) -> Laboratory:
    """Where experiments on the model's endpoint are begun and ended."""
    return Laboratory(context.aws, context.registry(model), endpoint, context.run, context.say)


def is_running(context: Context, model: Model, kind: Kind) -> bool:
    """Whether an experiment of that kind runs on the model's endpoint."""
    found = running(context.aws, model, observe(context.aws, model))
    return found is not None and found.kind == kind


def start_shadow(context: Context, model: Model, endpoint: DeclaredEndpoint, version: int, percent: int) -> None:
    """Let the version, or else main's approved package, get copies of the requests.

    Raises:
        UsageError: the endpoint is of a kind that has no shadow tests, or the share is impossible.
        CheckoutError: the checkout is not what main holds; its declaration would reach the endpoint.
        RegistryError: there is no such package, or none that could be compared.
        DeploymentError: the test could not begin; what served before serves.
    """
    require_real_time(model, endpoint, "shadow test")
    context.checkout.require_main(model)
    lab = laboratory(context, model, endpoint)
    package = lab.registry.version(version) if version else package_of_main(context, lab.registry)
    uri = context.bucket.uri(Layout(model.name).capture())
    begun = lab.start(shadow_test(lab.serving(), package, percent, uri, lab.instances()))
    _say_begun(context, model, "shadow", f"version {package.version} is the shadow", begun=begun)


def start_ab(
    context: Context, model: Model, endpoint: DeclaredEndpoint, versions: Sequence[int], weights: Sequence[float]
) -> None:
    """Let these versions answer a share of the callers each.

    Raises:
        CheckoutError: the checkout is not what main holds; its declaration would reach the endpoint.
        RegistryError: a version does not exist or is not approved.
        DeploymentError: the test could not begin; what served before serves.
    """
    context.checkout.require_main(model)
    lab = laboratory(context, model, endpoint)
    packages = [lab.registry.version(version) for version in versions]
    uri = context.bucket.uri(Layout(model.name).capture())
    begun = lab.start(ab_test(model, endpoint, packages, weights or [1] * len(packages), uri, lab.instances()))
    _say_begun(context, model, "ab", f"versions {', '.join(map(str, versions))} answer", begun=begun)


def _say_begun(context: Context, model: Model, kind: Kind, what: str, *, begun: bool) -> None:
    context.say(f"{model.name}: {what}{'' if begun else ' already'}; `./models {kind} {model.name}` says what it finds")


def shadow_findings(context: Context, model: Model, endpoint: DeclaredEndpoint) -> Report:
    """What the running shadow test has found so far.

    Raises:
        DeploymentError: none runs.
        DataError: there are too few captured requests, or the ground truth is malformed.
    """
    experiment = laboratory(context, model, endpoint).require_running("shadow")
    loss, since = _loss(model), experiment.since
    production, shadow = (captured_answers(context.bucket, model, name, since) for name in (VARIANT, SHADOW))
    pairs = pair(production, shadow, ground_truth(context.bucket, model, since))
    roles = {VARIANT: "production", SHADOW: "shadow"}
    traffic = _traffic(
        context, model, {name: f"{roles[name]}, version {v}" for name, v in experiment.versions.items()}, since
    )
    return shadow_report(model, experiment, pairs, compare(pairs, loss), traffic, loss)


def ab_findings(context: Context, model: Model, endpoint: DeclaredEndpoint) -> Report:
    """What the running A/B test has found so far.

    Raises:
        DeploymentError: none runs.
        DataError: a variant has too few outcomes, or the ground truth is malformed.
    """
    experiment = laboratory(context, model, endpoint).require_running("ab")
    traffic = _traffic(context, model, {name: name for name in experiment.versions}, experiment.since)
    return ab_report(model, experiment, _standing(context, model, experiment), traffic)


def _standing(context: Context, model: Model, experiment: Running) -> Standing:
    loss, since = _loss(model), experiment.since
    answers = {name: captured_answers(context.bucket, model, name, since) for name in experiment.versions}
    return stand(outcomes(answers, ground_truth(context.bucket, model, since), loss), experiment.weights, loss)


def _traffic(context: Context, model: Model, names: Mapping[str, str], since: datetime) -> dict[str, Traffic]:
    return {words: variant_traffic(context.aws, model.name, name, since) for name, words in names.items()}


def _loss(model: Model) -> Loss:
    return loss_for(model.declaration("train_register", "TRAINING").gate.metric)


def write_report(report: Report, path: Path) -> None:
    """Write the page.

    Raises:
        UsageError: the file cannot be written.
    """
    try:
        path.write_text(report.html(), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error}.", "Name a file in a folder that exists.") from error


def promote_shadow(context: Context, model: Model, endpoint: DeclaredEndpoint) -> None:
    """Deploy the shadow's version as every other is deployed, and so end the test.

    Raises:
        RegistryError: it is not approved; the test goes on.
        DeploymentError: no test runs, or the version does not serve and the test goes on.
    """
    lab = laboratory(context, model, endpoint)
    experiment = lab.require_running("shadow")
    require_approved(lab.registry, experiment.challenger)
    lab.conclude(experiment, lambda: deploy_model(context, model, endpoint, version=experiment.challenger))


def conclude_ab(context: Context, model: Model, endpoint: DeclaredEndpoint, choice: str) -> None:
    """Let one version alone answer from now on.

    Args:
        choice: a version of the test, or `winner` for the one that is certainly better than every other.

    Raises:
        CheckoutError: the checkout is not what main holds; its declaration would reach the endpoint.
        UsageError: the choice is neither.
        DeploymentError: no test runs, there is no winner yet, or the version does not serve and the test goes on.
    """
    context.checkout.require_main(model)
    lab = laboratory(context, model, endpoint)
    experiment = lab.require_running("ab")
    version = _winner(context, model, experiment) if choice == "winner" else _version(experiment, choice)
    require_approved(lab.registry, version)
    lab.end(experiment, version)
    context.say(f"{model.name}: version {version} alone answers now")
    announce_deployed(context, model, model.name, lab.registry.version(version))


def _winner(context: Context, model: Model, experiment: Running) -> int:
    standing = _standing(context, model, experiment)
    if not standing.winner:
        why = "the callers are not dealt as declared" if standing.mismatched else "no version is certainly better yet"
        raise DeploymentError(
            f"The A/B test on {model.name} has no winner: {why}.",
            f"`./models ab {model.name}` says more; `--conclude N` keeps version N, `--stop` returns to what served before.",
        )
    return experiment.versions[standing.winner]


def _version(experiment: Running, choice: str) -> int:
    known = sorted(experiment.versions.values())
    if not choice.isdecimal() or int(choice) not in known:
        raise UsageError(
            f"'{choice}' is no version of this A/B test.",
            f"Give --conclude winner, or one of {', '.join(map(str, known))}.",
        )
    return int(choice)


def stop_experiment(context: Context, model: Model, endpoint: DeclaredEndpoint, kind: Kind) -> None:
    """End the test, and return to what served before it.

    Raises:
        DeploymentError: no such test runs, or the way back failed and it goes on.
    """
    lab = laboratory(context, model, endpoint)
    if lab.finish(kind):
        context.say(f"{model.name}: no test runs any more; the endpoint is held no longer, and can be deployed to")
        return
    lab.stop(lab.require_running(kind))
    context.say(f"{model.name}: the test has ended; what served before it serves alone")
