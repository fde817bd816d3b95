"""What is said of `[lora]`: how much an adapter can learn, and which layers it stands on."""

from __future__ import annotations

from core.advice.amounts import millions, sentences, share
from core.advice.case import Case
from core.advice.facts import Model
from core.advice.plan import train_rows
from core.advice.rule import Advice
from core.i18n import _
from core.plain import plain

LEAST_RANK, USUAL_RANK, MOST_RANK = 4, 8, 64
"""Hu et al. 2021, tables 6 and 18: ranks of 4 to 8 do as well as 64."""
TOKENS_A_PARAMETER = 2
"""Supervised tokens that a trained number has room for: Schulman et al. 2025 count 2 bits for each number and about 1
bit for each token."""
LEAST_SCALING, MOST_SCALING = 1.0, 2.0
"""alpha / r. Hu et al. 2021 and Schulman et al. 2025 keep alpha fixed and don't tune it; alpha = 2 r is the custom."""
FAR_SCALING = (0.5, 4.0)
FEW_ROWS, MANY_EPOCHS = 1_000, 10
MOST_DROPOUT, DROPPED_MUCH = 0.15, 0.3
"""Hu et al. 2021 take 0 to 0.1, Dettmers et al. 2023 0.05 to 0.1."""
ATTENTION_LOOK, ATTENTION_CARRY = ("q_proj", "k_proj"), ("v_proj", "o_proj")
MLP = ("gate_proj", "up_proj", "down_proj")
"""Geva et al. 2021: MLP layers hold what a model knows. Schulman et al. 2025: all layers, the MLP above all; attention
alone does worse even with as many parameters."""
ALL = (*ATTENTION_LOOK, *ATTENTION_CARRY, *MLP)


def rank(case: Case) -> Advice | None:
    """`lora.r`: against the data, and the base."""
    facts, r = case.facts, case.profile.lora.r
    if r > MOST_RANK:
        reason = _("Rank {r:,} is more than any one kind of verse needs: 4 to 8 do as well as 64, in less memory.")
        return case.hint("rank-large", "lora.r", reason.format(r=r), USUAL_RANK)
    if r < LEAST_RANK:
        reason = _("Rank {r} leaves little room; 4 to 8 cost hardly more.")
        return case.hint("rank-small", "lora.r", reason.format(r=r), USUAL_RANK)
    if facts is None:
        return None
    if facts.model is None:
        reason = _("Rank {r}: within the 4 to 64 in which more hardly matters.")
        return case.good("rank", "lora.r", reason.format(r=r))
    trainable, tokens = facts.model.trainable, facts.supervised_tokens
    figures = {"r": r, "trainable": millions(trainable), "tokens": tokens}
    if tokens > TOKENS_A_PARAMETER * trainable:
        reason = _(
            "Rank {r} trains {trainable} numbers for {tokens:,} supervised tokens: that many may not fit in. A larger "
            "rank has room."
        )
        return case.hint("rank-full", "lora.r", reason.format(**figures))
    reason = _(
        "Rank {r} trains {trainable} numbers, {share} of the base: ample for {tokens:,} supervised tokens."
    ).format(**figures, share=share(trainable / facts.model.parameters))
    return case.good("rank", "lora.r", reason)


def alpha(case: Case) -> Advice | None:
    """`lora.alpha`: against the rank."""
    r, value = case.planned.lora.r, case.profile.lora.alpha
    scaling = value / r
    figures = {"alpha": value, "r": r, "scaling": scaling}
    if LEAST_SCALING <= scaling <= MOST_SCALING:
        reason = _("{alpha} / {r} = {scaling:g}: between once and twice the rank, as is usual.")
        return case.good("alpha", "lora.alpha", reason.format(**figures))
    reason = _(
        "{alpha} / {r} = {scaling:g}: the adapter's output is scaled by it, which acts like another learning rate. 1 "
        "to 2 are usual; change the learning rate instead."
    )
    if FAR_SCALING[0] <= scaling <= FAR_SCALING[1]:
        return case.hint("alpha-odd", "lora.alpha", reason.format(**figures), 2 * r)
    return case.warning("alpha-far", "lora.alpha", reason.format(**figures), 2 * r)


