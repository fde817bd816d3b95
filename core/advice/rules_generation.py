"""What is said of `[generation]`: how a completion is drawn, and where it ends."""

from __future__ import annotations

from collections.abc import Mapping

from core.advice.amounts import share
from core.advice.case import Case
from core.advice.plan import lasting_max
from core.advice.rule import Advice
from core.i18n import _

ROOM, TOO_MUCH_ROOM = 1.5, 8
"""Times the longest output: what is advised at least, and what lets a runaway run on."""
LONGEST = 32_768
COOL, WARM, HOT = 0.7, 1.0, 1.2
STIFF = 0.5
"""Temperatures: 0.7 to 1.0 is the task's own range; Holtzman et al. 2020: text drawn too greedily repeats itself."""
NARROW, SMALL_NUCLEUS, WHOLE = 0.5, 0.8, 0.98
"""Shares of a nucleus: Holtzman et al. 2020 find 0.9 to 0.95 nearest to what people write."""
FEWEST_CHOICES = 10
"""Fan et al. 2018 draw from the 10 likeliest."""
MOST_PENALTY = 1.1
"""Keskar et al. 2019 (CTRL) take 1.2 for prose; verse repeats its punctuation by rule."""
SHORTEST_NGRAM = 3
REAL_SHARE = 0.05
"""Of real poems, the share that a ban may rule out."""
LONGEST_NGRAM = 8
MANY_COMPLETIONS = 32


def max_new_tokens(case: Case) -> Advice | None:
    """`generation.max_new_tokens`: against the outputs."""
    facts, most = case.facts, case.profile.generation.max_new_tokens
    if facts is None:
        return None
    output = facts.tokens.output
    longest = lasting_max(output.p99, output.max) + 1
    figures = {"most": most, "p99": output.p99, "longest": longest, "times": most / longest}
    fix = min(LONGEST, 1 << (int(ROOM * longest) - 1).bit_length())
    if most <= output.p99:
        reason = _(
            "Cut off after {most:,} tokens, completions end unfinished: 99 % of the outputs have up to {p99:,} and an "
            "end."
        )
        return case.warning("max-new-tokens-cuts", "generation.max_new_tokens", reason.format(**figures), fix)
    if most < longest:
        reason = _("The longest output has {longest:,} tokens with its end: {most:,} cuts the longest completions off.")
        return case.hint("max-new-tokens-short", "generation.max_new_tokens", reason.format(**figures), fix)
    if most > TOO_MUCH_ROOM * longest:
        reason = _(
            "{most:,} is {times:.0f} times the longest output ({longest:,} tokens with its end): a completion that "
            "doesn't end runs on for long."
        )
        return case.hint("max-new-tokens-far", "generation.max_new_tokens", reason.format(**figures), fix)
    reason = _("The longest output has {longest:,} tokens with its end; {most:,} leaves room and stops a runaway.")
    return case.good("max-new-tokens", "generation.max_new_tokens", reason.format(**figures))


def temperature(case: Case) -> Advice | None:
    """`generation.temperature`."""
    value = case.profile.generation.temperature
    if COOL <= value <= WARM:
        reason = _("{value:g}: lively, and keeps form.").format(value=value)
        return case.good("temperature", "generation.temperature", reason)
    if value < STIFF:
        reason = _(
            "{value:g} is stiff: nearly always the likeliest character, so it recites and repeats. 0.7 to 1.0 suits "
            "verse."
        )
        return case.warning("temperature-low", "generation.temperature", reason.format(value=value), 0.8)
    if value > HOT:
        reason = _("{value:g} breaks lines: odd characters come up too often. 0.7 to 1.0 suits verse.").format(
            value=value
        )
        return case.warning("temperature-high", "generation.temperature", reason, 0.8)
    if value > WARM:
        reason = _("{value:g} is wild: form begins to break. 0.7 to 1.0 suits verse.").format(value=value)
        return case.hint("temperature-warm", "generation.temperature", reason, 1.0)
    reason = _("{value:g} is cautious: poems of one first couplet come out much alike. 0.7 to 1.0 suits verse.")
    return case.hint("temperature-cool", "generation.temperature", reason.format(value=value), 0.7)


def top_p(case: Case) -> Advice | None:
    """`generation.top_p`."""
    value, top = case.profile.generation.top_p, case.planned.generation.top_k
    if value < NARROW:
        reason = _("{value:g} is narrow: often only one or two characters are left to choose from. 0.9 is usual.")
        return case.warning("top-p-narrow", "generation.top_p", reason.format(value=value), 0.9)
    if value < SMALL_NUCLEUS:
        reason = _("{value:g} is safe and a little narrow; 0.9 is nearer to how people choose words.")
        return case.hint("top-p-small", "generation.top_p", reason.format(value=value), 0.9)
    if value > WHOLE and top == 0:
        reason = _("{value:g} and no top_k: the long tail of odd characters is drawn from too. 0.9 cuts it.")
        return case.hint("top-p-off", "generation.top_p", reason.format(value=value), 0.9)
    reason = _("{value:g} cuts the tail of odd characters and leaves a choice.").format(value=value)
    if value > WHOLE:
        reason = _("Off; top_k = {top:,} cuts the tail of odd characters.").format(top=top)
    return case.good("top-p", "generation.top_p", reason)


