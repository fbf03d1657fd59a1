"""What an experiment says, for a person: in the terminal, and as a page of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from common.report.page import render
from common.report.plots.chart import Figure
from common.report.tables import Table
from common.tables import text_table

Tone = Literal["good", "bad", "soft"]
"""Whether a finding speaks for the challenger, against it, or neither."""


@dataclass(frozen=True)
class Section:
    """Tables under a title, the sentence that says how to read them, and figures; `prose`: the cells hold sentences."""

    title: str
    tables: tuple[Table, ...]
    note: str
    figures: tuple[Figure, ...] = ()
    prose: bool = False


@dataclass(frozen=True)
class Report:
    """The findings of an experiment.

    Attributes:
        headline: the finding in a few words.
        consequence: what to do with it.
        facts: (label, figure, words) of what a reader asks first.
        description: what the experiment is.
    """

    title: str
    headline: str
    tone: Tone
    consequence: str
    facts: tuple[tuple[str, str, str], ...]
    description: str
    sections: tuple[Section, ...]

    def text(self) -> str:
        """For a terminal: the same, without figures."""
        facts = "; ".join(f"{label}: {value} ({words})" for label, value, words in self.facts)
        lines = [f"{self.title}: {self.headline}", self.consequence, self.description, facts]
        for section in self.sections:
            tables = [text_table(table.header, table.rows) for table in section.tables]
            lines += ["", section.title, *tables, *([section.note] if section.note else [])]
        return "\n".join(lines)

    def html(self) -> str:
        """One self-contained page, which its own content policy forbids to fetch anything."""
        names: Sequence[str] = ("title", "headline", "tone", "consequence", "facts", "description", "sections")
        return render("experiment.html.jinja", **{name: getattr(self, name) for name in names})
