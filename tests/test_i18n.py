"""The language in use, and the catalogues: complete, in step with the code, and true to their placeholders."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from core import i18n
from core.cli import ARGPARSE_WORDS, main
from core.i18n import N_, _

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    ("locale_name", "language"),
    [
        ("", "en"),
        ("C", "en"),
        ("C.UTF-8", "en"),
        ("en_US.UTF-8", "en"),
        ("fr_FR", "en"),
        ("zh", "zh-Hans"),
        ("zh_CN.UTF-8", "zh-Hans"),
        ("zh_SG", "zh-Hans"),
        ("zh-Hans", "zh-Hans"),
        ("zh_Hans_HK", "zh-Hans"),
        ("zh_TW.UTF-8", "zh-Hant"),
        ("zh_HK", "zh-Hant"),
        ("zh_MO.Big5", "zh-Hant"),
        ("zh_Hant", "zh-Hant"),
        ("zh-Hant-CN", "zh-Hant"),
        ("zh_TW@radical", "zh-Hant"),
    ],
)
def test_language_of(locale_name: str, language: str) -> None:
    assert i18n.language_of(locale_name) == language


@pytest.mark.parametrize(
    ("variables", "language"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh-Hans"),
        ({"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "zh_TW.UTF-8"}, "zh-Hant"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "zh_TW:zh:en"}, "zh-Hant"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "", "LANGUAGE": ""}, "zh-Hans"),
    ],
)
def test_the_locale_chooses(variables: dict[str, str], language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert i18n.use() == language
    assert os.environ["LANGUAGE"] == language.replace("-", "_")


def test_english_and_unknown_messages_stay() -> None:
    for language in i18n.LANGUAGES:
        assert i18n.use(language) == language
        assert (_(""), N_("no such message"), _("no such message")) == ("", "no such message", "no such message")
    i18n.use("en")
    assert _("interrupted") == "interrupted"


@pytest.fixture(scope="module")
def catalogue() -> ModuleType:
    pytest.importorskip("babel")
    spec = importlib.util.spec_from_file_location("catalogue", ROOT / "tools" / "catalogue.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SOURCE = """
from core.i18n import N_, _
LABEL = N_("file")
def f(name, other):
    # Translators: a poem's title
    _("software for {name}").format(name=name)
    _("software for {name}")
    _(other)
