"""An artifact is unpacked with care and loaded without running anything in it."""

import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import xgboost

from common.errors import ArtifactError
from common.training.artifact import digest, load_booster, predict


@pytest.fixture(scope="module")
def booster() -> xgboost.Booster:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    return xgboost.train({"max_depth": 2, "nthread": 1}, xgboost.DMatrix(x, x[:, 0]), 5)


def archive(folder: Path, files: dict[str, bytes], **member: object) -> Path:
    path = folder / "model.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in member.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("form", ["ubj", "json"])
@pytest.mark.parametrize("prefix", ["", "./"])
def test_xgboosts_own_formats_are_loaded(tmp_path: Path, booster: xgboost.Booster, form: str, prefix: str) -> None:
    rows = np.eye(3)
    loaded = load_booster(archive(tmp_path, {f"{prefix}xgboost-model": bytes(booster.save_raw(form))}))
    assert predict(loaded, rows).tolist() == booster.predict(xgboost.DMatrix(rows)).tolist()


def test_early_stopping_predicts_with_the_best_iteration(tmp_path: Path, booster: xgboost.Booster) -> None:
    booster = booster.copy()
    booster.set_attr(best_iteration="1")
    loaded = load_booster(archive(tmp_path, {"xgboost-model": bytes(booster.save_raw("ubj"))}))
    expected = booster[:2].predict(xgboost.DMatrix(np.eye(3)))
    assert predict(loaded, np.eye(3)) == pytest.approx(expected)


def test_a_pickle_is_refused_unread(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (pytest.fail, ("the pickle was executed",))

    with pytest.raises(ArtifactError, match="a pickle is never loaded"):
        load_booster(archive(tmp_path, {"xgboost-model": pickle.dumps(Evil())}))


def test_an_archive_without_a_model_says_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"holds no xgboost-model, but: model\.pkl"):
        load_booster(archive(tmp_path, {"model.pkl": b"x"}))


@pytest.mark.parametrize("name", ["../xgboost-model", "/etc/xgboost-model", "a/../../x"])
def test_a_path_that_leads_outside_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArtifactError, match=r"unsafe to unpack|holds no"):
        load_booster(archive(tmp_path, {name: b"{}"}))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.tar.gz"]


def test_a_link_that_leads_outside_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, {"xgboost-model": b""}, type=tarfile.SYMTYPE, linkname="/etc/passwd")
    with pytest.raises(ArtifactError, match="unsafe to unpack"):
        load_booster(path)


@pytest.mark.parametrize("damage", ["truncated", "no archive", "empty"])
def test_a_damaged_archive_is_named(tmp_path: Path, booster: xgboost.Booster, damage: str) -> None:
    path = archive(tmp_path, {"xgboost-model": bytes(booster.save_raw("ubj"))})
    content = {"truncated": path.read_bytes()[:-200], "no archive": b"hello", "empty": b""}[damage]
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"model\.tar\.gz is damaged"):
        load_booster(path)


def test_json_that_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="is not a model"):
        load_booster(archive(tmp_path, {"xgboost-model": b'{"a": 1}'}))


def test_the_digest_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert digest(tmp_path / "x").startswith("ba7816bf8f01cfea")


def test_a_model_of_other_features_is_refused(booster: xgboost.Booster) -> None:
    with pytest.raises(ArtifactError, match="The model takes 3 features, and the rows have 4"):
        predict(booster, np.eye(4))
