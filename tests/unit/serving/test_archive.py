"""An artifact is packed the same each time, unpacked with care, and loaded without running anything in it."""

import io
import json
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import xgboost

from common.errors import ArtifactError
from common.serving.archive import CODE, ENVIRONMENT, digest, load_predictor, load_trained, pack
from common.serving.inference import Encoder, Number, Predictor

ENCODER = Encoder((Number("a"), Number("b"), Number("c")), {}, {})
RECORDS = [{"a": 1, "b": 0, "c": 0}, {"a": 0, "b": 1, "c": 0}, {"a": 0, "b": 0, "c": 1}]
STATE = json.dumps(Predictor(None, ENCODER).state()).encode()


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


def load(archive: Path) -> Predictor:
    return load_trained(archive, ENCODER, ())


@pytest.mark.parametrize("form", ["ubj", "json"])
@pytest.mark.parametrize("prefix", ["", "./"])
def test_xgboosts_own_formats_are_loaded(tmp_path: Path, booster: xgboost.Booster, form: str, prefix: str) -> None:
    loaded = load(archive(tmp_path, {f"{prefix}xgboost-model": bytes(booster.save_raw(form))}))
    assert loaded.scores(RECORDS).tolist() == booster.predict(xgboost.DMatrix(np.eye(3))).tolist()


def test_what_early_stopping_has_trimmed_predicts_with_all_that_is_left(
    tmp_path: Path, booster: xgboost.Booster
) -> None:
    trimmed = booster[:2]  # as the image saves it
    trimmed.set_attr(best_iteration="1")
    loaded = load(archive(tmp_path, {"xgboost-model": bytes(trimmed.save_raw("ubj"))}))
    expected = booster.predict(xgboost.DMatrix(np.eye(3)), iteration_range=(0, 2))
    assert loaded.scores(RECORDS) == pytest.approx(expected)


def test_a_pickle_is_refused_unread(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (pytest.fail, ("the pickle was executed",))

    path = archive(tmp_path, {"xgboost-model": pickle.dumps(Evil()), "serving.json": STATE})
    for loading in (load, load_predictor):
        with pytest.raises(ArtifactError, match="a pickle is never loaded"):
            loading(path)


def test_an_archive_without_a_model_says_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"holds no xgboost-model, but: model\.pkl"):
        load(archive(tmp_path, {"model.pkl": b"x"}))


@pytest.mark.parametrize("name", ["../xgboost-model", "/etc/xgboost-model", "a/../../x"])
def test_a_path_that_leads_outside_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArtifactError, match=r"unsafe to unpack|holds no"):
        load(archive(tmp_path, {name: b"{}"}))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.tar.gz"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_link_that_leads_outside_is_refused(tmp_path: Path, kind: bytes) -> None:
    path = archive(tmp_path, {"xgboost-model": b""}, type=kind, linkname="/etc/passwd")
    with pytest.raises(ArtifactError, match="unsafe to unpack"):
        load(path)


def test_a_link_that_stays_inside_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="'xgboost-model' is neither a file nor a folder"):
        load(archive(tmp_path, {"xgboost-model": b""}, type=tarfile.SYMTYPE, linkname="serving.json"))


