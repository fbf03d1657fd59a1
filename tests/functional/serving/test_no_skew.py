"""Raw rows through a model's endpoint and through the offline path: the same features, and so the same answers."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
import xgboost
from botocore.exceptions import ClientError

from common.data.dataset import Dataset, from_csv, read_records, to_records
from common.evaluation.golden import score
from common.model import Model, all_models
from common.serving.archive import ENVIRONMENT, load_predictor, load_trained, pack
from common.serving.inference import Category, Encoder, Number, Predictor
from tests.accounts import REGION, Account
from tests.archives import archive
from tests.functional.deployment.deployment_kit import IMAGE

ROWS = 60
JSON, CSV = "application/json", "text/csv"
Record = dict[str, Any]
Kind = TypeVar("Kind", Number, Category)


@dataclass(frozen=True)
class Served:
    """A model behind an endpoint, and what offline code says of its test rows.

    Attributes:
        predictor: from the package's archive.
        records: the first test rows as they came, with their label.
        scores: the bare booster's, of the same rows as they were encoded when the data were gathered.
    """

    runtime: Any
    predictor: Predictor
    label: str
    records: list[Record]
    scores: list[float]

    @property
    def encoder(self) -> Encoder:
        return self.predictor.encoder

    @property
    def inputs(self) -> list[Record]:
        return [{name: value for name, value in record.items() if name != self.label} for record in self.records]

    def ask(self, body: str, content_type: str, accept: str = JSON) -> str:
        answer = self.runtime.invoke_endpoint(EndpointName="model", ContentType=content_type, Accept=accept, Body=body)
        return str(answer["Body"].read().decode())

    def predictions(self, body: str, content_type: str = JSON) -> list[Record]:
        found: list[Record] = json.loads(self.ask(body, content_type))["predictions"]
        return found

    def refusal(self, record: Record) -> str:
        """The error that a caller gets for the record."""
        with pytest.raises(ClientError) as caught:
            self.ask(json.dumps(record), JSON)
        response: Any = caught.value.response
        assert (response["Error"]["Code"], response["OriginalStatusCode"]) == ("ModelError", 400)
        return str(json.loads(response["OriginalMessage"])["error"])

    def column(self, kind: type[Kind], wanted: Callable[[Kind], object]) -> Kind:
        """The first column of the kind that is as wanted; a model without one has nothing to test there."""
        found = next((c for c in self.encoder.columns if isinstance(c, kind) and wanted(c)), None)
        return found or pytest.skip(f"no such {kind.__name__}")


@pytest.fixture(scope="module", params=[m for m in all_models() if not m.is_fleet], ids=lambda model: model.name)
def served(request: pytest.FixtureRequest, aws_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    model: Model = request.param
    dataset: Dataset = model.declaration("gather_data", "DATA")
    prepared = dataset.prepare(dataset.read())
    train, test = (from_csv(prepared.files[f"{name}/{name}.csv"]) for name in ("train", "test"))
    objective = model.declaration("train_register", "TRAINING").hyperparameters["objective"]
    booster = xgboost.train({"objective": objective, "nthread": 1}, xgboost.DMatrix(train[:, 1:], train[:, 0]), 20)

    folder = tmp_path_factory.mktemp(model.name)
    (folder / "job.tar.gz").write_bytes(archive({"xgboost-model": bytes(booster.save_raw("ubj"))}))
    encoder = Encoder.from_state(json.loads(prepared.files["encoder.json"]))
    trained = load_trained(folder / "job.tar.gz", encoder, dataset.columns.classes)
    (folder / "model.tar.gz").write_bytes(pack(trained))

    numbers = [column.name for column in dataset.columns.used if isinstance(column, Number)]
    records = to_records(read_records(prepared.files["records/test.csv"], numbers))[:ROWS]
    scores = booster.predict(xgboost.DMatrix(test[:ROWS, 1:])).tolist()
    aws = Account(aws_url, f"{uuid.uuid4().int % 10**12:012d}")
    serve(aws, (folder / "model.tar.gz").read_bytes())
    predictor = load_predictor(folder / "model.tar.gz")
    yield Served(aws.client("sagemaker-runtime"), predictor, dataset.columns.label, records, scores)
    aws.client("sagemaker").delete_endpoint(EndpointName="model")


def serve(aws: Account, archive: bytes) -> None:
    """An endpoint `model` as a deploy makes it."""
    s3, sagemaker = aws.client("s3"), aws.client("sagemaker")
    s3.create_bucket(Bucket=aws.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=aws.bucket, Key="model.tar.gz", Body=archive)
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://{aws.bucket}/model.tar.gz", "Environment": ENVIRONMENT}
    sagemaker.create_model(ModelName="model", PrimaryContainer=container, ExecutionRoleArn=aws.role)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": "model",
        "InstanceType": "ml.t2.medium",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName="model", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="model", EndpointConfigName="model")
    waiter = sagemaker.get_waiter("endpoint_in_service")
    waiter.wait(EndpointName="model", WaiterConfig={"Delay": 0.05, "MaxAttempts": 1200})


def to_text(records: list[Record], names: list[str], *, header: bool) -> str:
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerows([names] * header + [["" if r[n] is None else r[n] for n in names] for r in records])
    return target.getvalue()


def scores(answers: list[Record]) -> list[float]:
    return [score(answer) for answer in answers]


def test_features_encoded_when_the_data_were_gathered_score_as_the_raw_rows(served: Served) -> None:
    assert served.predictor.scores(served.records).tolist() == pytest.approx(served.scores, abs=1e-6)


@pytest.mark.parametrize("form", ["values", "text", "instances", "extra fields", "reversed"])
def test_json_rows_are_answered_as_offline(served: Served, form: str) -> None:
    records = served.inputs
    if form == "text":
        records = [{name: None if value is None else str(value) for name, value in r.items()} for r in records]
    elif form == "extra fields":
        records = [{**r, served.label: "unknown", "note": [1, {"a": None}]} for r in records]
    elif form == "reversed":
        records = [dict(reversed(r.items())) for r in records]
    answers = served.predictions(json.dumps({"instances": records} if form == "instances" else records))
    assert scores(answers) == pytest.approx(served.scores, abs=1e-6)
    assert answers == served.predictor.answers(served.records)


@pytest.mark.parametrize("form", ["declared order", "header", "reversed", "extra fields"])
def test_csv_rows_are_answered_as_offline(served: Served, form: str) -> None:
    names = [column.name for column in served.encoder.columns]
    if form == "reversed":
        names = names[::-1]
    elif form == "extra fields":
        names = [served.label, *names]
    body = to_text(served.records, names, header=form != "declared order")
    assert served.predictions(body, CSV) == served.predictor.answers(served.records)
    lines = [line.partition(",") for line in served.ask(body, CSV, CSV).splitlines()]
    assert [float(score) for score, _, _ in lines] == pytest.approx(served.scores, abs=1e-6)
    assert [label for _, _, label in lines] == [a.get("label", "") for a in served.predictor.answers(served.records)]


def test_one_record_is_answered_as_among_others(served: Served) -> None:
    alone = [served.predictions(json.dumps(record))[0] for record in served.inputs[:5]]
    assert scores(alone) == pytest.approx(served.scores[:5], abs=1e-6)


def test_an_unseen_category_of_an_open_column_is_none_of_the_known_ones(served: Served) -> None:
    column = served.column(Category, lambda category: not category.values)
    record = served.inputs[0] | {column.name: "nowhere"}
    positions = [i for i, origin in enumerate(served.encoder.origin()) if origin == column.name]
    row = served.encoder.encode([served.inputs[0]])
    row[:, positions] = 0
    expected = served.predictor.booster.predict(xgboost.DMatrix(row)).tolist()
    assert scores(served.predictions(json.dumps(record))) == pytest.approx(expected, abs=1e-6)


def test_an_unseen_category_of_a_closed_column_is_refused(served: Served) -> None:
    column = served.column(Category, lambda category: category.values)
    assert served.refusal(served.inputs[0] | {column.name: "nowhere"}) == (
        f"record 1, {column.name}: none of {', '.join(column.values)}: 'nowhere'"
    )


def test_a_missing_field_is_refused_by_name(served: Served) -> None:
    for name in served.inputs[0]:
        record = {other: value for other, value in served.inputs[0].items() if other != name}
        assert served.refusal(record) == f"record 1, {name}: there is no such field"


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("much", "no number: 'much'"),
        (True, "a boolean where a number is wanted: 'True'"),
        (None, "missing: 'None'"),
        ([0.5], "neither text nor a number: '[0.5]'"),
        (1e9, "above {at_most:g}: '1000000000.0'"),
        (-1, "below {at_least:g}: '-1'"),
    ],
)
def test_a_value_that_is_no_number_or_out_of_bounds_is_refused_with_the_reason(
    served: Served, value: object, fault: str
) -> None:
    column = served.column(Number, lambda n: not n.optional and n.at_least > -1 and n.at_most < 1e9)
    told = fault.format(at_least=column.at_least, at_most=column.at_most)
    assert served.refusal(served.inputs[0] | {column.name: value}) == f"record 1, {column.name}: {told}"


def test_faults_of_one_record_are_told_by_its_number_and_nothing_is_answered(served: Served) -> None:
    column = served.column(Number, lambda number: not number.optional)
    records = [*served.inputs[:3], served.inputs[3] | {column.name: "?"}]
    with pytest.raises(ClientError) as caught:
        served.ask(json.dumps(records), JSON)
    assert f"record 4, {column.name}: missing" in str(caught.value)