def dropout(case: Case) -> Advice | None:
    """`lora.dropout`: against epochs and rows."""
    facts, value, passes = case.facts, case.profile.lora.dropout, case.planned.train.epochs
    rows = None if facts is None else train_rows(case.planned, facts)
    is_small = rows is not None and rows < FEW_ROWS and passes > MANY_EPOCHS
    if value > DROPPED_MUCH:
        reason = _("{dropout:g} drops so much of the adapter's input that it learns slowly and ends worse.")
        return case.warning("dropout-high", "lora.dropout", reason.format(dropout=value), 0.1 if is_small else 0.05)
    if rows is None:
        return None
    figures = {"dropout": value, "rows": rows, "epochs": passes}
    if is_small and value < 0.1:
        reason = _("{rows:,} rows seen {epochs}× are soon known by heart; 0.1 slows that more than {dropout:g}.")
        return case.hint("dropout-low", "lora.dropout", reason.format(**figures), 0.1)
    if value == 0 and passes > 1:
        reason = _("{rows:,} rows are seen {epochs}×: 0.05 costs nothing and slows learning by heart.")
        return case.hint("dropout-none", "lora.dropout", reason.format(**figures), 0.05)
    if value > MOST_DROPOUT and not is_small:
        reason = _("{dropout:g} is much for {rows:,} rows seen {epochs}×: 0.05 to 0.1 are usual.")
        return case.hint("dropout-much", "lora.dropout", reason.format(**figures), 0.05)
    reason = _("{dropout:g} suits {rows:,} rows seen {epochs}×: it slows learning by heart and costs nothing.")
    if value == 0:
        reason = _("No dropout: {rows:,} rows seen once can't be learnt by heart.")
    return case.good("dropout", "lora.dropout", reason.format(**figures))


def bias(case: Case) -> Advice | None:
    """`lora.bias`."""
    value = case.profile.lora.bias
    if value == "none":
        reason = _("With the adapter switched off the model is the base exactly, so the two can be compared.")
        return case.good("bias-none", "lora.bias", reason)
    reason = _("{bias} changes the base's own vectors: with the adapter switched off it is no longer the base.")
    return case.hint("bias-trained", "lora.bias", reason.format(bias=value), "none")


def target_modules(case: Case) -> Advice | None:
    """`lora.target_modules`: whether the base has them, and what each group does."""
    if case.facts is None:
        return None
    model, targets = case.facts.model, case.profile.lora.target_modules
    there = ALL if model is None else tuple(model.modules)
    missing = [name for name in targets if name not in there]
    usual = [name for name in ALL if name in there]
    if model is not None and missing:
        fix = [name for name in targets if name in there] if set(usual) <= set(targets) else usual
        reason = _("The base has no {missing}. Its linear layers are: {there}.").format(
            missing=", ".join(map(plain, missing)), there=", ".join(map(plain, there))
        )
        return case.error("targets-missing", "lora.target_modules", reason, fix or list(there) or None)
    absent = [name for name in usual if name not in targets]
    if absent:
        reason = _("{absent} get no adapter; all seven learn more than some of them at equal size.")
        reason = sentences(*_groups(targets), reason.format(absent=", ".join(absent)))
        return case.hint("targets-partial", "lora.target_modules", reason, [*usual, *_others(targets)])
    reason = sentences(_("All linear layers."), *_groups(targets))
    if model is not None:
        reason = sentences(reason, _count_layers(model, targets))
    return case.good("targets-all", "lora.target_modules", reason)


def task_type(case: Case) -> Advice | None:
    """`lora.task_type`."""
    reason = _("The base writes one token after another, which is what CAUSAL_LM means.")
    return case.good("task-type", "lora.task_type", reason)


def _others(targets: tuple[str, ...]) -> list[str]:
    return [name for name in targets if name not in ALL]


def _groups(targets: tuple[str, ...]) -> list[str]:
    """What the layers that are there do, one sentence a group."""
    groups = (
        (ATTENTION_LOOK, _("{names}: which earlier characters a new one goes by.")),
        (ATTENTION_CARRY, _("{names}: what is carried over from them.")),
        (MLP, _("{names}: words and phrasing.")),
    )
    held = (([name for name in group if name in targets], text) for group, text in groups)
    return [text.format(names=", ".join(names)) for names, text in held if names]


def _count_layers(model: Model, targets: tuple[str, ...]) -> str:
    count = sum(model.modules[name] for name in targets)
    return _("{count:,} layers, {trainable} numbers.").format(count=count, trainable=millions(model.trainable))


RULES = (rank, alpha, dropout, bias, target_modules, task_type)
