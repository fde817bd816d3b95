"""Names and files as nobody means them: not UTF-8, pipes, too long, gone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.errors import PoemError
from core.paths import path_of, refuse_pipe
from core.profile.edit import set_value
from tui.settings import read_settings, read_state
from tui.start import Start, start_of


@pytest.mark.parametrize("value", ["a\udcff.jsonl", {"output": "\udcff"}, ["\ud800"]])
def test_what_is_not_unicode_goes_into_no_profile(value: object) -> None:
    with pytest.raises(PoemError, match="isn't Unicode"):
        set_value("[data]\n", "data.path", value)


def test_a_pipe_is_refused_wherever_a_file_is_meant(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "app.json")
    assert read_state(tmp_path) == {}
    for read in (refuse_pipe, read_settings):
        with pytest.raises(PoemError, match="no ordinary file"):
            read(tmp_path / "app.json")
    for name in ("x" * 300, "a\0b", "gone", "."):
        refuse_pipe(tmp_path / name)


def test_a_path_of_a_user_that_there_is_not() -> None:
    assert path_of("~nobody-of-that-name/x") == Path("~nobody-of-that-name/x")
    assert path_of("~/x") == Path.home() / "x"


def test_what_arguments_mean() -> None:
    assert start_of([]) == Start()
    assert start_of(["a.json", "b.toml"]) == Start(data="a.json", profile="b.toml", pane="data")
    assert start_of(["tang-tiny-cpu"]) == Start(profile="tang-tiny-cpu", pane="profile")
    assert start_of(["a.json"], "r1") == Start(data="a.json", run="r1", pane="train")
