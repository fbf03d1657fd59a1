from common.local.api import OPERATIONS
from common.local.operations_doc import PAGE, page


def test_page_lists_what_the_code_supports_now() -> None:
    assert PAGE.read_text() == page(), "run: python -m common.local.operations_doc"


def test_every_operation_says_what_it_does() -> None:
    page()
    assert [name for name, function in OPERATIONS.items() if not function.__doc__] == []
