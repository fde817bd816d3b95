"""How amounts are shown in a reason, and how its sentences are put together."""

from __future__ import annotations

from core.i18n import _

_GB = 1_000_000_000
_LONGEST_SECONDS_S = 120
_HOUR_S = 3_600
_DAY_S = 86_400


def share(part: float) -> str:
    """A part of 1 as per cent: `0.4 %`; with a second digit where one would say none or all of what is neither."""
    digits = 1
    if 0 < part < 0.0005 or 0.9995 <= part < 1:
        digits, part = 2, min(max(part, 0.0001), 0.9999)
    return f"{100 * part:.{digits}f} %"


def millions(count: int) -> str:
    """How many parameters: `6.8 M`, `1.54 B`."""
    return f"{count / 1e9:.2f} B" if count >= 1e9 else f"{count / 1e6:.1f} M"


def gigabytes(size_bytes: int) -> str:
    """`3.1 GB`, `110 MB`."""
    return f"{size_bytes / _GB:.1f} GB" if size_bytes >= _GB else f"{size_bytes / 1_000_000:.0f} MB"


def rate(value: float) -> str:
    """A learning rate as people write it: `3e-4`, `2.5e-4`; from 0.01 on `0.02`."""
    if value >= 0.01:
        return f"{value:g}"
    digits, _e, power = f"{value:e}".partition("e")
    return f"{float(digits):g}e{int(power)}"


def hours(time_s: float) -> str:
    """A time in its unit: `50 seconds`, `40 minutes`, `3.5 hours`, `6.0 days`."""
    if time_s < _LONGEST_SECONDS_S:
        digits = 0 if time_s >= 10 else 1
        return _("{count} seconds").format(count=f"{max(0.1, time_s):.{digits}f}")
    if time_s < _HOUR_S:
        return _("{count:.0f} minutes").format(count=time_s / 60)
    if time_s < 2 * _DAY_S:
        return _("{count:.1f} hours").format(count=time_s / _HOUR_S)
    return _("{count:.1f} days").format(count=time_s / _DAY_S)


def sentences(*texts: str) -> str:
    """One paragraph of several sentences, as the reader's language puts them together."""
    whole = texts[0]
    for text in texts[1:]:
        whole = _("{sentence} {next}").format(sentence=whole, next=text)
    return whole
