"""What the rows of a file are, as strengths and limits: how clean, how regular, how long, in which script.

The thresholds are rules of thumb; docs/review.md names the source of each.
"""

from __future__ import annotations

from collections.abc import Iterator

from core.advice.amounts import sentences
from core.advice.amounts import share as percent
from core.audit.kinds import KINDS
from core.i18n import _
from core.review.finding import Case, Finding, limit, strength
from core.review.shown import listed
from core.verse.form import REGULAR_FORMS

CLEAN_SHARE = 0.05
"""At most this share of rows may have an error or a warning where a file is clean."""
REGULAR_SHARE = 0.9
"""At least this share of poems is in the four regular forms where the forms count as regular."""
REGULATED_SHARE = 0.5
"""At least this share of poems keeps tone pattern and rhyme where these can be learnt; the Tang poets reach 0.77."""
SHORT_TOKENS = 512
"""Rows whose 99th percentile is no longer than this are short."""
LONG_OUTPUT_TOKENS = 256
"""A file whose longest output is shorter than this teaches no long texts."""
ONE_SCRIPT_SHARE = 0.95
"""At least this share of rows is in one script where the file counts as written in it."""


def _clean(case: Case) -> Iterator[Finding]:
    rows = case.structure.rows + case.structure.bad_rows
    grave = [problem for problem in case.problems if KINDS[problem.kind].tone != "hint" and problem.kind != "bad-row"]
    count = len({row for problem in grave for row in problem.rows}) + case.structure.bad_rows
    share = count / rows
    reason = _("{count} of {rows} rows ({percent}) can't be used or have a problem graver than a hint.").format(
        count=f"{count:,}", rows=f"{rows:,}", percent=percent(share)
    )
    if share <= CLEAN_SHARE:
        yield strength("clean", _("Clean"), reason, rows=rows, problem_rows=count, share=share)
    else:
        more = _("What is wrong is learnt with the rest: leave these rows out, or mend them.")
        yield limit("unclean", _("Not clean"), sentences(reason, more), rows=rows, problem_rows=count, share=share)


def _one_template(case: Case) -> Iterator[Finding]:
    if case.structure.distinct_instructions == 1 and case.structure.rows > 1:
        yield strength(
            "one-template",
            _("Uniform"),
            _(
                "All {rows} rows have one layout and one instruction: nothing but the poem varies, so everything that "
                "is learnt goes into the poem."
            ).format(rows=f"{case.structure.rows:,}"),
            rows=case.structure.rows,
        )


def _forms(case: Case) -> Iterator[Finding]:
    if not case.facts.poems:
        return
    counts = {form: len(rows) for form, rows in case.structure.forms.items()}
    regular = sum(counts.get(form, 0) for form in REGULAR_FORMS.values())
    share = regular / case.structure.rows
    shown = listed(f"{form} {counts[form]:,}" for form in REGULAR_FORMS.values() if counts.get(form))
    numbers = {"rows": case.structure.rows, "regular": regular, "share": share}
    if share >= REGULAR_SHARE:
        reason = _(
            "{percent} of the rows are regular poems ({forms}): the number and the length of lines can be learnt from "
            "them."
        ).format(percent=percent(share), forms=shown)
        yield strength("regular-forms", _("Regular forms"), reason, **numbers)
    else:
        formless = _("no form")
        others = [(form, count) for form, count in counts.items() if form not in REGULAR_FORMS.values()]
        reason = _(
            "{percent} of the rows are regular poems; the others are in other forms ({forms}). A model that learns "
            "from all of them mixes their line lengths."
        ).format(
            percent=percent(share),
            forms=listed(f"{form or formless} {count:,}" for form, count in others[:4]),
        )
        yield limit("mixed-forms", _("Mixed forms"), reason, **numbers)


def _regulated(case: Case) -> Iterator[Finding]:
    share = case.regulated_share
    if share is None or not case.facts.poems:
        return
    if share >= REGULATED_SHARE:
        reason = _(
            "{percent} of the poems keep the tone pattern and the rhyme of regulated verse, so both can be learnt from "
            "them."
        ).format(percent=percent(share))
        yield strength("regulated", _("Tone and rhyme"), reason, share=share)
    else:
        reason = _(
            "Only {percent} of the poems keep the tone pattern and the rhyme of regulated verse: a model will not "
            "learn these from them."
        ).format(percent=percent(share))
        yield limit("unregulated", _("Tone and rhyme"), reason, share=share)


def _lengths(case: Case) -> Iterator[Finding]:
    total, output = case.facts.tokens.total, case.facts.tokens.output
    if total.p99 <= SHORT_TOKENS:
        reason = _(
            "99 % of the rows have at most {p99} tokens and the longest has {max}: a light load, of which many fit in "
            "a batch."
        ).format(p99=f"{total.p99:,}", max=f"{total.max:,}")
        yield strength("short-rows", _("Short rows"), reason, p99=total.p99, max=total.max)
    else:
        reason = _(
            "More than 1 % of the rows have more than {limit} tokens (99 % have at most {p99}, the longest {max}): "
            "memory grows with the longest row of a batch."
        ).format(limit=SHORT_TOKENS, p99=f"{total.p99:,}", max=f"{total.max:,}")
        yield limit("long-rows", _("Long rows"), reason, p99=total.p99, max=total.max)
    if output.max < LONG_OUTPUT_TOKENS:
        reason = _(
            "The longest output has {max} tokens, the mean {mean:.0f}: how to go on for longer can't be learnt from "
            "them."
        ).format(max=f"{output.max:,}", mean=output.mean)
        yield limit("short-outputs", _("Short outputs"), reason, max=output.max, mean=output.mean)


def _scripts(case: Case) -> Iterator[Finding]:
    counts = case.structure.scripts
    traditional, simplified, mixed = (counts.get(script, 0) for script in ("traditional", "simplified", "mixed"))
    chinese = traditional + simplified + mixed
    if 2 * chinese < case.structure.rows:
        return
    if traditional >= ONE_SCRIPT_SHARE * chinese:
        reason = _(
            "{percent} of the rows are in Traditional characters, so the model answers in them. A question in "
            "Simplified is unlike all that it has learnt from: `poemcore complete --convert` converts it first."
        ).format(percent=percent(traditional / chinese))
        yield limit("traditional-only", _("Traditional characters only"), reason, share=traditional / chinese)
    elif simplified >= ONE_SCRIPT_SHARE * chinese:
        reason = _(
            "{percent} of the rows are in Simplified characters, so the model answers in them. A question in "
            "Traditional is unlike all that it has learnt from, and rhymes are harder to see where characters fell "
            "together."
        ).format(percent=percent(simplified / chinese))
        yield limit("simplified-only", _("Simplified characters only"), reason, share=simplified / chinese)
    else:
        reason = _(
            "{traditional} rows are in Traditional characters, {simplified} in Simplified, {mixed} in both: the model "
            "learns to mix them."
        ).format(traditional=f"{traditional:,}", simplified=f"{simplified:,}", mixed=f"{mixed:,}")
        yield limit(
            "mixed-scripts", _("Mixed scripts"), reason, traditional=traditional, simplified=simplified, mixed=mixed
        )


ROW_RULES = (_clean, _one_template, _forms, _regulated, _lengths, _scripts)
