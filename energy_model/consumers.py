"""SYNTHETIC customers of an energy provider, of whom is known what they can be expected to use on any day.

Each customer has one reading a day over two and a half years, between 0 and 1,000, which is

    level × trend × yearly season × weekly season, or their sum, + effects of holidays and a shift of the level + noise

A customer is of one kind, which is what a forecaster may find hard in it; `KINDS` are their shares. Everything but the
noise is known (`Customer.expected`, also for days to come), and so is the error that no forecast can be expected to avoid.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.data.extract import Reading, Wanted
from energy_model.holidays import HOLIDAYS

Values = NDArray[np.float64]
Times = NDArray[np.datetime64]

KINDS = {
    "plain": 0.14,  # seasons and noise, which the others have, too
    "multiplicative": 0.12,  # seasons and noise grow with the level, which has a trend
    "trend": 0.10,
    "level shift": 0.08,  # once, for good
    "holidays": 0.08,
    "strong weekly": 0.08,
    "autocorrelated": 0.08,  # a day above the expected one is followed by another
    "missing days": 0.08,
    "duplicates": 0.06,  # some readings were delivered twice
    "irregular": 0.08,  # read at random times of random days
    "short": 0.05,  # a customer since three weeks to six months
    "outliers": 0.05,
}
"""The share of each kind among the customers."""

FIRST, LAST = np.datetime64("2023-07-01"), np.datetime64("2025-12-31")
"""The days of the first and the last reading, whatever the date is today: the same seed makes the same data."""
HIGHEST = 1000.0
_YEAR = 365.25
_DAYS = np.arange(FIRST, LAST + 1)
_SHOCKS = 64
"""So many past shocks are in autocorrelated noise; the weight of the next one is below a millionth."""
_GOLDEN = (np.sqrt(5) - 1) / 2
_DATES = {name: np.array(dates, dtype="datetime64[D]").astype(np.int64) for name, dates in HOLIDAYS.items()}


@dataclass(frozen=True)
class Customer:
    """What can be expected of a customer. Shares are of its level.

    Attributes:
        peak: the day of the year, from 0, on which the first yearly wave has its maximum.
        yearly: amplitudes of the waves of a year and of half a year.
        weekly: what each weekday adds, from Monday.
        slope: the change of the level in a year.
        shift: the day since 1970 from which the level is another, and the change.
        holidays: what each of `HOLIDAYS` adds.
        noise: standard deviation.
        memory: the correlation of the noise of one day with that of the day before.
    """

    id: int
    kind: str
    level: float
    peak: float
    yearly: tuple[float, float]
    weekly: Values
    slope: float
    shift: tuple[float, float]
    holidays: Values
    noise: float
    memory: float

    @property
    def multiplicative(self) -> bool:
        return self.kind == "multiplicative"

    def expected(self, times: ArrayLike) -> Values:
        """The mean at these times (datetime64, or days since 1970), without noise and outliers."""
        days = days_since_1970(times)
        season, trend = self._season(days), self._trend(days)
        shares = trend * (1 + season) if self.multiplicative else trend + season
        return np.clip(self.level * shares, 0, HIGHEST)

    def deviation(self, times: ArrayLike) -> Values:
        """The standard deviation of the noise at these times."""
        return self.noise * (self.expected(times) if self.multiplicative else np.full(np.shape(times), self.level))

    def _trend(self, days: Values) -> Values:
        day, change = self.shift
        return 1 + self.slope * (days - FIRST.astype(np.int64)) / _YEAR + change * (days >= day)

    def _season(self, days: Values) -> Values:
        dates = np.floor(days).astype(np.int64)
        angle = 2 * np.pi * (days - self.peak) / _YEAR
        season = self.yearly[0] * np.cos(angle) + self.yearly[1] * np.sin(2 * angle)
        season += self.weekly[(dates + 3) % 7]  # 1970-01-01 was a Thursday
        for effect, holiday in zip(self.holidays, _DATES.values(), strict=True):
            if effect:
                season += effect * np.isin(dates, holiday)
        return np.asarray(season)


class Readings(NamedTuple):
    """A customer's readings as a warehouse has them, in order of time; those of one kind stand in it twice."""

    customer: Customer
    timestamps: Times
    consumption: Values
    mean: Values
    """`customer.expected(timestamps)`"""


