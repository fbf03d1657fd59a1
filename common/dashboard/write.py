"""Collect, and write the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from common.dashboard.collect import collect
from common.dashboard.page import dashboard_page
from common.dashboard.wording import headline
from common.errors import UsageError
from common.model import Model
from common.steps.context import Context


def write_dashboard(context: Context, models: Sequence[Model], file: Path) -> None:
    """Write the page of these models to a file, and say what it says first.

    Raises:
        CheckoutError: the clone does not know main.
        UsageError: the file cannot be written.
    """
    facts = collect(context, models)
    page = dashboard_page(facts)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{file} cannot be written: {error.strerror}.", "Name a file in a folder that you may write to."
        ) from error
    context.say(f"{headline(facts).words}.\n{file} has the whole.")
