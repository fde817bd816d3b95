"""What is said of `[data]`: which rows there are, which of them train, and which judge."""

from __future__ import annotations

import math
import re

from core.advice.amounts import millions, share
from core.advice.case import Case, value_of
from core.advice.plan import free_rows
from core.advice.rule import Advice
from core.i18n import _
from core.plain import plain

CLEAR_TOKENS = 10_000_000
"""Tokens from which the data clearly changes a base of `LARGE_PARAMETERS`: the first review's own figure."""
LARGE_PARAMETERS = 1_000_000_000
"""From here on a base has seen so much that little data moves it little."""
STYLE_ROWS = 1_000
"""Rows that teach a manner: Zhou et al. 2023 (LIMA) needed 1,000 curated ones."""
FEWEST_ROWS = 100
"""Below this a run learns its poems by heart before it learns anything from them."""
ROWS_SHARE = 0.80
"""A sample of this share of the rows is as good as all."""
EVAL_ROWS = 200
"""The default: about 6,000 supervised tokens."""
EVAL_TOKENS = 1_000
"""Fewer supervised tokens than this can't tell losses 0.07 apart: 0.03 at 6,000, by the square root."""
EVAL_SHARE = 0.20
"""More of the file than this is missed in training."""
_TOLD_APART = 0.03
_TOLD_APART_TOKENS = 6_000
_FEWEST_CHARACTERS = 4
"""A shorter text to hold out is in many poems."""
_MOST_SHOWN = 6
_CLAUSE = re.compile(r"[，。！？；、,.!?;\n]")


def scale(case: Case) -> Advice | None:
    """`data.path`: how much data there is, against the size of the model."""
    facts = case.facts
    if facts is None:
        return None
    figures = {"rows": facts.rows, "tokens": facts.tokens.total.sum, "supervised": facts.supervised_tokens}
    if facts.rows < FEWEST_ROWS:
        reason = _(
            "{rows:,} rows with {tokens:,} tokens, {supervised:,} of them supervised: the model will know them by "
            "heart before it has learnt to write. Add rows, 1,000 or more."
        )
        return case.warning("data-tiny", "data.path", reason.format(**figures))
    if facts.rows < STYLE_ROWS:
        reason = _(
            "{rows:,} rows with {tokens:,} tokens, {supervised:,} of them supervised: enough for a trial. It takes "
            "about 1,000 good rows to teach a manner."
        )
        return case.hint("data-few", "data.path", reason.format(**figures))
    model = facts.model
    if model is None or model.parameters < LARGE_PARAMETERS or facts.tokens.total.sum >= CLEAR_TOKENS:
        reason = _("{rows:,} rows with {tokens:,} tokens, {supervised:,} of them supervised: enough for this base.")
        if model is None:
            reason = _(
                "{rows:,} rows with {tokens:,} tokens, {supervised:,} of them supervised: enough to teach a manner."
            )
        return case.good("data-enough", "data.path", reason.format(**figures))
    reason = _(
        "{tokens:,} tokens in {rows:,} rows, {supervised:,} of them supervised, are little beside {parameters} "
        "parameters: they teach the form and manner of a continuation. It takes more than {clear:,} tokens for a "
        "clear effect on what the model knows: add poems, or tasks that use each row in more than one way."
    ).format(**figures, parameters=millions(model.parameters), clear=CLEAR_TOKENS)
    return case.hint("data-scale", "data.path", reason)


