"""Write docs/keys.md from the bindings of the app, or check that it is current (`--check`)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from core import i18n
from tui.commands import all_classes
from tui.keys import KeyHelp, keys_of

PAGE = Path(__file__).resolve().parent.parent / "docs" / "keys.md"
SECTIONS = {
    "pane": "Everywhere",
    "app": "Everywhere",
    "data": "Data",
    "profile": "Profile",
    "train": "Train",
    "complete": "Complete",
    "runs": "Runs",
    "list": "Lists",
    "chart": "Charts",
    "path": "Fields for paths",
    "dialog": "Dialogs",
    "help": "Help",
}
HEAD = """# Keys

Written from the app's own bindings by `make keys`. Letters act where no text is being typed; `esc` leaves a text field.
Every action is in the command palette (`^p`) too. `^x` is ctrl and x.

Other keys for an action: name it by its id in `[keys]` of `config.toml` (`~/.config/poemtui/config.toml` on Linux,
or the file that `$POEMTUI_CONFIG` names), several keys separated by commas:

```toml
[keys]
"app.help" = "f1,ctrl+g"
```
"""


def page() -> str:
    """The page."""
    sections: dict[str, dict[str, KeyHelp]] = {title: {} for title in SECTIONS.values()}
    for cls in all_classes():
        for found in keys_of(cls):
            sections[SECTIONS[found.id.partition(".")[0]]].setdefault(found.id, found)
    parts = [HEAD]
    for title, keys in sections.items():
        parts.append(f"\n## {title}\n\n| keys | action | id |\n| --- | --- | --- |\n")
        parts += [f"| {_cell(key.keys)} | {key.description} | `{key.id}` |\n" for key in keys.values()]
    return "".join(parts)


def _cell(keys: str) -> str:
    return " ".join(f"`{key}`" for key in keys.replace("|", "\\|").split()) or "(palette)"


def main() -> int:
    """Write the page, or say whether it is current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the page is out of date")
    check = parser.parse_args().check
    i18n.use("en")
    text = page()
    if check:
        current = PAGE.exists() and PAGE.read_text(encoding="utf-8") == text
        print("docs/keys.md is current" if current else "docs/keys.md is out of date: make keys")
        return 0 if current else 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