def top_k(case: Case) -> Advice | None:
    """`generation.top_k`."""
    value = case.profile.generation.top_k
    if 0 < value < FEWEST_CHOICES:
        reason = _(
            "Only the {value} likeliest tokens can come: poems come out alike. Let top_p do it, or take 20 to 50."
        )
        return case.hint("top-k-small", "generation.top_k", reason.format(value=value), 0)
    reason = _("Off: top_p cuts the tail.")
    if value:
        reason = _("The {value:,} likeliest tokens leave a choice.").format(value=value)
    return case.good("top-k", "generation.top_k", reason)


def repetition_penalty(case: Case) -> Advice | None:
    """`generation.repetition_penalty`."""
    value = case.profile.generation.repetition_penalty
    if 1 <= value <= MOST_PENALTY:
        reason = _("{value:g}: verse repeats its commas and line lengths on purpose, and may.").format(value=value)
        return case.good("penalty", "generation.repetition_penalty", reason)
    if value < 1:
        reason = _("{value:g} rewards repetition: lines come twice.").format(value=value)
        return case.warning("penalty-below", "generation.repetition_penalty", reason, 1.0)
    reason = _("{value:g} punishes commas and full stops too, which every line needs: lines grow uneven. At most 1.1.")
    return case.warning("penalty-high", "generation.repetition_penalty", reason.format(value=value), 1.0)


def no_repeat_ngram_size(case: Case) -> Advice | None:
    """`generation.no_repeat_ngram_size`: what it forbids in verse."""
    size = case.profile.generation.no_repeat_ngram_size
    if size == 0:
        reason = _("Off: refrains may come, and so may an echoed line.")
        return case.good("ngram-off", "generation.no_repeat_ngram_size", reason)
    repeats: Mapping[int, float] = {} if case.facts is None else case.facts.repeats
    real = repeats.get(size)
    told = "" if real is None else " " + _("{share} of the rows have such a run twice.").format(share=share(real))
    if size < SHORTEST_NGRAM:
        reason = _(
            "No run of {size} tokens may come twice, prompt and completion together. Commas, reduplications such as "
            "悠悠 and pairs of characters do come twice in verse, and a rare character is 2 or 3 tokens."
        )
        if size == 1:
            reason = _("No token may come twice, prompt and completion together: not even a comma.")
        reason = reason.format(size=size) + told
        return case.warning("ngram-short", "generation.no_repeat_ngram_size", reason, _lawful_size(repeats))
    reason = _(
        "No run of {size} tokens, about {size} characters with their punctuation, may come twice, prompt and "
        "completion together: single characters and pairs may return, an echoed line may not."
    ).format(size=size)
    if real is not None and real > REAL_SHARE:
        fix = _lawful_size(repeats)
        return case.hint("ngram-strict", "generation.no_repeat_ngram_size", reason + told, fix)
    return case.good("ngram", "generation.no_repeat_ngram_size", reason + told)


def _lawful_size(repeats: Mapping[int, float]) -> int:
    """The least length that rules out few real poems; 0 where there is none."""
    if not repeats:
        return SHORTEST_NGRAM
    lawful = (n for n in range(SHORTEST_NGRAM, LONGEST_NGRAM + 1) if repeats.get(n, 1.0) <= REAL_SHARE)
    return next(lawful, 0)


def seed(case: Case) -> Advice | None:
    """`generation.seed`."""
    reason = _("Any number will do; the same seed on the same device gives the same poem.")
    return case.good("generation-seed", "generation.seed", reason)


def count(case: Case) -> Advice | None:
    """`generation.count`."""
    value = case.profile.generation.count
    if value > MANY_COMPLETIONS:
        reason = _("{value:,} completions of one prompt are more than anybody reads, and take memory together.")
        return case.hint("count-many", "generation.count", reason.format(value=value), MANY_COMPLETIONS)
    reason = _("Completions made together of one prompt: {value:,}. The best of 8 is worth more than any setting.")
    return case.good("count", "generation.count", reason.format(value=value))


RULES = (
    max_new_tokens,
    temperature,
    top_k,
    top_p,
    repetition_penalty,
    no_repeat_ngram_size,
    seed,
    count,
)