@dataclass(frozen=True)
class Generated:
    """Customers 0, 1, …; the same seed makes the same ones, and the first are the same however many there are."""

    customers: int = 1000
    seed: int = 2026

    @property
    def description(self) -> str:
        return f"{self.customers:,} SYNTHETIC customers that energy_model/consumers.py makes up (seed {self.seed})"

    def readings(self, wanted: Wanted) -> Iterator[list[Reading]]:
        """The rows of one customer after the other, as they are wherever and whenever they are asked for.

        Floor and ceiling are passed over: the readings have dates of their own, so that they are the same on any day.
        """
        for readings in draw(self._ids(wanted.only), self.seed):
            timestamps = np.datetime_as_string(readings.timestamps, unit="s").tolist()
            consumption = map(str, readings.consumption.tolist())
            yield list(zip(repeat(str(readings.customer.id)), timestamps, consumption))

    def _ids(self, only: str | None) -> list[int]:
        return [number for number in range(self.customers) if only is None or only == str(number)]


def kinds(customers: ArrayLike, seed: int) -> list[str]:
    """The kind of each customer: evenly spread, so that of any number of successive customers each has its share."""
    position = (np.asarray(customers) * _GOLDEN + seed * np.sqrt(2)) % 1
    return [list(KINDS)[i] for i in np.searchsorted(np.cumsum(list(KINDS.values()))[:-1], position, side="right")]


def draw(customers: Iterable[int], seed: int) -> Iterator[Readings]:
    """The readings of each customer, which depend on nothing but its id and the seed."""
    ids = list(customers)
    for number, kind in zip(ids, kinds(ids, seed), strict=True):
        random = np.random.default_rng((seed, number))
        customer = _customer(number, kind, random)
        yield _read(customer, _timestamps(customer, random), random)


def days_since_1970(times: ArrayLike) -> Values:
    """Datetimes as days since 1970-01-01T00:00Z, with fractions; numbers are taken for such days."""
    values = np.asarray(times)
    if values.dtype.kind == "M":
        # Never the integers themselves: they count whatever unit the datetimes happen to have.
        return (values - np.datetime64(0, "s")) / np.timedelta64(1, "D")
    return values.astype(float)


def copy_into(url: str, generated: Generated, table: str = "readings") -> int:
    """Create the table in a PostgreSQL database and fill it with COPY; returns the number of rows.

    Args:
        url: a connection string of libpq, `postgresql://…`.
        table: has the columns customer_id, timestamp (UTC, without a time zone) and consumption, and no index.
    """
    import psycopg
    from psycopg.sql import SQL, Identifier

    columns = "customer_id integer, timestamp timestamp, consumption double precision"
    rows = 0
    with psycopg.connect(url) as connection:
        connection.execute(SQL("CREATE TABLE {} (" + columns + ")").format(Identifier(table)))
        command = SQL("COPY {} FROM STDIN (FORMAT binary)").format(Identifier(table))
        with connection.cursor().copy(command) as copy:
            copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
            for readings in draw(range(generated.customers), generated.seed):
                copy.write(_binary(readings))
                rows += len(readings.timestamps)
            copy.write(b"\xff\xff")
    return rows


_POSTGRES_ROW = np.dtype(
    [
        ("fields", ">i2"),
        ("customer_size", ">i4"),
        ("customer", ">i4"),
        ("time_size", ">i4"),
        ("time", ">i8"),
        ("value_size", ">i4"),
        ("value", ">f8"),
    ]
)


