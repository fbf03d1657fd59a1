"""A scratch repository of the player's tests, with small scripts in place of the models' own."""

from pathlib import Path

import pytest

from common.local.pipeline.run import Settings
from tests.e2e.pipeline_repo import CONTEXTS, PipelineRepo, make_template


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("run") / "template")


@pytest.fixture
def repo(template: Path, tmp_path: Path) -> PipelineRepo:
    """On a feature branch that changes abalone."""
    repo = PipelineRepo.create(tmp_path / "repo", template)
    repo.branch("feature")
    repo.commit("abalone_model/train_register.py")
    return repo


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(folder=tmp_path / "ci", contexts=CONTEXTS, project={})
