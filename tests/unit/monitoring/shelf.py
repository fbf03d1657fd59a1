"""A bucket on a shelf."""


class Shelf(dict[str, bytes]):
    """A bucket's objects."""

    aws = None

    def uri(self, key: str) -> str:
        return f"s3://bucket/{key}"

    def read(self, key: str) -> bytes | None:
        return self.get(key)

    def listing(self, prefix: str) -> dict[str, tuple[str, int]]:
        return {key.removeprefix(prefix): ("0f", len(self[key])) for key in self if key.startswith(prefix)}