def eval_rows(case: Case) -> Advice | None:
    """`data.eval_rows`: whether the held-out loss tells anything."""
    facts = case.facts
    if facts is None:
        return None
    wanted, tenth = case.profile.data.eval_rows, min(EVAL_ROWS, facts.rows // 10)
    tokens = facts.supervised_tokens / max(1, facts.rows)
    if wanted >= facts.rows:
        reason = _("{wanted:,} rows shall be held out of {rows:,}: nothing is left to train on.")
        return case.error("eval-rows-all", "data.eval_rows", reason.format(wanted=wanted, rows=facts.rows), tenth)
    if wanted == 0:
        reason = _(
            "Nothing is held out, so nothing tells learning from learning by heart. {rows:,} rows can spare {some:,}."
        )
        return case.warning("eval-rows-none", "data.eval_rows", reason.format(rows=facts.rows, some=tenth), tenth)
    if wanted > EVAL_SHARE * facts.rows:
        reason = _("{wanted:,} held-out rows are {share} of the file, and missed in training.")
        reason = reason.format(wanted=wanted, share=share(wanted / facts.rows))
        return case.hint("eval-rows-many", "data.eval_rows", reason, max(1, tenth))
    apart = _TOLD_APART * math.sqrt(_TOLD_APART_TOKENS / max(1.0, wanted * tokens))
    figures = {"wanted": wanted, "tokens": round(wanted * tokens), "apart": apart}
    if wanted * tokens < EVAL_TOKENS and wanted < tenth:
        reason = _(
            "{wanted:,} held-out rows have {tokens:,} supervised tokens: losses less than {apart:.2f} apart can't be "
            "told from chance."
        )
        return case.hint("eval-rows-few", "data.eval_rows", reason.format(**figures), tenth)
    reason = _(
        "{wanted:,} held-out rows have about {tokens:,} supervised tokens: enough to tell losses {apart:.2f} apart."
    )
    return case.good("eval-rows", "data.eval_rows", reason.format(**figures))


def rows(case: Case) -> Advice | None:
    """`data.rows`: of the rows that could train, how many do."""
    facts = case.facts
    if facts is None:
        return None
    free, wanted = free_rows(case.planned, facts), case.profile.data.rows
    if wanted == "all":
        reason = _("All {free:,} rows that aren't held out train.").format(free=free)
        return case.good("rows-all", "data.rows", reason)
    figures = {"wanted": wanted, "free": free, "rows": facts.rows, "share": share(wanted / free)}
    if wanted > free:
        reason = _("{wanted:,} rows shall train, but only {free:,} can: the others of {rows:,} are held out.")
        return case.error("rows-too-many", "data.rows", reason.format(**figures), "all")
    if wanted >= ROWS_SHARE * free:
        reason = _("{wanted:,} of {free:,} rows train ({share}): as good as all.")
        return case.good("rows-most", "data.rows", reason.format(**figures))
    if free < STYLE_ROWS:
        reason = _("{wanted:,} of {free:,} rows train ({share}). The file is small; use all of it.")
        return case.hint("rows-part", "data.rows", reason.format(**figures), "all")
    reason = _(
        "{wanted:,} of the {free:,} rows that could train ({share}), in a file of {rows:,}. More poems teach more than "
        "more epochs over a few; such a sample only shows whether the set-up works."
    )
    return case.warning("rows-few", "data.rows", reason.format(**figures), "all")


def hold_out(case: Case) -> Advice | None:
    """`data.hold_out`: whether the poems of the samples stay unknown."""
    data, prompts = case.profile.data, case.profile.train.sample_prompts
    bare = [prompt for prompt in prompts if not any(text in prompt or prompt in text for text in data.hold_out)]
    if bare:
        texts = list(dict.fromkeys(filter(None, map(_line_to_hold_out, bare))))
        reason = _(
            "{count} of {prompts} sample prompts aren't held out, such as {example}. If their poems are in the file, "
            "the samples show what was learnt by heart."
        ).format(count=len(bare), prompts=len(prompts), example=plain(bare[0][:20]))
        fix = [*data.hold_out, *texts] if texts else None
        return case.warning("samples-leak", "data.hold_out", reason, fix)
    if not prompts:
        reason = _("There are no sample prompts whose poems would have to be held out.")
    else:
        reason = _("The poem of every sample prompt is held out, so samples show writing, not reciting.")
    return case.good("samples-held-out", "data.hold_out", reason)


def _line_to_hold_out(prompt: str) -> str:
    """The prompt's first line that is long enough to name one poem, else all of it; "" where that is too short."""
    texts = [*map(str.strip, _CLAUSE.split(prompt)), prompt.strip()]
    return next((text for text in texts if len(text) >= _FEWEST_CHARACTERS), "")


def on_bad_row(case: Case) -> Advice | None:
    """`data.on_bad_row`: what becomes of rows that can't be read."""
    if case.profile.data.on_bad_row == "error":
        reason = _("A row that can't be read stops the run and is named, so no row is lost unseen.")
        return case.good("bad-row-error", "data.on_bad_row", reason)
    reason = _("Rows that can't be read are left out, counted and listed.")
    return case.good("bad-row-skip", "data.on_bad_row", reason)


def columns(case: Case) -> Advice | None:
    """`data.columns`: how the file's columns are found."""
    named = value_of(case.profile, "data.columns")
    if not named:
        reason = _("The columns are known by their names.")
        return case.good("columns-known", "data.columns", reason)
    shown = ", ".join(f"{field} = {plain(str(column))}" for field, column in named.items())
    return case.good("columns-named", "data.columns", _("The profile names them: {columns}.").format(columns=shown))


def exclude(case: Case) -> Advice | None:
    """`data.exclude`: how much is left out by hand."""
    left_out = case.profile.data.exclude
    if not left_out:
        reason = _("No row is left out by number or kind of problem. The quality audit shows which ones might be.")
        return case.good("exclude-none", "data.exclude", reason)
    shown = ", ".join(plain(str(one)) for one in left_out[:_MOST_SHOWN])
    shown += ", …" if len(left_out) > _MOST_SHOWN else ""
    reason = _("Left out as if the file lacked them: {rows}. The numbers mean this file as it is now.")
    return case.good("exclude", "data.exclude", reason.format(rows=shown))


RULES = (eval_rows, rows, hold_out, scale, on_bad_row, columns, exclude)
