"""The findings of a review as one JSON document; docs/review.md says what is in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from core.advice.advise import json_of
from core.advice.facts import Budget, Tokens
from core.audit.structure import Structure
from core.review.finding import Finding
from core.review.plan import advised, plan_of
from core.review.review import Findings

_STRUCTURE = (
    "format",
    "size_bytes",
    "memory_bytes",
    "could_be_mistaken",
    "columns",
    "mapping",
    "rule",
    "instructions",
    "distinct_instructions",
    "distinct_inputs",
    "output_holds",
    "output_whole",
    "task",
    "authors",
    "distinct_authors",
    "scripts",
)
_PARTS = ("instruction", "input", "output", "text", "template", "total")


def document_of(findings: Findings) -> dict[str, Any]:
    """Everything, as JSON values."""
    structure, facts, advice = findings.structure, findings.facts, findings.advice
    changed = advised(findings.profile, facts, advice)
    document = {
        "file": structure.path,
        "rows": structure.rows,
        "bad_rows": structure.bad_rows,
        "text_lines": structure.text_lines,
        "excluded_rows": list(findings.excluded),
        "structure": _structure(structure),
        "tokens": _tokens(facts.tokens),
        "forms": {form or "none": len(rows) for form, rows in structure.forms.items()},
        "verse": findings.verse.document()["percent"],
        "problems": [
            {"kind": problem.kind, "count": len(problem.rows), "rows": list(problem.rows)}
            for problem in findings.problems
        ],
        "value": [_finding(finding) for finding in findings.value],
        "plan": {
            "profile": asdict(plan_of(findings.profile, facts)),
            "advised": asdict(plan_of(changed, facts, budgeted=findings.profile)),
        },
        "advice": [dict(json_of(one)) for one in advice],
        "refusals": [{"message": one.message, "hint": one.hint, "where": one.where} for one in findings.refusals],
        "model": None if facts.model is None else asdict(facts.model),
        "budget": _budget(facts.budget),
    }
    if findings.losses is not None:
        document["losses"] = [asdict(loss) for loss in findings.losses]
    return document


def _structure(structure: Structure) -> dict[str, Any]:
    return {
        **{name: getattr(structure, name) for name in _STRUCTURE},
        "line_counts": {str(lines): rows for lines, rows in structure.line_counts.items()},
    }


def _tokens(tokens: Tokens) -> dict[str, Any]:
    return {
        **{part: asdict(getattr(tokens, part)) for part in _PARTS},
        "supervised_share": tokens.supervised_share,
        "shared_prefix_tokens": tokens.shared_prefix_tokens,
        "characters": tokens.characters,
        "over_cutoff": list(tokens.over_cutoff),
        "nothing_supervised": list(tokens.nothing_supervised),
        "estimated": tokens.estimated,
        "tokenizer": tokens.tokenizer,
    }


def _finding(finding: Finding) -> Mapping[str, Any]:
    return {
        "id": finding.id,
        "kind": finding.kind,
        "title": finding.title,
        "reason": finding.reason,
        "numbers": dict(finding.numbers),
    }


def _budget(budget: Budget | None) -> dict[str, Any]:
    """The budget; of an unknown one the three figures that every document has."""
    if budget is None:
        return {"verdict": "unknown", "bytes": 0, "seconds": None}
    return {
        "verdict": budget.verdict,
        "bytes": budget.bytes,
        "seconds": budget.seconds,
        "memory_bytes": budget.memory_bytes,
        "parts": dict(budget.parts),
        "device": budget.device,
        "dtype": budget.dtype,
        "probed": budget.probed,
        "fits_with": None if budget.fits_with is None else dict(budget.fits_with),
    }
