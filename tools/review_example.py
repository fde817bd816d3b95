"""Write docs/review-example.md and docs/review-example.zh.md: the review of a data file with the first recipe.

    python tools/review_example.py tang_25007.json FOLDER

FOLDER holds the tokenizer.json of Qwen2. Memory and time in the pages are those of the machine that writes them.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from pathlib import Path

from core import i18n
from core.i18n import _
from core.profile.document import load_profile
from core.report.document import Section
from core.report.markdown import to_markdown
from core.review.review import review

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES = {"en": "review-example.md", "zh-Hans": "review-example.zh.md"}
PROFILE = "original-recipe"


def main() -> int:
    """Review the file in both languages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the data file")
    parser.add_argument("tokenizer", type=Path, help="the folder with tokenizer.json")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # Under short names: where the files lie on this machine is no part of the pages.
        links = {args.data.name: args.data, "Qwen2-tokenizer": args.tokenizer}
        for name, target in links.items():
            Path(folder, name).symlink_to(target.resolve())
        with contextlib.chdir(folder):
            pages = {language: page(args.data.name, "Qwen2-tokenizer", language) for language in PAGES}
    for language, text in pages.items():
        (DOCS / PAGES[language]).write_text(text, encoding="utf-8")
        print(f"wrote {os.path.relpath(DOCS / PAGES[language])}")
    return 0


def page(data: str, tokenizer: str, language: str) -> str:
    """The page in one language."""
    i18n.use(language)
    command = f"poemcore review {data} --profile {PROFILE} --tokenizer {tokenizer} --markdown --lang {language}"
    found = review(load_profile(PROFILE), data, source=PROFILE, tokenizer=tokenizer)
    sections = [item for item in found if isinstance(item, Section)]
    title = _("Review of {file} with the profile {profile}").format(file=data, profile=PROFILE)
    return f"<!-- {command} -->\n\n{to_markdown(sections, title)}"


if __name__ == "__main__":
    sys.exit(main())
