"""Keep the message catalogues in `core/locale` in step with the code, or check that they are.

Without options it extracts every `_("…")` and `N_("…")` of `core` and `tui` into poemtui.pot, merges that into the
zh_Hans catalogue (new messages come in untranslated, changed ones marked fuzzy), derives zh_Hant from zh_Hans with
OpenCC's `s2twp` (Taiwan's characters and words), and compiles both. Only zh_Hans is edited by hand.

The files hold no dates, line numbers or tool versions, so that they change only where a message does.
"""

from __future__ import annotations

import argparse
import datetime
import io
import re
import sys
from collections.abc import Callable
from pathlib import Path

import opencc
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("core", "tui")
SCRIPT_CONVERSION = "s2twp"
# Babel insists on dates; fixed ones keep the compiled files the same from day to day.
_NO_DATE = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
_HEADERS = ("Content-Type", "Content-Transfer-Encoding", "Language:", "Plural-Forms", "MIME-Version")
_PLACEHOLDER = re.compile(r"\{[^{}]*\}|%\([a-z_]+\)[a-z]|%[sdr]")


# Words that OpenCC takes for others: an adapter is no network card, a run no execution.
TRADITIONAL_TERMS = {
    "运行": "運行",
    "适配器": "適配器",
    "写明了": "寫明了",
    "权限": "權限",
    "只读": "唯讀",
    "跟踪": "追蹤",
    "响应": "回應",
}


class Tree:
    """Where one source tree keeps its code and its catalogues."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.locale = root / "core" / "locale"
        self.template = self.locale / "poemtui.pot"

    def po(self, language: str) -> Path:
        """The catalogue that people read."""
        return self.locale / language / "LC_MESSAGES" / "poemtui.po"

    def mo(self, language: str) -> Path:
        """The catalogue that the programs read."""
        return self.po(language).with_suffix(".mo")


def extract(tree: Tree) -> Catalog:
    """Every message of the code, without where it stands."""
    catalogue = _empty(None)
    for package in PACKAGES:
        for path in sorted((tree.root / package).rglob("*.py")):
            for _line, message, comments, _context in extract_from_file(
                "python", path, keywords={"_": None, "N_": None}, comment_tags=("Translators:",)
            ):
                if message:
                    catalogue.add(message, auto_comments=comments)
    return catalogue


def derive_traditional(simplified: Catalog) -> Catalog:
    """The zh_Hant catalogue; a message that zh_Hans lacks, or has only as a fuzzy guess, it lacks too."""
    convert = to_traditional(opencc.OpenCC(SCRIPT_CONVERSION).convert)
    traditional = _empty("zh_Hant")
    for message in simplified:
        if message.id:
            traditional.add(message.id, "" if message.fuzzy else convert(str(message.string or "")))
    return traditional


def to_traditional(convert: Callable[[str], str]) -> Callable[[str], str]:
    """The conversion, with `TRADITIONAL_TERMS` kept out of its way."""
    terms = re.compile("(" + "|".join(TRADITIONAL_TERMS) + ")")

    def converted(text: str) -> str:
        return "".join(TRADITIONAL_TERMS.get(part) or convert(part) for part in terms.split(text))

    return converted


def problems(tree: Tree) -> list[str]:
    """Whatever keeps the catalogues from being committed: one sentence each, empty where all is well."""
    for path in (tree.template, tree.po("zh_Hans"), tree.po("zh_Hant")):
        if not path.exists():
            return [f"{path.relative_to(tree.root)} is missing"]
    found = []
    template, simplified, traditional = (
        _read(path, language)
        for path, language in (
            (tree.template, None),
            (tree.po("zh_Hans"), "zh_Hans"),
            (tree.po("zh_Hant"), "zh_Hant"),
        )
    )
    wanted = _ids(extract(tree))
    found += [f"poemtui.pot lacks {message!r}" for message in sorted(wanted - _ids(template))]
    found += [f"poemtui.pot holds {message!r}, which the code lacks" for message in sorted(_ids(template) - wanted)]
    translated = {message.id for message in simplified if message.string and not message.fuzzy}
    found += [f"zh_Hans: not translated: {message!r}" for message in sorted(wanted - translated)]
    for message in simplified:
        here, there = (set(_PLACEHOLDER.findall(str(text or ""))) for text in (message.id, message.string))
        if message.id in translated and here != there:
            found.append(f"zh_Hans: {message.id!r} has {sorted(here)}, its translation {sorted(there)}")
    if _strings(traditional) != _strings(derive_traditional(simplified)):
        found.append("zh_Hant is not what zh_Hans converts to")
    for language, catalogue in (("zh_Hans", simplified), ("zh_Hant", traditional)):
        if _compiled(tree.mo(language)) != _strings(catalogue):
            found.append(f"{language}: poemtui.mo is not what poemtui.po compiles to")
    return found


def update(tree: Tree) -> None:
    """Write the template, both catalogues and both compiled files."""
    template = extract(tree)
    _write(template, tree.template)
    simplified = _read(tree.po("zh_Hans"), "zh_Hans") if tree.po("zh_Hans").exists() else _empty("zh_Hans")
    simplified.update(template, update_creation_date=False)
    for language, catalogue in (("zh_Hans", simplified), ("zh_Hant", derive_traditional(simplified))):
        _write(catalogue, tree.po(language))
        compiled = io.BytesIO()
        write_mo(compiled, _read(tree.po(language), language))
        tree.mo(language).write_bytes(compiled.getvalue())


def _empty(language: str | None) -> Catalog:
    return Catalog(
        language,
        header_comment=f"# poemtui: {language or 'the messages, as the code has them'}.",
        creation_date=_NO_DATE,
        revision_date=_NO_DATE,
        fuzzy=False,
    )


def _read(path: Path, language: str | None) -> Catalog:
    with path.open("rb") as file:
        catalogue = read_po(file, locale=language, ignore_obsolete=True)
    catalogue.creation_date = catalogue.revision_date = _NO_DATE
    return catalogue


def _write(catalogue: Catalog, path: Path) -> None:
    text = io.BytesIO()
    write_po(text, catalogue, width=120, no_location=True, sort_output=True, ignore_obsolete=True)
    header, blank, messages = text.getvalue().decode("utf-8").partition("\n\n")
    kept = [
        line for line in header.splitlines() if not line.startswith('"') or line.removeprefix('"').startswith(_HEADERS)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(kept) + blank + messages.rstrip("\n") + "\n", encoding="utf-8")


def _ids(catalogue: Catalog) -> set[str]:
    return {str(message.id) for message in catalogue if message.id}


def _strings(catalogue: Catalog) -> dict[str, str]:
    """Every finished translation."""
    return {str(m.id): str(m.string) for m in catalogue if m.id and m.string and not m.fuzzy}


def _compiled(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    with path.open("rb") as file:
        return _strings(read_mo(file))


def main() -> int:
    """Update, or with `--check` only look; 1 where a check finds something."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 where something is out of step")
    tree = Tree(ROOT)
    if not parser.parse_args().check:
        update(tree)
        missing = [problem for problem in problems(tree) if problem.startswith("zh_Hans")]
        print(*missing, f"{len(_ids(_read(tree.template, None)))} messages", sep="\n")
        return 0
    found = problems(tree)
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    if found:
        print("run `make locale`, then translate what is missing in zh_Hans and run it again", file=sys.stderr)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
