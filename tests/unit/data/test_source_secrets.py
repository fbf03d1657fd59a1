"""A source that cannot be read is complained about without its user, password or signature."""

import pytest

from common.data.sources import from_url
from common.errors import SourceError


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:secret@warehouse/rings",
        "ftp://ada:secret@host/rings.csv",
        "file://ada:secret@host/rings.csv",
        "http://ada:secret@host/rings.csv?signature=secret",
        "https://host/two words.csv?signature=secret",
        "https://ada:secret@[host/rings.csv?signature=secret",
    ],
)
def test_no_secret_of_a_url_is_told(url: str) -> None:
    with pytest.raises(SourceError) as caught:
        from_url(url).read()
    assert "secret" not in str(caught.value)
