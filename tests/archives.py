"""Archives as SageMaker has them, made for tests."""

import io
import tarfile
from collections.abc import Mapping


def archive(files: Mapping[str, str | bytes]) -> bytes:
    """A tar.gz of these files, by name."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            content = text if isinstance(text, bytes) else text.encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