def _binary(readings: Readings) -> bytes:
    """Rows in the binary format of COPY, where a timestamp is microseconds since 2000."""
    rows = np.zeros(len(readings.timestamps), _POSTGRES_ROW)
    rows["fields"], rows["customer_size"], rows["time_size"], rows["value_size"] = 3, 4, 8, 8
    rows["customer"] = readings.customer.id
    rows["time"] = (readings.timestamps - np.datetime64("2000-01-01")) / np.timedelta64(1, "us")
    rows["value"] = readings.consumption
    return rows.tobytes()


def _customer(number: int, kind: str, random: np.random.Generator) -> Customer:
    # Every customer draws the same numbers in the same order: what a kind leaves out is not used.
    level, slope, shift_day, shift, memory = random.uniform((80, -0.15, 0.2, 0.2, 0.5), (400, 0.25, 0.85, 0.4, 0.85))
    shift *= random.choice((-1, 1))
    yearly = random.uniform((0.10, 0.00), (0.30, 0.08))
    weekly = random.uniform(0.02, 0.08) * _centred(random.normal(size=7))
    strong = random.uniform(0.12, 0.25) * _centred(random.normal(size=7))
    holidays = -random.uniform(0.15, 0.5) * random.uniform(0.6, 1.4, len(HOLIDAYS))
    return Customer(
        id=number,
        kind=kind,
        level=level,
        peak=random.normal(15, 20),  # most use most in January
        yearly=(yearly[0], yearly[1]),
        weekly=strong if kind == "strong weekly" else weekly,
        slope=slope if kind in ("trend", "multiplicative") else 0.0,
        shift=(FIRST.astype(np.int64) + round(shift_day * len(_DAYS)), shift if kind == "level shift" else 0.0),
        holidays=holidays if kind == "holidays" else np.zeros(len(HOLIDAYS)),
        noise=random.uniform(0.03, 0.09),
        memory=memory if kind == "autocorrelated" else 0.0,
    )


def _centred(values: Values) -> Values:
    """With mean 0 and largest magnitude 1."""
    centred = values - values.mean()
    return np.asarray(centred / np.abs(centred).max())


def _timestamps(customer: Customer, random: np.random.Generator) -> Times:
    """When the customer is read: at midnight UTC of every day, unless it is of a kind that is read otherwise."""
    days = _DAYS.astype("datetime64[s]")
    match customer.kind:
        case "short":
            return days[-random.integers(21, 183) :]
        case "missing days":
            kept = random.random(len(days)) >= random.uniform(0.02, 0.15)
            start = random.integers(0, len(days) - 60)
            kept[start : start + random.integers(5, 60)] = False
            return days[kept]
        case "duplicates":
            twice = random.random(len(days)) < random.uniform(0.01, 0.05)
            return np.repeat(days, 1 + twice)
        case "irregular":
            seconds = random.integers(0, 86_400 * len(days), random.integers(400, len(days)))
            return np.asarray(days[0] + np.unique(seconds))
        case _:
            return days


def _read(customer: Customer, timestamps: Times, random: np.random.Generator) -> Readings:
    times, back = np.unique(timestamps, return_inverse=True)
    mean = customer.expected(times)
    noise = customer.deviation(times) * _noise(len(times), customer.memory, random)
    if customer.kind == "outliers":
        chosen = random.random(len(times)) < 0.015
        noise += chosen * customer.level * random.uniform(0.3, 0.8, len(times)) * random.choice((-1, 1), len(times))
    consumption = np.clip(mean + noise, 0, HIGHEST).round(2)
    return Readings(customer, timestamps, consumption[back], mean[back])


def _noise(count: int, memory: float, random: np.random.Generator) -> Values:
    """A stationary AR(1) process of variance 1: the weighted sum of its past shocks."""
    if not memory:
        return random.standard_normal(count)
    shocks = random.standard_normal(count + _SHOCKS - 1)
    return np.convolve(shocks, np.sqrt(1 - memory**2) * memory ** np.arange(_SHOCKS), mode="valid")
