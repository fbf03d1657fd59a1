"""A multi-model endpoint serves every model below its prefix, loaded when it is first asked for."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from tests.accounts import Account
from tests.archives import archive
from tests.functional.local.hosting_kit import eventually
from tests.functional.local.multi_model_kit import HANDLERS, SOON, MultiModel, packed


@pytest.fixture
def models(aws: Account) -> MultiModel:
    own = MultiModel(aws)
    own.put_models("fleet/", *"abcdef")
    return own


def loads(models: MultiModel, count: int) -> list[str]:
    """The models that containers have loaded, in order, once there are `count` of them in the log."""

    def lines() -> list[str]:
        return [line.removeprefix("loading ") for line in models.log() if line.startswith("loading ")]

    eventually(lambda: len(lines()) >= count, f"{count} models are loaded")
    return lines()


def metric(models: MultiModel, name: str, variant: str = "all") -> float:
    """The sum of one of the endpoint's metrics."""
    now = datetime.now(UTC)
    [total] = models.aws.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=name,
        Dimensions=[{"Name": "EndpointName", "Value": "e"}, {"Name": "VariantName", "Value": variant}],
        StartTime=now - timedelta(minutes=30),
        EndTime=now + timedelta(minutes=30),
        Period=3600,
        Statistics=["Sum"],
    )["Datapoints"] or [{"Sum": 0.0}]
    return float(total["Sum"])


def test_each_target_is_answered_by_its_own_model_which_is_loaded_once(models: MultiModel) -> None:
    models.serve(models.container("fleet/"))
    assert [models.ask(f"{name}.tar.gz")["name"] for name in "abab"] == ["fleet/a", "fleet/b", "fleet/a", "fleet/b"]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: models.ask("c.tar.gz"), range(8)))
    assert {answer["name"] for answer in answers} == {"fleet/c"}
    assert len({answer["pid"] for answer in answers}) == 1
    assert loads(models, 3) == ["fleet/a", "fleet/b", "fleet/c"]
    eventually(lambda: metric(models, "Invocations") == 12, "the metrics are written")
    assert metric(models, "ModelCacheHit") in range(2, 12 - 3 + 1)
    assert metric(models, "ModelLoadingTime") > 0


def test_an_overwritten_artifact_is_served_from_the_cache_until_a_new_configuration(models: MultiModel) -> None:
    sagemaker = models.aws.client("sagemaker")
    models.serve(models.container("fleet/"))
    assert models.ask("a.tar.gz")["name"] == "fleet/a"
    models.put("fleet/a.tar.gz", packed("newer"))
    models.put_models("fleet/", "added")
    assert models.ask("a.tar.gz")["name"] == "fleet/a"
    assert models.ask("added.tar.gz")["name"] == "fleet/added"
    again = models.configure("again", models.container("fleet/"))
    sagemaker.update_endpoint(EndpointName="e", EndpointConfigName=again)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="e", WaiterConfig=SOON)
    assert models.ask("a.tar.gz")["name"] == "newer"


def test_a_model_that_cannot_be_had_is_refused_until_it_is_there(models: MultiModel) -> None:
    models.put("fleet/damaged.tar.gz", packed("damaged")[:-20])
    models.put("fleet/escaping.tar.gz", archive({"../../escaped": "x"}))
    models.serve(models.container("fleet/"))
    missing = models.refused("new.tar.gz")
    assert (missing["Error"]["Code"], missing["ResponseMetadata"]["HTTPStatusCode"]) == ("ValidationError", 400)
    assert missing["Error"]["Message"].startswith(
        f"Failed to download model data(bucket: {models.aws.bucket}, key: fleet/new.tar.gz). Please ensure that there is an "
        "object located at the URL"
    )
    for name in ("damaged", "escaping"):
        error = models.refused(f"{name}.tar.gz")
        assert (error["Error"]["Code"], error["OriginalStatusCode"]) == ("ModelError", 500)
        assert f"Failed to extract model data archive for model {name}.tar.gz" in error["OriginalMessage"]
    models.put_models("fleet/", "new", "damaged")
    assert [models.ask(f"{name}.tar.gz")["name"] for name in ("new", "damaged")] == ["fleet/new", "fleet/damaged"]


def test_what_handlers_raise_reaches_the_caller_as_the_inference_toolkit_answers_it(models: MultiModel) -> None:
    models.put("fleet/broken.tar.gz", archive({"model.json": "{"}))
    models.serve(models.container("fleet/"))
    bad = models.refused("a.tar.gz", "bad")
    assert (bad["Error"]["Code"], bad["OriginalStatusCode"]) == ("ModelError", 400)
    message, *trace = bad["OriginalMessage"].splitlines()
    assert message == "period must be a whole number, not twelve"
    assert trace[0] == "Traceback (most recent call last):"
    broken = models.refused("broken.tar.gz")
    assert (broken["Error"]["Code"], broken["OriginalStatusCode"]) == ("ModelError", 500)
    assert broken["OriginalMessage"].startswith("Expecting property name")
    assert models.ask("a.tar.gz")["type"] == "str"
    assert models.ask("a.tar.gz", ContentType="application/x-npy")["type"] == "bytes"


