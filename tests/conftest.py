"""What holds for every test: no network, no settings and no queue of the person who runs it, light tests first."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before anything is imported that reads these once and for all; child processes inherit them.
for name in ("POEMTUI_RUNS", "POEMTUI_DEBUG", "LANGUAGE", "LC_ALL", "LC_MESSAGES", "FORCE_COLOR"):
    os.environ.pop(name, None)
os.environ.update(
    HF_HUB_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    TOKENIZERS_PARALLELISM="false",
    LANG="C.UTF-8",
    NO_COLOR="1",
    OMP_NUM_THREADS="1",  # the same sums in the same order on every machine
)

_HEAVY = re.compile(r"\b(torch|transformers|peft|datasets)\b|core\.(model|training|generation|evaluation|convert)\b")
_numbers = itertools.count()


@pytest.fixture(scope="session", autouse=True)
def _states(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the queues of the tests are, so that none waits for a person's run, nor for another test's."""
    folder = tmp_path_factory.mktemp("states")
    os.environ["POEMTUI_STATE"] = str(folder / "fixtures")  # for fixtures of a wider scope than one test
    yield folder
    del os.environ["POEMTUI_STATE"]


@pytest.fixture(autouse=True)
def _settings_stay(monkeypatch: pytest.MonkeyPatch, _states: Path) -> Iterator[None]:
    """Undo what a test did to the language, and what it did to these variables."""
    from core import i18n

    monkeypatch.setenv("LANGUAGE", "en")
    monkeypatch.setenv("POEMTUI_STATE", str(_states / str(next(_numbers))))
    yield
    i18n.use("en")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Light modules first, then those that load a model library, then the slow tests: a fault shows early."""
    weights: dict[Path, bool] = {}

    def weight(item: pytest.Item) -> tuple[bool, bool]:
        if item.path not in weights:
            weights[item.path] = bool(_HEAVY.search(item.path.read_text(encoding="utf-8")))
        return item.get_closest_marker("slow") is not None, weights[item.path]

    items.sort(key=weight)
