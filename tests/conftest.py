"""Tests see no backend's own environment unless they ask for it, so that a run asks only who lives in Strop's own."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import strop

GIVEN = os.environ.get("STROP_HOME")


@pytest.fixture(autouse=True, scope="session")
def bare_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty place for environments, for the whole session."""
    home = tmp_path_factory.mktemp("home")
    os.environ["STROP_HOME"] = str(home)
    return home


@pytest.fixture
def own_environments(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Call it with the names of backends to have their environments, made where they are not there yet."""

    def use(*names: str) -> None:
        monkeypatch.delenv("STROP_HOME")
        if GIVEN is not None:
            monkeypatch.setenv("STROP_HOME", GIVEN)
        for name in names:
            strop.install_backend(name)

    return use
