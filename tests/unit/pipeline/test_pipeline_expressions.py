import pytest

from common.local.pipeline.config import Value
from common.local.pipeline.errors import ConfigError
from common.local.pipeline.expressions import evaluate, fill, names

VALUES: dict[str, Value] = {
    "pipeline.git.branch": "feature/x",
    "pipeline.git.tag": "",
    "pipeline.number": 7,
    "pipeline.parameters.abalone": True,
    "pipeline.parameters.to-version": 3,
    "parameters.model": "abalone",
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("pipeline.parameters.abalone", True),
        ("not pipeline.parameters.abalone", False),
        ('pipeline.git.branch == "feature/x"', True),
        ('pipeline.git.branch != "main"', True),
        ('pipeline.git.branch starts-with "feature/"', True),
        ('pipeline.git.branch starts-with "pull/"', False),
        ("pipeline.parameters.to-version == 3", True),
        ('pipeline.number == "7"', False),
        ("true or false and false", True),
        ("(true or false) and false", False),
        ("not false and false", False),
        ("not (false and false)", True),
        ('not pipeline.git.branch == "main"', True),
        ('pipeline.git.tag == "" and pipeline.git.branch != ""', True),
    ],
)
def test_expression_has_the_value_that_circleci_gives_it(expression: str, expected: bool) -> None:
    assert evaluate(expression, VALUES) is expected


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "pipeline.git.branch ==",
        'pipeline.git.branch == "main',
        "(true",
        "true true",
        "== 3",
        "pipeline.git.unheard-of",
        'pipeline.git.branch matches "x"',
        "true && false",
    ],
)
def test_expression_that_cannot_be_understood_is_an_error(expression: str) -> None:
    with pytest.raises(ConfigError):
        evaluate(expression, VALUES)


def test_every_operand_is_looked_up_even_where_the_result_is_decided() -> None:
    with pytest.raises(ConfigError, match="unheard-of"):
        evaluate("true or pipeline.unheard-of", VALUES)


def test_template_alone_keeps_the_type_of_its_value() -> None:
    assert fill("<< pipeline.parameters.to-version >>", VALUES) == 3
    assert fill("<<pipeline.parameters.abalone>>", VALUES) is True


def test_template_in_a_text_is_replaced() -> None:
    assert fill("-m << parameters.model >>_model --n <<pipeline.number>>", VALUES) == "-m abalone_model --n 7"


def test_here_documents_are_no_templates() -> None:
    assert fill("cat << EOF\nx\nEOF", VALUES) == "cat << EOF\nx\nEOF"


def test_template_that_names_nothing_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"parameters\.modle"):
        fill("x << parameters.modle >>", VALUES)


def test_boolean_inside_a_text_is_an_error() -> None:
    with pytest.raises(ConfigError, match="boolean"):
        fill("x << pipeline.parameters.abalone >>", VALUES)


def test_names_of_an_expression_and_of_a_text() -> None:
    assert names('not pipeline.a and pipeline.b == "pipeline.c"') == {"pipeline.a", "pipeline.b"}
    assert names("<< parameters.model >>") == {"parameters.model"}
