"""A connection that breaks off in the middle of an extract: it reads on where it was, or nothing is kept."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from common.data import cursor
from common.data.extract import Reading, ReadingsSource, Wanted
from common.data.parts import write_parts
from common.data.warehouse import Warehouse
from common.errors import SourceError
from tests.functional.data.conftest import Postgres
from tests.functional.data.test_extract import CEILING, FLOOR, QUERY, fill, wanted

ROWS = 1_000
PER_CUSTOMER = 70
HANG_UP = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'ada' AND pid <> pg_backend_pid()"


@pytest.fixture
def warehouse(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Postgres]:
    """15 customers with 70 readings each but for the last one, every other reading twice; chunks of 100 rows."""
    monkeypatch.setattr(cursor, "CHUNK_ROWS", 100)
    monkeypatch.setattr(cursor, "_FIRST_PAUSE_SECONDS", 0.02)
    fill(postgres, "integer", "timestamp")
    postgres.run(
        "INSERT INTO readings SELECT 'm', timestamp '2024-01-01' + n % 70 / 2 * interval '1 day', n / 4 % 5, n / 70 "
        "FROM generate_series(0, 999) AS n"
    )
    yield postgres
    postgres.run("DROP TABLE readings")


@dataclass
class Disturbed:
    """A source to which something happens after some of its chunks, counted from 1 over the whole extract."""

    source: ReadingsSource
    after: Collection[int]
    happens: Callable[[], object]
    chunks: int = field(default=0)

    @property
    def description(self) -> str:
        return self.source.description

    def readings(self, wanted: Wanted) -> Iterator[list[Reading]]:
        for chunk in self.source.readings(wanted):
            yield chunk
            self.chunks += 1
            if self.chunks in self.after:
                self.happens()


def version(source: ReadingsSource, folder: Path) -> str:
    folder.mkdir()
    manifest = write_parts(source, wanted(), folder, lambda _: None)
    assert manifest["rows"] == ROWS
    return str(manifest["version"])


def complaint(source: ReadingsSource, folder: Path) -> str:
    with pytest.raises(SourceError) as caught:
        write_parts(source, wanted(), folder, lambda _: None)
    assert caught.value.remedy
    assert not (folder / "manifest.json").exists()
    return str(caught.value)


@pytest.mark.parametrize("after", [(1,), (7,), (9,), (1, 2, 3)])
def test_a_backend_that_is_killed_in_the_middle_costs_no_row_and_doubles_none(
    after: tuple[int, ...], warehouse: Postgres, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = Warehouse(warehouse.url, QUERY)
    whole = version(source, tmp_path / "whole")
    assert version(Disturbed(source, after, lambda: warehouse.run(HANG_UP)), tmp_path / "cut") == whole
    told = [record.message for record in caplog.records if record.name == cursor.__name__]
    assert len(told) == len(after)
    assert (
        f"broke off after {after[0] * 100} readings; reading on at customer '{(after[0] * 100 - 1) // 70}'" in told[0]
    )


def test_a_break_where_a_customer_ends_costs_no_row(
    warehouse: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cursor, "CHUNK_ROWS", PER_CUSTOMER)
    source = Warehouse(warehouse.url, QUERY)
    whole = version(source, tmp_path / "whole")
    disturbed = Disturbed(source, (1, 5, 14), lambda: warehouse.run(HANG_UP))
    assert version(disturbed, tmp_path / "cut") == whole


def test_text_ids_are_read_on_in_the_order_of_the_servers_collation(warehouse: Postgres, tmp_path: Path) -> None:
    ids = ["a", "B", "b", "Ä", "z z", "z-z", "zz", "_", "10", "9", "'", "%", ":x"]
    rows = [(f"2024-01-{day:02}", day, name) for name in ids for day in range(1, 29)]
    fill(warehouse, "text", "timestamp", *rows)
    source = Warehouse(warehouse.url, QUERY)
    undisturbed = [row for chunk in source.readings(wanted()) for row in chunk]
    cut = Disturbed(source, (1, 2, 3), lambda: warehouse.run(HANG_UP))
    assert [row for chunk in cut.readings(wanted()) for row in chunk] == undisturbed
    assert len(undisturbed) == len(rows)


def test_a_connection_that_breaks_off_again_and_again_is_given_up_with_nothing_kept(
    warehouse: Postgres, tmp_path: Path
) -> None:
    cut = Disturbed(Warehouse(warehouse.url, QUERY), range(1, 10), lambda: warehouse.run(HANG_UP))
    assert "broke off (terminating connection" in complaint(cut, tmp_path)
    assert cut.chunks == 5


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("INSERT INTO readings VALUES ('m', '2024-01-01', 1, 0)", "280 readings of the first customers are now 281"),
        ("DELETE FROM readings WHERE customer_id = 1", "280 readings of the first customers are now 210"),
        (
            "INSERT INTO readings VALUES ('m', '2023-01-01', 1, 4)",
            "the first 20 readings of customer '4' are others now",
        ),
        ("DELETE FROM readings WHERE customer_id = 4", "the first 20 readings of customer '4' are others now"),
        ("DELETE FROM readings WHERE customer_id >= 4", "the first 20 readings of customer '4' are others now"),
    ],
)
def test_a_warehouse_that_changed_where_it_was_read_is_not_read_on(
    change: str, told: str, warehouse: Postgres, tmp_path: Path
) -> None:
    def change_and_hang_up() -> None:
        warehouse.run(change)
        warehouse.run(HANG_UP)

    cut = Disturbed(Warehouse(warehouse.url, QUERY), (3,), change_and_hang_up)
    message = complaint(cut, tmp_path)
    assert "broke off, and has changed since" in message
    assert told in message


def test_readings_beyond_the_ceiling_may_come_in_meanwhile(warehouse: Postgres, tmp_path: Path) -> None:
    source = Warehouse(warehouse.url, QUERY)
    whole = version(source, tmp_path / "whole")

    def add_and_hang_up() -> None:
        warehouse.run(f"INSERT INTO readings SELECT 'm', '{CEILING}', 1, n FROM generate_series(0, 14) AS n")  # noqa: S608
        warehouse.run(f"INSERT INTO readings VALUES ('m', date '{FLOOR}' - 1, 1, 0)")  # noqa: S608
        warehouse.run(HANG_UP)

    assert version(Disturbed(source, (4,), add_and_hang_up), tmp_path / "cut") == whole


def test_an_undisturbed_extract_is_one_snapshot(warehouse: Postgres, tmp_path: Path) -> None:
    source = Warehouse(warehouse.url, QUERY)
    whole = version(source, tmp_path / "whole")
    emptied = Disturbed(source, (1,), lambda: warehouse.run("DELETE FROM readings"))
    assert version(emptied, tmp_path / "emptied") == whole


class Gateway:
    """Passes bytes on between a port of its own and the server's, until its lines are cut."""

    def __init__(self, server: int) -> None:
        self._server = server
        self._lines: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)

    def cut(self) -> None:
        """Hang up, and refuse connections for a while."""
        self.close()
        threading.Timer(0.05, self._reopen).start()

    def close(self) -> None:
        for line in (self._listener, *self._lines):
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()
        self._lines.clear()

    def _reopen(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._start(self._accept)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server))
                self._lines += [line, server]
                self._start(self._pass_on, line, server)
                self._start(self._pass_on, server, line)

    def _pass_on(self, given: socket.socket, taken: socket.socket) -> None:
        with suppress(OSError):
            while piece := given.recv(65536):
                taken.sendall(piece)

    def _start(self, target: Callable[..., None], *arguments: socket.socket) -> None:
        threading.Thread(target=target, args=arguments, daemon=True).start()


def test_a_line_that_is_cut_and_stays_so_for_a_while_costs_no_row(warehouse: Postgres, tmp_path: Path) -> None:
    gateway = Gateway(warehouse.port)
    try:
        source = Warehouse(warehouse.url.replace(f":{warehouse.port}/", f":{gateway.port}/"), QUERY)
        whole = version(source, tmp_path / "whole")
        assert version(Disturbed(source, (4,), gateway.cut), tmp_path / "cut") == whole
    finally:
        gateway.close()


def test_a_server_that_is_not_there_at_first_is_told_at_once(warehouse: Postgres, tmp_path: Path) -> None:
    gateway = Gateway(warehouse.port)
    gateway.close()
    source = Warehouse(warehouse.url.replace(f":{warehouse.port}/", f":{gateway.port}/"), QUERY)
    assert "could not be reached" in complaint(source, tmp_path)
