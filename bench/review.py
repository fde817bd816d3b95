"""How quick a review is: rows a second of each part, one part after the other, and of the whole. Goals: docs/review.md.

python bench/review.py FILE [--tokenizer FOLDER] [--profile P]
"""

from __future__ import annotations

import argparse
import gc
import resource
import sys
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from core.audit.find import find_problems
from core.audit.poem import judged_poem
from core.audit.structure import structure_of
from core.data.row import Row
from core.data.rows import read_rows
from core.profile.document import load_profile
from core.profile.schema import Profile
from core.report.document import Section
from core.report.markdown import to_markdown
from core.review.measure import count_rows
from core.review.review import review
from core.review.shares import share_out
from core.review.tokenizer import find_encoder
from core.review.tokens import padding_share, repeats_of
from core.verse.judge import judge

GOAL_S, GOAL_ROWS, GOAL_MIB = 8.0, 25_007, 600
T = TypeVar("T")


def main() -> int:
    """Time the whole, then each part by itself; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="a data file, or builtin:tang-sample")
    parser.add_argument("--tokenizer", default="", help="the folder with tokenizer.json")
    parser.add_argument("--profile", default="tang-qwen2-1.5b", help="a preset's name or a profile file")
    args = parser.parse_args()
    profile = load_profile(args.profile)
    gc.freeze()  # as the verb does
    started_s = time.perf_counter()
    sections, rows = [], 0
    for item in review(profile, args.file, source=args.profile, tokenizer=args.tokenizer):
        if isinstance(item, Section):
            sections.append(item)
            print(f"{time.perf_counter() - started_s:8.2f} s  until the section {item.id}")
        else:
            rows = len(item.file.rows)
    whole_s = time.perf_counter() - started_s
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    tell("the whole review", whole_s, rows)
    timed("Markdown", 0, lambda: to_markdown(sections, "Review"))
    time_parts(profile, args.file, args.tokenizer)
    allowed_s = GOAL_S * max(1.0, rows / GOAL_ROWS)
    is_met = whole_s <= allowed_s and (peak_mib <= GOAL_MIB or rows > GOAL_ROWS)
    print(
        f"{'ok' if is_met else 'MISS'}  {whole_s:.1f} s (goal {allowed_s:.0f} s), {peak_mib:.0f} MiB at most "
        f"(goal {GOAL_MIB} MiB for {GOAL_ROWS:,} rows)"
    )
    return 0 if is_met else 1


def time_parts(profile: Profile, path: str, tokenizer: str) -> None:
    """Each part of a review by itself."""
    file = timed("reading", 0, lambda: read_rows(path, columns=profile.data.columns or None, on_bad_row="skip"))
    rows: Sequence[Row] = file.rows
    count = len(rows)
    encoder = timed("loading the tokenizer", 0, lambda: find_encoder(profile, tokenizer))
    counts = timed("counting tokens", count, lambda: count_rows(profile, rows, encoder))
    judgements = timed("judging verse", count, lambda: [judge(judged_poem(row)) for row in rows])
    timed("structure", count, lambda: structure_of(path, file, judgements))
    split = timed("holding rows out", count, lambda: share_out(profile, rows)).split
    timed("problems, near-duplicates among them", count, lambda: list(find_problems(rows, judgements, split=split)))
    timed("repeated runs of characters", count, lambda: repeats_of(rows))
    timed("padding", count, lambda: padding_share(counts.totals, profile))


def timed(what: str, rows: int, work: Callable[[], T]) -> T:
    """Do some work and say how long it took."""
    started_s = time.perf_counter()
    done = work()
    tell(what, time.perf_counter() - started_s, rows)
    return done


def tell(what: str, seconds: float, rows: int) -> None:
    """One line; without rows only the time."""
    speed = f"{rows / seconds:>12,.0f} rows/s" if rows else ""
    print(f"{seconds:8.2f} s  {what:<40}{speed}".rstrip(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
