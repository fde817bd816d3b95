"""What holds for the fault suite: `make faults` runs it, and ends with its figures; FAULTS=short chooses a part.

A test tells what struck by `strike`; where the test passes, that was survived.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for the modules beside this one, here and in the forked victims

from stage import SEED, Stage, ended, sha256, train
from victim import SIGKILL_SELF, Fault, kill_what_is_left, prepare_forks

_STRUCK: pytest.StashKey[list[int]] = pytest.StashKey()
_FIGURES = {"tried": 0, "survived": 0, "most_lost": 0}
_STARTED_S = time.monotonic()


def pytest_configure(config: pytest.Config) -> None:
    prepare_forks()
    config.addinivalue_line("markers", "short: is in the part that takes 3 minutes (FAULTS=short)")


def pytest_report_header() -> str:
    return f"the kills are drawn with the seed {SEED}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("FAULTS") == "short":
        left_out = [item for item in items if item.get_closest_marker("short") is None]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" and not report.skipped:
        struck = item.stash.get(_STRUCK, [])
        _FIGURES["tried"] += max(1, len(struck)) if report.failed else len(struck)
        if report.passed:
            _FIGURES["survived"] += len(struck)
            _FIGURES["most_lost"] = max(_FIGURES["most_lost"], *struck, 0)
    return report


def pytest_unconfigure() -> None:
    kill_what_is_left()
    if _FIGURES["tried"]:
        print(
            "faults: {tried} tried, {survived} survived, at most {most_lost} steps lost".format(**_FIGURES),
            f"in {time.monotonic() - _STARTED_S:.0f} s",
        )


@pytest.fixture
def strike(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Called once a fault has struck, with the steps that it cost."""
    struck = request.node.stash.setdefault(_STRUCK, [])

    def note(lost_steps: int = 0) -> None:
        struck.append(lost_steps)

    return note


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A place for this test's runs."""
    return Stage(tmp_path, tmp_path / "runs")


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A run that nothing happened to, made by the program itself."""
    root = tmp_path_factory.mktemp("whole")
    made = Stage(root, root / "runs")
    made.poemcore(*train("whole"))
    return made


@pytest.fixture(scope="session")
def undisturbed(whole: Stage) -> str:
    """The SHA-256 of its adapter."""
    return sha256(whole.run("whole"))


@pytest.fixture(scope="session")
def pool() -> Iterator[ThreadPoolExecutor]:
    """Two faults at a time, where they don't need the machine for themselves."""
    made = ThreadPoolExecutor(2)
    yield made
    made.shutdown(cancel_futures=True)


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, pool: ThreadPoolExecutor, tmp_path_factory: pytest.TempPathFactory
) -> dict[Any, Any]:
    """What becomes of the cases of a module (`case` of its chosen tests): by its function `endure`, in the pool.

    With BEGINS_KILLED each begins with a copy of the killed run.
    """
    chosen = [item for item in request.session.items if item.path == request.path and hasattr(item, "callspec")]
    cases = [item.callspec.params["case"] for item in chosen if "case" in item.callspec.params]
    found = {}
    for case in cases:
        root = tmp_path_factory.mktemp("case")
        made = Stage(root, root / "runs")
        if getattr(request.module, "BEGINS_KILLED", False):
            shutil.copytree(request.getfixturevalue("killed").runs_dir, made.runs_dir, symlinks=True)
        found[case] = pool.submit(request.module.endure, case, made)
    return found


@pytest.fixture(scope="session")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A run that was killed after step 10: to be copied, not to be worked on."""
    root = tmp_path_factory.mktemp("killed")
    made = Stage(root, root / "runs")
    assert ended(made.victim(*train(), faults=[Fault("StepDone 10", signals=SIGKILL_SELF)])) == -9, made.said()
    return made