@pytest.mark.parametrize("damage", ["truncated", "no archive", "empty"])
def test_a_damaged_archive_is_named(tmp_path: Path, booster: xgboost.Booster, damage: str) -> None:
    path = archive(tmp_path, {"xgboost-model": bytes(booster.save_raw("ubj"))})
    good = path.read_bytes()
    path.write_bytes({"truncated": good[: len(good) // 2], "no archive": b"hello", "empty": b""}[damage])
    with pytest.raises(ArtifactError, match="is damaged"):
        load(path)


def test_damage_anywhere_is_found_also_where_what_is_read_looks_well(tmp_path: Path, booster: xgboost.Booster) -> None:
    words = " ".join(map(str, np.random.default_rng(0).integers(0, 500, 20_000))).encode()
    path = archive(tmp_path, {"xgboost-model": bytes(booster.save_raw("ubj")), "notes": words, "more": b""})
    good = path.read_bytes()
    for at in range(20, len(good) - 40, len(good) // 40):
        path.write_bytes(good[:at] + bytes(255 - byte for byte in good[at : at + 40]) + good[at + 40 :])
        with pytest.raises(ArtifactError, match=r"is damaged|is unsafe"):
            load(path)


def test_json_that_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="holds no model that can be loaded"):
        load(archive(tmp_path, {"xgboost-model": b'{"a": 1}'}))


def test_the_digest_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert digest(tmp_path / "x").startswith("ba7816bf8f01cfea")


def test_a_model_of_other_features_is_refused(tmp_path: Path, booster: xgboost.Booster) -> None:
    four = Encoder((*ENCODER.columns, Number("d")), {}, {})
    path = tmp_path / "packed.tar.gz"
    path.write_bytes(pack(Predictor(booster, four)))
    with pytest.raises(ArtifactError, match="The model takes 3 features, and the rows have 4"):
        load_predictor(path)
    with pytest.raises(ArtifactError, match="The model takes 3 features, and the rows have 4"):
        load_trained(archive(tmp_path, {"xgboost-model": bytes(booster.save_raw("ubj"))}), four, ())


def test_what_is_packed_answers_as_before_and_is_packed_to_the_same_bytes(
    tmp_path: Path, booster: xgboost.Booster
) -> None:
    predictor = Predictor(booster, ENCODER, ("no", "yes"), threshold=0.25)
    path = tmp_path / "model.tar.gz"
    path.write_bytes(pack(predictor))
    loaded = load_predictor(path)
    assert loaded.answers(RECORDS) == predictor.answers(RECORDS)
    assert (loaded.encoder, loaded.labels, loaded.threshold) == (ENCODER, ("no", "yes"), 0.25)
    assert pack(loaded) == path.read_bytes() == pack(predictor)


def test_the_archive_holds_the_code_that_the_image_is_told_to_run(tmp_path: Path, booster: xgboost.Booster) -> None:
    with tarfile.open(fileobj=io.BytesIO(pack(Predictor(booster, ENCODER)))) as tar:
        tar.extractall(tmp_path, filter="data")
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()) == [
        "code/inference.py",
        "serving.json",
        "xgboost-model",
    ]
    submitted = ENVIRONMENT["SAGEMAKER_SUBMIT_DIRECTORY"].replace("/opt/ml/model", str(tmp_path))
    assert Path(submitted, ENVIRONMENT["SAGEMAKER_PROGRAM"]).read_bytes() == CODE.read_bytes()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (b'{"format": 2}', "serving.json has format 2, this code reads 1"),
        (b"{}", "'format'"),
        (b"[]", "list indices"),
        (b"\xff", "can't decode"),
        (STATE.replace(b'"columns"', b'"rows"'), "'columns'"),
        (STATE.replace(b'"categories": {}', b'"categories": []'), "categories|attribute"),
    ],
)
def test_a_state_that_this_release_cannot_read_is_named(
    tmp_path: Path, booster: xgboost.Booster, state: bytes, message: str
) -> None:
    path = archive(tmp_path, {"xgboost-model": bytes(booster.save_raw("ubj")), "serving.json": state})
    with pytest.raises(ArtifactError, match=rf"holds no model that can be loaded: .*({message})"):
        load_predictor(path)


def test_an_archive_of_the_job_is_no_package(tmp_path: Path, booster: xgboost.Booster) -> None:
    with pytest.raises(ArtifactError, match=r"holds no serving\.json, but: xgboost-model"):
        load_predictor(archive(tmp_path, {"xgboost-model": bytes(booster.save_raw("ubj"))}))


def test_the_code_in_an_archive_is_not_run_by_loading_it(tmp_path: Path, booster: xgboost.Booster) -> None:
    files = {"xgboost-model": bytes(booster.save_raw("ubj")), "serving.json": STATE, "code/inference.py": b"1 / 0"}
    assert len(load_predictor(archive(tmp_path, files)).scores(RECORDS)) == 3
