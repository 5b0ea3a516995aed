"""Prices asked of Google's catalogue, kept, and used while it can't be asked."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from burst.cloud.billing import LONGEST_AGE, prices
from burst.domain.skus import COMPUTE, DNS, SERVICES, Good
from burst.errors import CloudAway, CloudDenied, CloudError, CloudNotFound
from tests.fakes.billing_catalogue import NETHERLANDS, catalogue

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CORE = Good("core", "e2")


class Google:
    """Serves a catalogue in pages, or raises."""

    def __init__(self, skus: Mapping[str, list[Any]] | None = None, page: int = 7) -> None:
        self.skus = catalogue() if skus is None else skus
        self.page = page
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        self.error: CloudError | None = None
        self.errors: dict[str, CloudError] = {}

    def pages(
        self, service: str, path: str, query: Mapping[str, str], *, what: str = ""
    ) -> Iterator[Any]:
        self.asked.append((path, query))
        name = path.split("/")[1]
        if error := self.error or self.errors.get(name):
            raise error
        skus = self.skus.get(name, [])
        for start in range(0, len(skus) or 1, self.page):
            yield {"skus": skus[start : start + self.page]} if skus else {}


def _price(table: Any, good: Good = CORE) -> Decimal | None:
    rate = table.rate(good, NETHERLANDS)
    return rate and rate.price


def test_each_service_is_asked_once_and_all_of_its_pages_count(tmp_path: Path) -> None:
    google = Google()
    table = prices(google, tmp_path, NOW)
    assert sorted(path for path, _ in google.asked) == sorted(
        f"services/{service}/skus" for service in SERVICES
    )
    assert all(query["currencyCode"] == "USD" for _, query in google.asked)
    assert _price(table) == Decimal("0.024")
    assert _price(table, Good("gpu", "nvidia-l4", True)) == Decimal("0.224")
    assert _price(table, Good("logs")) == Decimal("0.5")
    assert table.as_of == NOW
    assert table.problem == ""


def test_services_are_asked_side_by_side(tmp_path: Path) -> None:
    together = threading.Barrier(len(SERVICES), timeout=120)

    class Patient(Google):
        def pages(self, *asked: Any, **named: Any) -> Iterator[Any]:
            together.wait()
            return super().pages(*asked, **named)

    assert prices(Patient(), tmp_path, NOW).problem == ""


def test_prices_of_today_are_not_asked_for_again(tmp_path: Path) -> None:
    first = prices(Google(), tmp_path, NOW)
    google = Google()
    assert prices(google, tmp_path, NOW + LONGEST_AGE) == first
    assert google.asked == []


def test_older_ones_are(tmp_path: Path) -> None:
    prices(Google(), tmp_path, NOW)
    later = NOW + LONGEST_AGE + timedelta(seconds=1)
    google = Google()
    assert prices(google, tmp_path, later).as_of == later
    assert len(google.asked) == len(SERVICES)


def test_a_clock_that_was_set_back_does_not_keep_prices_for_ever(tmp_path: Path) -> None:
    prices(Google(), tmp_path, NOW)
    earlier = NOW - timedelta(days=400)
    assert prices(Google({}), tmp_path, earlier).problem


@pytest.mark.parametrize(
    "error", [CloudAway("Google Cloud did not answer"), CloudDenied("the login is not taken")]
)
def test_without_an_answer_old_prices_count_with_their_date(
    tmp_path: Path, error: CloudError
) -> None:
    prices(Google(), tmp_path, NOW)
    google = Google()
    google.error = error
    table = prices(google, tmp_path, NOW + timedelta(days=30))
    assert table.as_of == NOW
    assert table.problem == error.message
    assert _price(table) == Decimal("0.024")


def test_without_an_answer_and_without_old_prices_everything_is_unknown(tmp_path: Path) -> None:
    google = Google()
    google.error = CloudAway("Google Cloud did not answer")
    table = prices(google, tmp_path, NOW)
    assert table.as_of is None
    assert table.problem == "Google Cloud did not answer"
    assert not table.rates
    assert list(tmp_path.iterdir()) == []


def test_an_answer_that_breaks_off_is_none_at_all(tmp_path: Path) -> None:
    class Cut(Google):
        def pages(self, *asked: Any, **named: Any) -> Iterator[Any]:
            yield from list(super().pages(*asked, **named))[:1]
            raise CloudAway("Google Cloud did not answer")

    table = prices(Cut(), tmp_path, NOW)
    assert not table.rates
    assert list(tmp_path.iterdir()) == []


def test_a_service_that_is_gone_takes_its_own_prices_with_it(tmp_path: Path) -> None:
    google = Google()
    google.errors[DNS] = CloudNotFound("no such service")
    table = prices(google, tmp_path, NOW)
    assert _price(table, Good("zone")) is None
    assert _price(table) == Decimal("0.024")


@pytest.mark.parametrize(
    "answer", [{}, {COMPUTE: [None, 7, {"description": "a hammer"}]}], ids=["empty", "strange"]
)
def test_a_catalogue_that_says_nothing_makes_nothing_free(tmp_path: Path, answer: Any) -> None:
    table = prices(Google(answer), tmp_path, NOW)
    assert "no prices in USD" in table.problem
    assert table.as_of is None
    prices(Google(), tmp_path, NOW)
    later = prices(Google(answer), tmp_path, NOW + timedelta(days=2))
    assert later.as_of == NOW
    assert _price(later) == Decimal("0.024")


@pytest.mark.parametrize("currency", ["USD", "EUR"])
def test_each_currency_has_its_prices(tmp_path: Path, currency: str) -> None:
    prices(Google(), tmp_path, NOW)
    google = Google()
    table = prices(google, tmp_path, NOW, currency=currency)
    # That catalogue is in dollars.
    assert (_price(table) is None) == (currency == "EUR")
    assert {query["currencyCode"] for _, query in google.asked} <= {"EUR"}


def _spoil(file: Path, how: str) -> None:
    value = json.loads(file.read_text())
    if how == "another form":
        file.write_text(json.dumps({**value, "form": 0}))
    elif how == "another currency":
        value["table"]["currency"] = "EUR"
        file.write_text(json.dumps(value))
    elif how == "a figure that is none":
        value["table"]["rates"]["core/e2"][NETHERLANDS] = [["0", "much"]]
        file.write_text(json.dumps(value))
    else:
        file.write_bytes({"cut": file.read_bytes()[:-9], "empty": b"", "noise": b"\xff\0["}[how])


@pytest.mark.parametrize(
    "how",
    ["cut", "empty", "noise", "another form", "another currency", "a figure that is none"],
)
def test_kept_prices_that_are_damaged_are_asked_for_again(tmp_path: Path, how: str) -> None:
    prices(Google(), tmp_path, NOW)
    _spoil(tmp_path / "prices-USD.json", how)
    google = Google()
    assert _price(prices(google, tmp_path, NOW)) == Decimal("0.024")
    assert len(google.asked) == len(SERVICES)
    # And they are whole again.
    assert prices(Google({}), tmp_path, NOW).problem == ""


def test_a_folder_that_is_not_there_is_made_and_nothing_else_stays_in_it(tmp_path: Path) -> None:
    prices(Google(), tmp_path / "a" / "b", NOW)
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["prices-USD.json"]


def test_a_folder_that_is_a_file_costs_only_the_keeping(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    assert _price(prices(Google(), tmp_path / "cache", NOW)) == Decimal("0.024")


def test_a_disk_without_room_leaves_the_old_prices_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prices(Google(), tmp_path, NOW)
    before = (tmp_path / "prices-USD.json").read_bytes()

    def full(handle: int, mode: str) -> Any:
        os.close(handle)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("burst.cloud.billing.os.fdopen", full)
    table = prices(Google(), tmp_path, NOW + timedelta(days=2))
    assert table.as_of == NOW + timedelta(days=2)
    assert [path.name for path in tmp_path.iterdir()] == ["prices-USD.json"]
    assert (tmp_path / "prices-USD.json").read_bytes() == before
