"""When a rule's schedule is due: `rate(…)` and `cron(…)` in UTC, to the minute. Pure functions.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_UNITS = {"minute": 60, "hour": 3600, "day": 86_400}
_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]


class ScheduleError(Exception):
    """The expression is no schedule, or none that is supported."""


@dataclass(frozen=True)
class Rate:
    """Every so many seconds, from the moment on at which the rule was made."""

    seconds: int

    def due(self, anchor: float, after: float, until: float) -> Iterator[float]:
        """The moments in (after, until], epoch seconds."""
        number = max(1, int((after - anchor) // self.seconds) + 1)
        while (moment := anchor + number * self.seconds) <= until:
            yield moment
            number += 1


@dataclass(frozen=True)
class Cron:
    """The minutes that fit all six fields.

    Attributes:
        days, weekdays: None for the one that is `?`; weekdays count from Sunday, which is 1.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int] | None
    months: frozenset[int]
    weekdays: frozenset[int] | None
    years: frozenset[int]

    def due(self, anchor: float, after: float, until: float) -> Iterator[float]:  # noqa: ARG002 - as Rate's
        """The moments in (after, until], epoch seconds."""
        day = datetime.fromtimestamp(after, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        while day.timestamp() <= until:
            if self._fits(day):
                for hour in sorted(self.hours):
                    for minute in sorted(self.minutes):
                        moment = day.replace(hour=hour, minute=minute).timestamp()
                        if after < moment <= until:
                            yield moment
            day += timedelta(days=1)

    def _fits(self, day: datetime) -> bool:
        weekday = day.isoweekday() % 7 + 1
        return (
            day.year in self.years
            and day.month in self.months
            and (self.days is None or day.day in self.days)
            and (self.weekdays is None or weekday in self.weekdays)
        )


def schedule(expression: str) -> Rate | Cron:
    """Read `rate(5 minutes)` or `cron(0 23 * * ? *)`.

    Raises:
        ScheduleError: it is neither, or has what is not supported here (`L`, `W`, `#`).
    """
    if rate := re.fullmatch(r"rate\((\d+) (minute|hour|day)(s?)\)", expression):
        number = int(rate[1])
        if number < 1 or (number == 1) == bool(rate[3]):
            raise ScheduleError(f"{expression}: it is «1 minute», but «2 minutes».")
        return Rate(number * _UNITS[rate[2]])
    cron = re.fullmatch(r"cron\(([^()]+)\)", expression)
    fields = cron[1].split() if cron else []
    if len(fields) != 6:
        raise ScheduleError(f"{expression} is neither rate(…) nor cron(…) with six fields.")
    minute, hour, day, month, weekday, year = fields
    if (day == "?") == (weekday == "?"):
        raise ScheduleError(f"{expression}: exactly one of day of month and day of week must be «?».")
    return Cron(
        _field(minute, 0, 59),
        _field(hour, 0, 23),
        None if day == "?" else _field(day, 1, 31),
        _field(month, 1, 12, _MONTHS),
        None if weekday == "?" else _field(weekday, 1, 7, _DAYS),
        _field(year, 1970, 2199),
    )


def _field(text: str, low: int, high: int, names: list[str] | None = None) -> frozenset[int]:
    """The numbers that a field stands for: `*`, `5`, `1,3`, `MON-FRI`, `0/15`, `10-40/10`."""
    found: set[int] = set()
    for part in text.upper().split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        if span == "*":
            start, end = low, high
        else:
            start = _number(first, low, names)
            end = _number(last, low, names) if last else high if step else start
        every = int(step) if step.isdecimal() else 0 if step else 1
        if not (low <= start <= end <= high) or every < 1:
            raise ScheduleError(f"{part!r} is no part of a schedule between {low} and {high}.")
        found.update(range(start, end + 1, every))
    return frozenset(found)


def _number(text: str, low: int, names: list[str] | None) -> int:
    if names and text in names:
        return names.index(text) + low
    if not text.isdecimal():
        raise ScheduleError(f"{text!r} is not supported in a schedule here: numbers, names, «*», «-», «,» and «/» are.")
    return int(text)
