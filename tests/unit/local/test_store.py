import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.local.store import Store


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store(Path(":memory:"))
    yield opened
    opened.close()


def test_documents_are_found_by_scope_kind_and_name(store: Store) -> None:
    store.put("1/eu", "model", "a", {"x": 1})
    assert store.get("1/eu", "model", "a") == {"x": 1}
    assert store.get("2/eu", "model", "a") is None
    assert store.get("1/eu", "endpoint", "a") is None


def test_replaced_document_keeps_its_place(store: Store) -> None:
    for name in ("a", "b"):
        store.put("s", "k", name, {"name": name})
    store.put("s", "k", "a", {"name": "a", "new": True})
    assert store.list("s", "k") == [{"name": "a", "new": True}, {"name": "b"}]


def test_update_sets_and_removes_members(store: Store) -> None:
    store.put("s", "k", "a", {"x": 1, "y": 2})
    assert store.update("s", "k", "a", x=3, y=None) == {"x": 3}
    assert store.get("s", "k", "a") == {"x": 3}
    with pytest.raises(KeyError):
        store.update("s", "k", "missing", x=1)


def test_failed_transaction_leaves_nothing(store: Store) -> None:
    store.put("s", "k", "a", {"x": 1})

    def fail() -> None:
        with store.transaction():
            store.put("s", "k", "a", {"x": 2})
            with store.transaction():
                store.delete("s", "k", "a")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert store.get("s", "k", "a") == {"x": 1}


def test_everywhere_lists_all_scopes_oldest_first(store: Store) -> None:
    store.put("2/eu", "k", "b", {})
    store.put("1/eu", "k", "a", {"x": 1})
    store.put("1/eu", "other", "a", {})
    assert list(store.everywhere("k")) == [("2/eu", "b", {}), ("1/eu", "a", {"x": 1})]


def test_concurrent_updates_are_all_counted(store: Store) -> None:
    store.put("s", "k", "a", {"n": 0})

    def count() -> None:
        for _ in range(50):
            with store.transaction():
                found = store.get("s", "k", "a")
                assert found
                store.update("s", "k", "a", n=found["n"] + 1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get("s", "k", "a") == {"n": 200}


def test_documents_outlive_the_store(tmp_path: Path) -> None:
    first = Store(tmp_path / "s.sqlite")
    first.put("s", "k", "a", {"x": 1})
    first.close()
    second = Store(tmp_path / "s.sqlite")
    assert second.get("s", "k", "a") == {"x": 1}
    second.close()