"""
TRANSLATED = {"file": "文件", "software for {name}": "{name}的软件"}


@pytest.fixture
def tree(catalogue: ModuleType, tmp_path: Path) -> object:
    """A source tree with two messages, translated and compiled."""
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "a.py").write_text(SOURCE, encoding="utf-8")
    tree = catalogue.Tree(tmp_path)
    catalogue.update(tree)
    translate(tree, TRANSLATED)
    catalogue.update(tree)
    return tree


def translate(tree: object, strings: dict[str, str]) -> None:
    path: Path = tree.po("zh_Hans")  # type: ignore[attr-defined]
    text = path.read_text(encoding="utf-8")
    for message, string in strings.items():
        assert f'msgid "{message}"\nmsgstr ""\n' in text
        text = text.replace(f'msgid "{message}"\nmsgstr ""\n', f'msgid "{message}"\nmsgstr "{string}"\n')
    path.write_text(text, encoding="utf-8")


def test_a_fresh_catalogue(catalogue: ModuleType, tree: object) -> None:
    assert catalogue.problems(tree) == []
    assert tree.po("zh_Hant").read_text(encoding="utf-8") == (  # type: ignore[attr-defined]
        '# poemtui: zh_Hant.\nmsgid ""\nmsgstr ""\n'
        '"Language: zh_Hant\\n"\n"Plural-Forms: nplurals=1; plural=0;\\n"\n"MIME-Version: 1.0\\n"\n'
        '"Content-Type: text/plain; charset=utf-8\\n"\n"Content-Transfer-Encoding: 8bit\\n"\n\n'
        'msgid "file"\nmsgstr "檔案"\n\n'
        '#, python-brace-format\nmsgid "software for {name}"\nmsgstr "{name}的軟體"\n'
    )


def test_updating_twice_changes_nothing(catalogue: ModuleType, tree: object) -> None:
    def contents() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in tree.locale.rglob("*") if path.is_file()}  # type: ignore[attr-defined]

    before = contents()
    assert len(before) == 5
    catalogue.update(tree)
    assert contents() == before


def test_what_the_check_finds(catalogue: ModuleType, tree: object) -> None:
    root: Path = tree.root  # type: ignore[attr-defined]
    po: Path = tree.po("zh_Hans")  # type: ignore[attr-defined]
    code, good = root / "core" / "a.py", po.read_text(encoding="utf-8")

    code.write_text(SOURCE.replace('N_("file")', 'N_("folder")'), encoding="utf-8")
    assert catalogue.problems(tree) == [
        "poemtui.pot lacks 'folder'",
        "poemtui.pot holds 'file', which the code lacks",
        "zh_Hans: not translated: 'folder'",
    ]
    code.write_text(SOURCE, encoding="utf-8")

    po.write_text(good.replace("{name}的软件", "软件"), encoding="utf-8")
    assert catalogue.problems(tree) == [
        "zh_Hans: 'software for {name}' has ['{name}'], its translation []",
        "zh_Hant is not what zh_Hans converts to",
        "zh_Hans: poemtui.mo is not what poemtui.po compiles to",
    ]

    po.write_text(good.replace('msgid "file"', '#, fuzzy\nmsgid "file"'), encoding="utf-8")
    assert "zh_Hans: not translated: 'file'" in catalogue.problems(tree)

    po.write_text(good, encoding="utf-8")
    tree.mo("zh_Hant").unlink()  # type: ignore[attr-defined]
    assert catalogue.problems(tree) == ["zh_Hant: poemtui.mo is not what poemtui.po compiles to"]
    shutil.rmtree(tree.locale)  # type: ignore[attr-defined]
    assert catalogue.problems(tree) == ["core/locale/poemtui.pot is missing"]


def test_a_changed_message_keeps_its_translation_as_a_guess(catalogue: ModuleType, tree: object) -> None:
    code: Path = tree.root / "core" / "a.py"  # type: ignore[attr-defined]
    code.write_text(SOURCE.replace("software for {name}", "software by {name}"), encoding="utf-8")
    catalogue.update(tree)
    assert (
        '#, fuzzy, python-brace-format\nmsgid "software by {name}"\nmsgstr "{name}的软件"\n'
        in tree.po("zh_Hans").read_text(encoding="utf-8")  # type: ignore[attr-defined]
    )
    assert catalogue.problems(tree) == ["zh_Hans: not translated: 'software by {name}'"]


def test_the_compiled_catalogues_are_what_people_read(
    catalogue: ModuleType, tree: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(i18n, "_LOCALE_DIR", tree.locale)  # type: ignore[attr-defined]
    said = []
    for language in i18n.LANGUAGES:
        i18n.use(language)
        said.append((_("file"), _("software for {name}").format(name="{x}")))
    assert said == [
        ("file", "software for {x}"),
        ("文件", "{x}的软件"),
        ("檔案", "{x}的軟體"),
    ]


def test_the_catalogues_of_the_house_are_in_step(catalogue: ModuleType) -> None:
    assert catalogue.problems(catalogue.Tree(ROOT)) == []


def test_argparse_speaks_the_language_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    english = capsys.readouterr().out
    assert main(["--lang=zh-Hans", "--help"]) == 0
    chinese = capsys.readouterr().out
    for word in ("usage: ", "options", "show this help message and exit"):
        assert word in ARGPARSE_WORDS
        assert word in english
        assert word not in chinese
        assert _(word) in chinese


def test_no_message_is_composed_before_it_is_looked_up() -> None:
    """Neither `_(f"…")` nor `_("…".format(…))` would ever be found in a catalogue."""
    composed = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for room in ("core", "tui")
        for path in sorted((ROOT / room).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("_", "N_")
        and not (
            len(node.args) == 1 and isinstance(node.args[0], ast.Constant | ast.Name | ast.Attribute | ast.Subscript)
        )
    ]
    assert composed == []


def test_what_opencc_takes_for_other_words(catalogue: ModuleType) -> None:
    seen: list[str] = []

    def convert(text: str) -> str:
        seen.append(text)
        return text.replace("设备", "裝置")

    converted = catalogue.to_traditional(convert)
    assert converted("运行的适配器在设备上") == "運行的適配器在裝置上"
    assert seen == ["", "的", "在设备上"]
