"""What the local SageMaker remembers: JSON documents in one SQLite file, so that a restart finds them again."""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

Document = dict[str, Any]
Placed = tuple[str, str, Document]
"""Scope, name and document."""


class Change(NamedTuple):
    """A document before and after it was written; None where it was not there."""

    scope: str
    kind: str
    name: str
    before: Document | None
    after: Document | None


_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    scope TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL,
    UNIQUE (scope, kind, name)
)
"""


class Store:
    """Documents by scope (`<account>/<region>`), kind and name. Values are JSON: times are epoch seconds.

    One connection behind one reentrant lock: every method is safe from any thread, and `transaction` makes several of
    them one step that other threads see wholly or not at all.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._watched: frozenset[str] = frozenset()
        self._watcher: Callable[[Change], None] = _ignore
        self._changes: list[Change] = []
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(_SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside happens as one step; an exception undoes it. May be nested."""
        with self._lock:
            outermost = self._depth == 0
            if outermost:
                self._db.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                if outermost:
                    self._db.execute("ROLLBACK")
                    self._changes.clear()
                raise
            else:
                if outermost:
                    self._db.execute("COMMIT")
            finally:
                self._depth -= 1
            self._tell()

    def watch(self, kinds: Iterable[str], watcher: Callable[[Change], None]) -> None:
        """Tell `watcher` every change of documents of these kinds, once it is there for others to see, in its order.

        It is called under the store's lock: it should only pass the change on.
        """
        self._watched, self._watcher = frozenset(kinds), watcher

    def _tell(self) -> None:
        if self._depth == 0:
            changes, self._changes = self._changes, []
            for change in changes:
                self._watcher(change)

    def get(self, scope: str, kind: str, name: str) -> Document | None:
        """The document, as a copy that the caller may change, or None."""
        with self._lock:
            row = self._db.execute(
                "SELECT body FROM documents WHERE scope=? AND kind=? AND name=?", (scope, kind, name)
            ).fetchone()
        return None if row is None else json.loads(row[0])

    def put(self, scope: str, kind: str, name: str, document: Document) -> None:
        """Insert or replace; a replaced document keeps its place in `list`."""
        with self._lock, self._noting(scope, kind, name):
            self._db.execute(
                "INSERT INTO documents (scope, kind, name, body) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (scope, kind, name) DO UPDATE SET body = excluded.body",
                (scope, kind, name, json.dumps(document)),
            )

    @contextmanager
    def _noting(self, scope: str, kind: str, name: str) -> Iterator[None]:
        """Note what changes inside, if it is watched."""
        watched = kind in self._watched
        before = self.get(scope, kind, name) if watched else None
        yield
        if watched:
            self._changes.append(Change(scope, kind, name, before, self.get(scope, kind, name)))
            self._tell()

    def update(self, scope: str, kind: str, name: str, **changes: Any) -> Document:
        """Set the given members of an existing document; a change to None removes the member. Returns the result.

        Raises:
            KeyError: there is no such document.
        """
        with self.transaction():
            document = self.get(scope, kind, name)
            if document is None:
                raise KeyError(name)
            document = {k: v for k, v in (document | changes).items() if v is not None}
            self.put(scope, kind, name, document)
            return document

    def delete(self, scope: str, kind: str, name: str) -> None:
        """Remove the document if it is there."""
        with self._lock, self._noting(scope, kind, name):
            self._db.execute("DELETE FROM documents WHERE scope=? AND kind=? AND name=?", (scope, kind, name))

    def list(self, scope: str, kind: str) -> list[Document]:
        """All documents of a kind, oldest first."""
        with self._lock:
            rows = self._db.execute(
                "SELECT body FROM documents WHERE scope=? AND kind=? ORDER BY sequence", (scope, kind)
            ).fetchall()
        return [json.loads(body) for (body,) in rows]

    def everywhere(self, kind: str) -> Iterable[Placed]:
        """(scope, name, document) of a kind over all accounts and regions, oldest first."""
        with self._lock:
            rows = self._db.execute(
                "SELECT scope, name, body FROM documents WHERE kind=? ORDER BY sequence", (kind,)
            ).fetchall()
        return [(scope, name, json.loads(body)) for scope, name, body in rows]

    def close(self) -> None:
        with self._lock:
            self._db.close()


def _ignore(change: Change) -> None:
    """For a store that nobody watches."""
