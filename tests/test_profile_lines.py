"""Where keys stand in a TOML text."""

from __future__ import annotations

from core.profile.lines import find_lines, line_of

TEXT = """# a comment
model.base = "x"

[train]
epochs = 3  # more
"learning_rate" = 1e-3
"\\u0073eed" = 1
sample_prompts = [
  "白日",  # one

  "黃河",
]

[data]
columns = { input = "a", output.x = "b" }
tasks = [
  { name = "one" },
  { name = "two", weight = 2 },
]
[lora]
"""

LISTS = """[[data.tasks]]
name = "a"
[[data.tasks]]
weight = 1
[data.tasks.inner]
z = 1
[ data . "columns" ]
input = "x"
"""


def test_every_key_has_its_line() -> None:
    assert find_lines(TEXT) == {
        ("model",): 2,
        ("model", "base"): 2,
        ("train",): 4,
        ("train", "epochs"): 5,
        ("train", "learning_rate"): 6,
        ("train", "seed"): 7,
        ("train", "sample_prompts"): 8,
        ("train", "sample_prompts", 0): 9,
        ("train", "sample_prompts", 1): 11,
        ("data",): 14,
        ("data", "columns"): 15,
        ("data", "columns", "input"): 15,
        ("data", "columns", "output"): 15,
        ("data", "columns", "output", "x"): 15,
        ("data", "tasks"): 16,
        ("data", "tasks", 0): 17,
        ("data", "tasks", 0, "name"): 17,
        ("data", "tasks", 1): 18,
        ("data", "tasks", 1, "name"): 18,
        ("data", "tasks", 1, "weight"): 18,
        ("lora",): 20,
    }


def test_lists_of_tables_are_counted() -> None:
    lines = find_lines(LISTS)
    assert lines["data", "tasks"] == 1
    assert lines["data", "tasks", 0, "name"] == 2
    assert lines["data", "tasks", 1] == 3
    assert lines["data", "tasks", 1, "weight"] == 4
    assert lines["data", "tasks", 1, "inner", "z"] == 6
    assert lines["data", "columns", "input"] == 8


def test_windows_line_ends_count_once() -> None:
    assert find_lines("[train]\r\n\r\nepochs = 3\r\n")["train", "epochs"] == 3


def test_the_first_of_two_wins() -> None:
    assert find_lines("[train]\nseed = 1\nseed = 2\n")["train", "seed"] == 2


def test_a_broken_line_hides_no_other() -> None:
    assert find_lines("[train]\nepochs = \nseed = 2\n")["train", "seed"] == 3


def test_line_of_falls_back_to_what_is_around() -> None:
    lines = {("data",): 1, ("data", "tasks", 0): 4}
    assert line_of(lines, ("data", "tasks", 0, "name")) == 4
    assert line_of(lines, ("data", "rows")) == 1
    assert line_of(lines, ("train", "rows")) is None
