"""What gets loaded, looked at in a fresh interpreter: the command line and the light rooms load no model library."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.cli import VERBS

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("accelerate", "datasets", "numpy", "peft", "pyarrow", "safetensors", "tokenizers", "torch", "transformers")
SCREEN = ("rich", "textual", "tui")
NOT_FOR_HELP = (*HEAVY, *SCREEN, "opencc", "psutil", "tomlkit", "tree_sitter")
LIGHT_ROOMS = ("advice", "audit", "data", "profile", "report", "runs", "verbs", "verse")

# Imports the modules given as arguments one after the other and prints what of sys.modules each of them left there.
LOADER = """
import importlib, json, sys
names, loaded = json.loads(sys.argv[1]), {}
for name in names:
    importlib.import_module(name)
    loaded[name] = sorted({module.split(".")[0] for module in sys.modules})
print(json.dumps(loaded))
"""


def light_modules() -> list[str]:
    modules = ["core.base_folder", "core.errors", "core.plain", "core.i18n", "core.cli"]
    for room in LIGHT_ROOMS:
        for path in sorted((ROOT / "core" / room).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            modules.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return modules


def loaded_by(modules: list[str]) -> dict[str, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", LOADER, json.dumps(modules)],
        check=True,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    return json.loads(done.stdout)


def test_light_rooms_load_no_model_library_and_no_screen() -> None:
    offenders = {
        module: sorted({*HEAVY, *SCREEN} & set(loaded)) for module, loaded in loaded_by(light_modules()).items()
    }
    # What one module loads stays loaded for those after it: only the first of them is to blame.
    assert next(((module, found) for module, found in offenders.items() if found), None) is None


def test_every_verb_is_among_the_light_modules() -> None:
    assert {f"core.verbs.{verb}" for verb in VERBS} <= set(light_modules())


def run_core(*arguments: str, importtime: bool = False) -> subprocess.CompletedProcess[str]:
    flags = ["-X", "importtime"] if importtime else []
    return subprocess.run(
        [sys.executable, *flags, "-m", "core", *arguments], cwd=ROOT, capture_output=True, encoding="utf-8"
    )


def test_help_loads_nothing_that_it_does_not_need(record_property: pytest.RecordProperty) -> None:
    done = run_core("--help", importtime=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert all(verb in done.stdout for verb in VERBS)
    # Each line: "import time: self | cumulative | name".
    loaded = {line.rsplit("|", 1)[1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "argparse" in loaded
    assert loaded.isdisjoint(NOT_FOR_HELP), loaded & set(NOT_FOR_HELP)

    started_s = time.perf_counter()
    run_core("--help")
    help_s = time.perf_counter() - started_s
    record_property("help_s", help_s)
    print(f"python -m core --help: {help_s:.3f} s")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    from core.cli import main

    assert main([verb, "--help"]) == 0
    assert f"usage: poemcore {verb}" in capsys.readouterr().out


@pytest.mark.parametrize("module", [name for name in ("tui.app",) if (ROOT / "tui" / "app.py").exists()])
def test_the_app_loads_no_model_library(module: str) -> None:
    assert set(HEAVY).isdisjoint(loaded_by([module])[module])
