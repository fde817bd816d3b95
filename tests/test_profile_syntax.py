"""Broken TOML: every error with its line, and the rest of the text still checked; hostile texts."""

from __future__ import annotations

from core.profile.document import Problem, check_text


def problems(text: str) -> list[tuple[int | None, str, str]]:
    """(line, key, message) of every problem; there must be some."""
    profile, found = check_text(text)
    assert profile is None
    assert found
    return [(problem.line, problem.key, problem.message) for problem in found]


def only(text: str) -> Problem:
    """The one problem."""
    profile, found = check_text(text)
    assert profile is None
    assert len(found) == 1, found
    return found[0]


def test_syntax_errors_hide_no_other_problem() -> None:
    text = "[model]\nbase = models/Qwen\n[train]\nepochs = 0\nseed = 1\nseed = 2\nrows = 3\n"
    assert problems(text) == [
        (2, "", "not TOML: Invalid value (column 8)"),
        (4, "train.epochs", "train.epochs can't be 0"),
        (6, "", "not TOML: Cannot overwrite a value (column 9)"),
        (7, "train.rows", "there is no key train.rows"),
    ]
    hints = [problem.hint for problem in check_text(text)[1]]
    assert hints[0] == 'Text stands between quotes: "…"; a number is written 0.001 or 1e-3.'
    assert hints[2] == "It is there already, on line 5; a key or table may come once."


def test_a_missing_quote() -> None:
    problem = only('[model]\nbase = "x\n')
    assert (problem.line, problem.hint) == (2, "A closing quote is missing.")


def test_a_table_twice() -> None:
    problem = only("[train]\nseed = 1\n[lora]\n[train]\n")
    assert problem.line == 4
    assert problem.hint == "It is there already, on line 1; a key or table may come once."


def test_an_error_at_the_end_is_on_the_last_line() -> None:
    assert only("[train]\nepochs =\n\n").line == 2


def test_a_list_that_never_ends_stops_the_reading() -> None:
    assert [key for _line, key, _message in problems('[lora]\ntarget_modules = ["a",\nr = 0\n')] == [""]


def test_a_raw_control_character_is_shown_harmless() -> None:
    message = only('[model]\nbase = "a\x1b[31m"\n').message
    assert "\x1b" not in message


def test_hostile_keys_are_shown_harmless_and_short() -> None:
    problem = only('"\\u001b[31m' + "x" * 100_000 + '" = 1\n')
    assert problem.key.startswith("␛[31mxxx")
    assert len(problem.key) == 81
    assert len(problem.message) < 200


def test_huge_numbers() -> None:
    assert only(f"train.epochs = {10**400}\n").message == "train.epochs can't be a number of 1329 bits"
    assert only(f"train.learning_rate = {10**400}\n").message == "train.learning_rate can't be a number of 1329 bits"
    problem = only(f"[train]\nseed = {'9' * 5000}\n")
    assert (problem.line, problem.message) == (2, "a number of more than 4,300 digits")
    assert only(f"[train]\nseed = 0x{'f' * 9000}\n").message == "train.seed can't be a number of 36000 bits"


def test_deep_nesting() -> None:
    assert only("a = " + "[" * 100_000).message == "the profile's values are nested too deeply to read"
    deep = "[" * 200 + "]" * 200
    assert only(f"[train]\nepochs = {deep}\n").message == "train.epochs must be a whole number, not a list"


def test_endless_dotted_keys() -> None:
    problem = only("# fine\na" + ".a" * 300_000 + " = 1\n")
    assert (problem.line, problem.message) == (2, "a key of more than 64 parts")
    assert check_text('data.system_prompt = "' + "." * 5000 + '"\n')[1] == ()


def test_a_byte_order_mark() -> None:
    problem = only("\ufeff[train]\n")
    assert (problem.line, problem.message) == (1, "the profile begins with a byte order mark")
