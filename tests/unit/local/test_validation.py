from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

from common.local.api import OPERATIONS, ApiError
from common.local.app import operation_modules
from common.local.validation import python_pattern, validate

SAGEMAKER = botocore.session.Session().get_service_model("sagemaker")


def error(operation: str, request: dict[str, Any]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        check(operation, request)
    return caught.value


def check(operation: str, request: dict[str, Any]) -> None:
    shape = SAGEMAKER.operation_model(operation).input_shape
    assert shape
    validate(request, shape)


@pytest.mark.parametrize(
    ("operation", "request_", "constraint"),
    [
        ("CreateModel", {}, "Value null at 'modelName' failed to satisfy constraint: Member must not be null"),
        (
            "ListModels",
            {"SortBy": "Colour"},
            "Value 'Colour' at 'sortBy' failed to satisfy constraint: "
            "Member must satisfy enum value set: [Name, CreationTime]",
        ),
        (
            "CreateModel",
            {"ModelName": "a b"},
            "Value 'a b' at 'modelName' failed to satisfy constraint: Member must satisfy regular expression pattern: "
            r"[a-zA-Z0-9]([\-a-zA-Z0-9]*[a-zA-Z0-9])?",
        ),
        (
            "ListModels",
            {"MaxResults": 101},
            "Value '101' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 100",
        ),
        (
            "CreateModel",
            {"ModelName": "a", "Tags": [{"Key": "k", "Value": "v"}, {"Key": "", "Value": "v"}]},
            "Value '' at 'tags.2.member.key' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1",
        ),
    ],
)
def test_violation_is_worded_as_aws_words_it(operation: str, request_: dict[str, Any], constraint: str) -> None:
    found = error(operation, request_)
    assert (found.code, found.message) == ("ValidationException", f"1 validation error detected: {constraint}")


def test_all_violations_are_counted() -> None:
    found = error("ListModels", {"SortBy": "x", "MaxResults": 0})
    assert found.message.startswith("2 validation errors detected: ")
    assert found.message.count("failed to satisfy constraint") == 2


@pytest.mark.parametrize("request_", [{"SortBy": 1}, {"MaxResults": "1"}, {"MaxResults": True}, {"SortBy": ["Name"]}])
def test_other_json_type_is_a_serialization_error(request_: dict[str, Any]) -> None:
    assert error("ListModels", request_).code == "SerializationException"


def test_more_custom_metadata_than_fifty_entries_are_refused() -> None:
    entries = {f"k{number}": "v" for number in range(51)}
    assert "less than or equal to 50" in error("CreateModelPackage", {"CustomerMetadataProperties": entries}).message
    check("CreateModelPackage", {"CustomerMetadataProperties": dict(list(entries.items())[:50])})


def test_union_takes_exactly_one_member() -> None:
    scaling = SAGEMAKER.shape_for("MetricSpecification")
    assert isinstance(scaling, StructureShape)
    with pytest.raises(ApiError, match="Exactly one member must be set"):
        validate({"Predefined": {}, "Customized": {}}, scaling)


@pytest.mark.parametrize(
    ("shape", "good", "bad"),
    [
        ("TagValue", "Größe 5 a_b/c:d+e=f@g-h.i", "50 %"),
        ("CustomerMetadataValue", "2026-11-21T07:00:00 main/x", "a#b"),
        ("EntityDescription", "Predicts rings (RMSE < 2.1) — “good”, × 2 m²", "two\nlines"),
    ],
)
def test_patterns_with_unicode_classes_mean_what_java_means(shape: str, good: str, bad: str) -> None:
    pattern = python_pattern(SAGEMAKER.shape_for(shape).metadata["pattern"])
    assert pattern.fullmatch(good)
    assert not pattern.fullmatch(bad)


def test_every_pattern_of_a_supported_operation_compiles() -> None:
    operation_modules()
    inputs = [SAGEMAKER.operation_model(name).input_shape for name in OPERATIONS]
    shapes = [shape for each in inputs if each for shape in walk(each, set())]
    patterns = {shape.metadata["pattern"] for shape in shapes if "pattern" in shape.metadata}
    assert len(patterns) > 30
    for pattern in patterns:
        python_pattern(pattern)


def walk(shape: Shape, seen: set[str]) -> Iterator[Shape]:
    if shape.name in seen:
        return
    seen.add(shape.name)
    yield shape
    if isinstance(shape, StructureShape):
        for member in shape.members.values():
            yield from walk(member, seen)
    elif isinstance(shape, ListShape):
        yield from walk(shape.member, seen)
    elif isinstance(shape, MapShape):
        yield from walk(shape.key, seen)
        yield from walk(shape.value, seen)
    else:
        assert isinstance(shape, StringShape) or "pattern" not in shape.metadata
