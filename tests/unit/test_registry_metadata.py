"""What goes into a package's metadata is what SageMaker accepts, whatever users and branches are called."""

import re

from botocore.session import Session
from hypothesis import given
from hypothesis import strategies as st

from common.registry import metadata_values

VALUE = Session().get_service_model("sagemaker").shape_for("CustomerMetadataValue")


@given(st.text(max_size=400))
def test_any_text_becomes_acceptable(text: str) -> None:
    (value,) = metadata_values({"branch": f"x{text}"}).values()
    assert len(value) <= VALUE.metadata["max"]
    assert re.fullmatch(r"[\w .:/=+\-@]*", value)


def test_ordinary_values_stay_as_they_are() -> None:
    ordinary = {
        "arn": "arn:aws:iam::1:role/x",
        "when": "2026-11-21T08:00:00+00:00",
        "who": "ada@example.com",
        "n": "2.31",
    }
    assert metadata_values(ordinary) == ordinary


def test_empty_values_go() -> None:
    assert metadata_values({"a": "", "b": "x"}) == {"b": "x"}
