"""A dozen and more ways to poison the readings of a customer, as the raw rows (customer, timestamp, value) of a source.

`SET_ASIDE` are those that leave something to guess: such a customer has to be set aside, with its reason, and must harm no
other. All but the first few kinds change a single reading among good ones. `REPAIRED` are those that lose nothing: such a
customer has to end with the series that its good rows spell. What is too low, too high or too late is so by the
declaration of the energy model (0 to 1,000, and nothing after the day of gathering).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from common.data.extract import Reading, Wanted
from energy_model.consumers import Generated

Rows = list[Reading]
_AMONG = 20
"""The reading that is changed."""


def _changed(timestamp: str | None = None, value: str | None = None) -> Callable[[Rows], Rows]:
    def change(rows: Rows) -> Rows:
        customer, old_timestamp, old_value = rows[_AMONG]
        new = (customer, old_timestamp if timestamp is None else timestamp, old_value if value is None else value)
        return [*rows[:_AMONG], new, *rows[_AMONG + 1 :]]

    return change


def _without_values(rows: Rows) -> Rows:
    return [(customer, timestamp, "") for customer, timestamp, _ in rows]


def _constant(rows: Rows) -> Rows:
    return [(customer, timestamp, "5.0") for customer, timestamp, _ in rows]


def _contradicted(rows: Rows) -> Rows:
    customer, timestamp, value = rows[_AMONG]
    return [*rows[: _AMONG + 1], (customer, timestamp, str(float(value) / 2 + 1)), *rows[_AMONG + 1 :]]


def _nameless(rows: Rows) -> Rows:
    return [(f"../{customer}", timestamp, value) for customer, timestamp, value in rows]


SET_ASIDE: dict[str, Callable[[Rows], Rows]] = {
    "empty": lambda rows: [(rows[0][0], "", "")],
    "no values": _without_values,
    "one row": lambda rows: rows[:1],
    "one reading over and over": lambda rows: rows[:1] * len(rows),
    "constant": _constant,
    "missing value": _changed(value=""),
    "NaN": _changed(value="NaN"),
    "infinite": _changed(value="-Infinity"),
    "beyond any double": _changed(value="1e999"),
    "text": _changed(value="n/a"),
    "decimal comma": _changed(value="12,5"),
    "negative": _changed(value="-0.5"),
    "huge": _changed(value="1e30"),
    "missing timestamp": _changed(timestamp=""),
    "no such day": _changed(timestamp="2025-02-30T00:00:00"),
    "future": _changed(timestamp="2999-01-01T00:00:00"),
    "two values for one time": _contradicted,
    "id that cannot name a file": _nameless,
}
"""Each makes of a customer's good rows those of a customer that has to be set aside."""


def _elsewhere(rows: Rows) -> Rows:
    """The same instants, told by a clock in India."""
    zone = timezone(timedelta(hours=5, minutes=30))
    instants = [datetime.fromisoformat(timestamp + "+00:00") for _, timestamp, _ in rows]
    return [(row[0], instant.astimezone(zone).isoformat(), row[2]) for row, instant in zip(rows, instants, strict=True)]


REPAIRED: dict[str, Callable[[Rows], Rows]] = {
    "unsorted": lambda rows: rows[::2] + rows[1::2],
    "backwards": lambda rows: rows[::-1],
    "delivered twice": lambda rows: rows + rows,
    "other time zone": _elsewhere,
}
"""Each spells the same readings in another way."""


@dataclass(frozen=True)
class Poisoned:
    """A source of generated customers, of whom one in a hundred is poisoned: in all the ways of `SET_ASIDE`, in turn."""

    generated: Generated
    every: int = 100

    @property
    def description(self) -> str:
        return f"{self.generated.description}, one in {self.every} poisoned"

    def poisons(self) -> dict[int, str]:
        """The poison of each customer that has one."""
        victims = range(self.every // 2, self.generated.customers, self.every)
        return {victim: list(SET_ASIDE)[i % len(SET_ASIDE)] for i, victim in enumerate(victims)}

    def readings(self, wanted: Wanted) -> Iterator[Rows]:
        poisons = self.poisons()
        for number, rows in enumerate(self.generated.readings(wanted)):
            yield SET_ASIDE[poisons[number]](rows) if number in poisons else rows
