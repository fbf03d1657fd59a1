import pytest

from common.local.pipeline.errors import ConfigError
from common.local.pipeline.paths import Rule, matches, parameters, parse_mapping


def test_mapping_lines_are_regex_parameter_and_json_value() -> None:
    text = """
      # a comment
      a/.*   x  true

      b/.* y "text"
      .* z 3
    """
    assert parse_mapping(text) == (Rule("a/.*", "x", True), Rule("b/.*", "y", "text"), Rule(".*", "z", 3))


@pytest.mark.parametrize(
    "line", ["a/.* x", "a/.* x true other.yml", "(a x true", "a x yes", "a x [1]", "a x null", 'a x "two words"']
)
def test_mapping_line_that_cannot_be_read_is_an_error(line: str) -> None:
    with pytest.raises(ConfigError):
        parse_mapping(line)


@pytest.mark.parametrize(
    ("regex", "file", "seen"),
    [
        ("a/.*", "a/x.py", True),
        ("a/.*", "a/b/x.py", True),
        ("a/.*", "other/a/x.py", False),
        ("a/.*", "a", False),
        (r"a\.txt", "a.txt.bak", False),
        ("a/.*|b/f.py", "other/b/f.py", True),  # the orb's leak: `^a/.*` or `b/f.py$`
        ("(a|b)/.*", "other/b/f.py", False),
        ("a/.*", "a/a file.py", False),  # the orb splits names at spaces
        ("a/.*", r'"a/\303\244.py"', False),  # git quotes what is not ASCII
    ],
)
def test_file_matches_as_in_the_orb(regex: str, file: str, seen: bool) -> None:
    assert matches(Rule(regex, "x", True), file) is seen


def test_last_matching_line_of_a_parameter_wins() -> None:
    rules = parse_mapping("a/.* x 1\na/b/.* x 2\na/c/.* x 3")
    assert parameters(rules, ["a/b/f"]) == {"x": 2}
    assert parameters(rules, ["a/f"]) == {"x": 1}
    assert parameters(rules, ["a/c/f", "a/b/f"]) == {"x": 3}
    assert parameters(rules, ["b"]) == {}
