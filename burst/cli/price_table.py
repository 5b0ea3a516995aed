"""What a farm costs, as a table for people and as JSON for programs.

The table is as wide as the terminal: a narrow one has fewer columns, and the narrowest a line for
each part. The sums stand below it in words, so that no column is needed to know them.
"""

from __future__ import annotations

import io
import shutil
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Literal

from burst.domain.amounts import Amount
from burst.domain.costs import Costs, Line
from burst.domain.prices import PriceTable
from burst.domain.skus import HOURS_PER_MONTH

_WIDE, _NARROW = 100, 66
"""Columns that all of the table takes, and that it takes without prices of one."""

_HEADER = ("WHAT", "HOW MANY", "EACH", "AN HOUR IDLE", "AT FULL SIZE", "A MONTH GONE")
_FIRST_FIGURE = 3

_UNKNOWN = "unknown"
_NONE = "-"


def terminal_width() -> int:
    """Return how many columns the terminal has; enough for the table where there is none."""
    return shutil.get_terminal_size((_WIDE, 24)).columns


def price_text(costs: Costs, table: PriceTable, width: int) -> str:
    """Return the parts of a farm with their prices, their sums, and of when the prices are.

    Args:
        costs: the estimate.
        table: of prices, of which it was made.
        width: columns of the terminal.
    """
    parts = _grid(costs, width) if width >= _NARROW else [_sentence(line) for line in costs.lines]
    return "\n".join([*parts, "", *_sums(costs), "", *notes(costs, table)])


def price_json(costs: Costs, table: PriceTable) -> dict[str, Any]:
    """Return the same for programs; an amount of which a part is unknown is null."""
    return {
        "currency": costs.currency,
        "prices_of": None if table.as_of is None else table.as_of.isoformat(timespec="seconds"),
        "problem": table.problem or None,
        "hours_per_month": HOURS_PER_MONTH,
        "hour_idle": amount_json(costs.hour_idle),
        "hour_full": amount_json(costs.hour_full),
        "month_forgotten": amount_json(costs.month_forgotten),
        "month_zero": amount_json(costs.month_zero),
        "month_credit": None if costs.month_credit is None else float(costs.month_credit),
        "parts": [_line_json(line) for line in costs.lines],
        "by_use": [{"what": use.what, "price": amount_json(use.price)} for use in costs.uses],
    }


def amount_json(amount: Amount) -> dict[str, Any]:
    """Return an amount for programs."""
    return {
        "amount": None if amount.whole is None else _float(amount.whole),
        "at_least": _float(amount.known),
        "unknown": list(amount.unknown),
    }


def amount_words(amount: Amount, digits: int, per: Literal["hour", "month"] | None = None) -> str:
    """Return e.g. ``0.186 an hour``, ``at least 0.186``, or ``unknown`` if none of it is known.

    Args:
        amount: money.
        digits: after the point.
        per: what it is paid for.
    """
    if amount.unknown and not amount.known:
        return _UNKNOWN
    text = number(amount.known, digits)
    if per is not None:
        text += " an hour" if per == "hour" else " a month"
    return f"at least {text}" if amount.unknown else text


def number(money: Decimal, digits: int) -> str:
    """Return e.g. ``1,204.50``; what is more than nothing never looks like nothing."""
    least = Decimal(1).scaleb(-digits)
    if 0 < money < least:
        return f"<{least}"
    return f"{money.quantize(least, ROUND_HALF_UP):,}"


def notes(costs: Costs, table: PriceTable) -> list[str]:
    """Return what is to be known of the figures: their date, and what is not in them."""
    if table.as_of is None:
        return [f"prices are unknown: {table.problem or 'nobody was asked'}"]
    said = [f"list prices of {table.as_of:%Y-%m-%d} in {costs.currency}, without taxes"]
    if table.problem:
        said.append(f"there are none of today: {table.problem}")
    if costs.hour_full.unknown:
        said.append(f"unknown: {', '.join(costs.hour_full.unknown)}")
    said += [
        f"by use, in no sum: {use.what}, {number(use.price.known, 4)}"
        for use in costs.uses
        if not use.price.unknown
    ]
    if costs.month_credit is not None:
        said.append(
            f"Google credits a billing account {number(costs.month_credit, 2)} a month for one"
            " zonal cluster; no sum counts on it"
        )
    return said


def _sums(costs: Costs) -> list[str]:
    sums = (
        ("while nothing renders", amount_words(costs.hour_idle, 3, "hour")),
        ("at full size", amount_words(costs.hour_full, 3, "hour")),
        ("if it is forgotten", amount_words(costs.month_forgotten, 2, "month")),
        ("when the cluster is gone", amount_words(costs.month_zero, 2, "month")),
    )
    return [f"{name + ':':26}{text}" for name, text in sums]


def _grid(costs: Costs, width: int) -> list[str]:
    from rich.console import Console
    from rich.table import Table

    shown = [column for column in range(len(_HEADER)) if width >= _WIDE or column not in (1, 2)]
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in shown:
        is_figure = column >= _FIRST_FIGURE
        grid.add_column(_HEADER[column], justify="right" if is_figure else "left")
    for row in (*map(_row, costs.lines), _last_row(costs)):
        grid.add_row(*(row[column] for column in shown))
    sink = io.StringIO()
    Console(file=sink, width=width, color_system=None, markup=False, highlight=False).print(grid)
    return [line.rstrip() for line in sink.getvalue().splitlines()]


def _row(line: Line) -> tuple[str, ...]:
    return (
        _what(line),
        _many(line),
        amount_words(line.price, 4, line.per),
        amount_words(line.hour_idle, 3) if line.least or not line.pool else _NONE,
        amount_words(line.hour, 3),
        amount_words(line.month, 2) if line.zero else _NONE,
    )


def _last_row(costs: Costs) -> tuple[str, ...]:
    return (
        "sum",
        "",
        "",
        amount_words(costs.hour_idle, 3),
        amount_words(costs.hour_full, 3),
        amount_words(costs.month_zero, 2),
    )


def _sentence(line: Line) -> str:
    return f"{_what(line)}: {_many(line)}, {amount_words(line.price, 4, line.per)} each"


def _what(line: Line) -> str:
    return f"{line.what} ({line.detail})" if line.detail else line.what


def _many(line: Line) -> str:
    if line.quantity is None:
        return _UNKNOWN
    many = f"{line.quantity:,.1f}".removesuffix(".0")
    if line.pool:
        many = f"{line.least} to {many}"
    return f"{many} {line.unit}{'' if line.unit == 'GiB' or many == '1' else 's'}"


def _line_json(line: Line) -> dict[str, Any]:
    return {
        "what": line.what,
        "detail": line.detail,
        "quantity": None if line.quantity is None else _float(line.quantity),
        "unit": line.unit,
        "price_per": line.per,
        "price": amount_json(line.price),
        "hour_idle": amount_json(line.hour_idle),
        "hour_full": amount_json(line.hour),
        "month_zero": amount_json(line.month if line.zero else Amount()),
    }


def _float(money: Decimal) -> float:
    return float(round(money, 9))
