"""The page for people is the table that is evaluated."""

from tests.permissions.page import PAGE, page


def test_the_page_is_what_the_table_says() -> None:
    assert PAGE.read_text() == page(), "make docs writes it anew"


def test_the_page_says_of_a_role_what_it_can_and_what_it_cannot() -> None:
    approving = page().partition("(`models-approve`)")[2].partition("###")[0]
    can, _, cannot = approving.partition("| cannot | on | because |")
    assert (
        "`sagemaker:UpdateModelPackage`, ModelApprovalStatus `Approved` | *registry* model package `abalone/1`" in can
    )
    assert "`sagemaker:UpdateEndpoint` | *production* endpoint `abalone`" in cannot
