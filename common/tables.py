"""Tables as text."""

from collections.abc import Sequence


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A line for each row below the header, however wide it gets, so that logs and pipes can be read and searched."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    table = (header, ["─" * width for width in widths], *rows)
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table)
    return "\n".join(line.rstrip() for line in lines)