def test_a_target_has_to_name_an_object_below_the_prefix(models: MultiModel) -> None:
    models.put("secret.tar.gz", packed("secret"))
    models.serve(models.container("fleet/"))
    for target in ("../secret.tar.gz", "x/../../secret.tar.gz", "/fleet/a.tar.gz"):
        error = models.refused(target)["Error"]
        assert error["Code"] == "ValidationError"
        assert "below the endpoint's prefix" in error["Message"]
    error = models.refused(None)["Error"]
    assert error["Code"] == "ValidationError"
    assert "is missing a target model header" in error["Message"]


def test_the_least_recently_used_model_makes_room_and_no_request_fails(models: MultiModel) -> None:
    limit = {"SAGEMAKER_MULTI_MODEL_MAX_LOADED": "2"}
    models.serve(models.container("fleet/", limit))
    for name in "abacab":  # c takes the place of b, then b that of c
        assert models.ask(f"{name}.tar.gz")["name"] == f"fleet/{name}"
    assert loads(models, 4) == [f"fleet/{name}" for name in "abcb"]
    with ThreadPoolExecutor(6) as pool:
        names = list(pool.map(lambda turn: models.ask(f"{'abcdef'[turn % 6]}.tar.gz")["name"], range(60)))
    assert names == [f"fleet/{name}" for name in "abcdef" * 10]


def test_without_a_cache_a_model_is_unloaded_after_every_call(models: MultiModel) -> None:
    container = models.container("fleet/", MultiModelConfig={"ModelCacheSetting": "Disabled"})
    models.serve(container)
    for _ in range(3):
        assert models.ask("a.tar.gz")["name"] == "fleet/a"
    assert loads(models, 3) == ["fleet/a"] * 3
    described = models.aws.client("sagemaker").describe_model(ModelName="e")["PrimaryContainer"]
    assert described == container


def test_a_model_that_crashes_is_started_again_and_takes_no_other_down(models: MultiModel) -> None:
    models.serve(models.container("fleet/"))
    before = {name: models.ask(f"{name}.tar.gz") for name in "ab"}
    assert before["a"]["container"] == before["b"]["container"]
    error = models.refused("a.tar.gz", "crash")
    assert (error["Error"]["Code"], error["OriginalStatusCode"]) == ("ModelError", 500)
    assert "Worker died" in error["OriginalMessage"]
    assert models.ask("b.tar.gz") == before["b"]
    again = models.ask("a.tar.gz")
    assert (again["name"], again["container"]) == ("fleet/a", before["a"]["container"])
    assert loads(models, 3) == [f"fleet/{name}" for name in "aba"]


def test_a_container_that_crashed_loads_its_models_again(models: MultiModel) -> None:
    models.serve(models.container("fleet/"))
    models.ask("a.tar.gz")
    assert models.refused("a.tar.gz", "crash container")["Error"]["Code"] == "ModelError"

    def back() -> bool:
        try:
            return bool(models.ask("a.tar.gz")["name"] == "fleet/a")
        except ClientError:
            return False

    eventually(back, "the container is restarted")
    assert loads(models, 2) == ["fleet/a"] * 2


def test_several_variants_have_models_of_their_own_also_as_a_shadow(models: MultiModel) -> None:
    models.put_models("other/", "a")
    variants = [models.variant("one", models.container("fleet/")), models.variant("two", models.container("other/"))]
    models.start(ProductionVariants=variants)
    answers = {models.ask("a.tar.gz", TargetVariant=name)["name"] for name in ("one", "two")}
    assert answers == {"fleet/a", "other/a"}
    assert {models.ask("a.tar.gz")["name"] for _ in range(4)} == answers
    models.change(ProductionVariants=variants[:1], ShadowProductionVariants=variants[1:])
    assert {models.ask("a.tar.gz")["name"] for _ in range(4)} == {"fleet/a"}
    eventually(lambda: metric(models, "Invocations", "two") == 1 + 2 + 4, "the shadow gets a copy of each request")
    assert metric(models, "Invocation5XXErrors", "two") == 0


def test_a_models_own_code_counts_at_the_root_of_its_archive_alone(models: MultiModel) -> None:
    own = HANDLERS.replace('{"name": model["name"]', '{"name": "own code"')
    models.put("fleet/teams/own.tar.gz", archive({"model.json": json.dumps({"name": "own"}), "inference.py": own}))
    models.put(
        "fleet/teams/code.tar.gz", archive({"model.json": json.dumps({"name": "code"}), "code/inference.py": own})
    )
    models.serve(models.container("fleet/"))
    assert models.ask("teams/own.tar.gz")["name"] == "own code"
    assert models.ask("teams/code.tar.gz")["name"] == "code"
    assert models.ask("a.tar.gz")["name"] == "fleet/a"


def test_a_models_requests_go_to_the_instance_that_has_it(models: MultiModel) -> None:
    models.serve(models.container("fleet/"), instances=2)
    asked = [(name, models.ask(f"{name}.tar.gz")["container"]) for name in "abcdef" * 3]
    assert max(Counter(name for name, _ in set(asked)).values()) == 1
    assert len({container for _, container in asked}) == 2


def test_the_prefix_of_a_multi_model_container_ends_with_a_slash(models: MultiModel) -> None:
    with pytest.raises(ClientError, match="ends with a slash"):
        models.configure("e", models.container("fleet"))
