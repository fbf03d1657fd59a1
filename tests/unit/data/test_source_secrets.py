"""A source that cannot be read is complained about without its user, password or signature."""

import pytest

from common.data.sources import from_url
from common.errors import SourceError


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:s3cr3t@warehouse/rings",
        "ftp://ada:s3cr3t@host/rings.csv",
        "file://ada:s3cr3t@host/rings.csv",
        "http://ada:s3cr3t@host/rings.csv?signature=s3cr3t",
        "https://host/two words.csv?signature=s3cr3t",
        "https://ada:s3cr3t@[host/rings.csv?signature=s3cr3t",
    ],
)
def test_no_secret_of_a_url_is_told(url: str) -> None:
    with pytest.raises(SourceError) as caught:
        from_url(url).read()
    assert "s3cr3t" not in str(caught.value)
