"""Ranges, ticks and labels of axes, worked out by hand."""

from __future__ import annotations

from math import inf, nan

import pytest

from tui.widgets.chart_scale import run_end, short_steps, short_value, step_axis, usual_top, value_axis


@pytest.mark.parametrize(
    ("low", "high", "at_most", "ends", "labels"),
    [
        (3.1, 4.9, 4, (3.0, 5.0), ("3", "4", "5")),
        (0.0, 10.0, 6, (0.0, 10.0), ("0", "2", "4", "6", "8", "10")),
        (-1.2, 1.2, 5, (-1.25, 1.25), ("-1.0", "-0.5", "0.0", "0.5", "1.0")),
        (0.101, 0.142, 5, (0.1, 0.145), ("0.10", "0.11", "0.12", "0.13", "0.14")),
        (1.0, 2.0, 2, (1.0, 2.0), ("1", "2")),
        (2e-5, 9e-5, 4, (2e-5, 9e-5), ("2e-05", "4e-05", "6e-05", "8e-05")),
        (2_000_000, 3_000_000, 3, (2_000_000, 3_000_000), ("2.0e+06", "2.5e+06", "3.0e+06")),
    ],
)
def test_linear_axes(low: float, high: float, at_most: int, ends: tuple[float, float], labels: tuple[str, ...]) -> None:
    axis = value_axis(low, high, at_most)
    assert ((axis.low, axis.high), axis.labels) == (ends, labels)
    assert len(axis.ticks) <= at_most


def test_ticks_are_exact() -> None:
    assert value_axis(0.0, 0.5, 6).ticks == (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)


@pytest.mark.parametrize(
    ("low", "high", "at_most", "labels"),
    [
        (0.1, 100.0, 8, ("0.1", "1", "10", "100")),
        (0.1, 100.0, 2, ("1", "100")),
        (1.0, 10.0, 5, ("1", "2", "5", "10")),
        (3.0, 5.0, 5, ("3.0", "3.5", "4.0", "4.5", "5.0")),
        (1e-9, 1.0, 4, ("1e-09", "1e-06", "0.001", "1")),
    ],
)
def test_logarithmic_axes(low: float, high: float, at_most: int, labels: tuple[str, ...]) -> None:
    axis = value_axis(low, high, at_most, log=True)
    assert axis.labels == labels
    assert axis.low <= low * 1.0001
    assert axis.high >= high * 0.9999


def test_equal_ratios_are_equally_far_apart() -> None:
    axis = value_axis(0.1, 10.0, 3, log=True)
    assert [axis.share(value) for value in (0.1, 1.0, 10.0)] == pytest.approx([0.0, 0.5, 1.0])
    assert value_axis(1.0, 3.0, 3).share(2.5) == 0.75


@pytest.mark.parametrize("value", [0.0, 3.2, -7.5, 1e-30, 1e50, 1.0 + 1e-15])
@pytest.mark.parametrize("log", [False, True])
def test_a_constant_lies_inside(value: float, log: bool) -> None:
    if log and value <= 0:
        return
    axis = value_axis(value, value, 4, log=log)
    assert 0 < axis.share(value) < 1
    assert len(axis.ticks) <= 4


def test_wild_first_losses_are_cut_off() -> None:
    wild = [9.0, 7.0] + [1.0] * 98  # two of a hundred columns would take eight ninths of the height
    assert usual_top([wild]) == pytest.approx(1.1)
    assert usual_top([wild, [0.5] * 50]) == pytest.approx(1.1)
    lasting = [9.0] * 6 + [1.0] * 94
    assert usual_top([lasting]) == 9.0
    assert usual_top([[2.0] + [1.0] * 98]) == 2.0  # no more than half of it
    assert usual_top([[9.0] + [1.0] * 18]) == 9.0  # one of nineteen is more than a twentieth
    assert usual_top([[5.0] + [0.0] * 99]) == 5.0  # nothing would be left


def test_a_lone_point_may_double_the_height() -> None:
    assert usual_top([[1.0] * 100], [2.0]) == 2.0
    assert usual_top([[1.0] * 100], [2.0, 3.0]) == 2.0
    assert usual_top([], [1.0, 3.0]) == 3.0


@pytest.mark.parametrize(
    ("left", "right", "at_most", "labels"),
    [
        (0, 400, 5, ("0", "100", "200", "300", "400")),
        (0, 15_000, 4, ("0", "5k", "10k", "15k")),
        (1200, 1210, 3, ("1.2k", "1.205k", "1.21k")),
        (0, 1, 10, ("0", "1")),
        (0.5, 3.5, 10, ("1", "2", "3")),
    ],
)
def test_step_axes(left: float, right: float, at_most: int, labels: tuple[str, ...]) -> None:
    assert step_axis(left, right, at_most).labels == labels


@pytest.mark.parametrize(
    ("last", "steps", "end"),
    [(0, 0, 1), (1, 0, 1), (7, 0, 8), (10, 0, 10), (11, 0, 15), (370, 1000, 400), (970, 980, 980), (980, 980, 980)],
)
def test_ends_of_runs(last: int, steps: int, end: float) -> None:
    assert run_end(last, steps) == end


def test_a_run_longer_than_it_said_is_shown_whole() -> None:
    assert run_end(1200, 1000) == 1200


def test_short_numbers() -> None:
    assert [short_steps(step) for step in (0, 999, 1000, 1250, 12_000, 1_250_000)] == [
        "0",
        "999",
        "1k",
        "1.25k",
        "12k",
        "1.25M",
    ]
    values = [3.21449, 12.346, 123.46, 1234.6, 0.0123, 0.00001234, -3.2, 0.0, 2e9, nan, inf]
    assert [short_value(value) for value in values] == [
        "3.214",
        "12.35",
        "123.5",
        "1,235",
        "0.0123",
        "1.2e-05",
        "-3.200",
        "0.0000",
        "2.0e+09",
        "nan",
        "inf",
    ]
