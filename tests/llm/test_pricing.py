"""Prices, the account, and estimates. Expected sums are worked by hand beside each test."""

from __future__ import annotations

from dataclasses import replace

import pytest

from etlch.core.errors import EtlchError
from etlch.core.settings import Price, TeacherSettings
from etlch.llm.pricing import Account, Work, cost, estimate, find_price, price_table, size
from etlch.llm.store import Message, Request, Usage

MINI = Price(0.15, 0.60)


def test_the_table_is_dated_and_names_its_source() -> None:
    table = price_table()
    assert str(table["as_of"]).startswith("20") and "openai.com" in table["source"]
    assert all(0 < price["input"] < price["output"] for price in table["models"].values())


def test_a_dated_snapshot_costs_what_its_model_costs() -> None:
    assert find_price(TeacherSettings(name="gpt-4o-mini-2024-07-18")) == replace(MINI, cached=0.075)
    assert find_price(TeacherSettings(name="gpt-4o-2024-05-13")) == Price(5.0, 15.0), "dearer than gpt-4o"


def test_the_settings_price_outranks_the_table() -> None:
    assert find_price(TeacherSettings(price=Price(1.0, 2.0))) == Price(1.0, 2.0)


def test_an_unknown_model_has_no_price_and_so_can_have_no_budget() -> None:
    assert find_price(TeacherSettings(name="my-7b")) is None
    with pytest.raises(EtlchError, match="no price is known") as caught:
        find_price(TeacherSettings(name="my-7b", budget=1.0))
    assert "price:" in caught.value.hint


def test_cost_is_tokens_times_price() -> None:
    # 1,000 × 0.15 / 10⁶ + 500 × 0.60 / 10⁶ = 0.00015 + 0.0003
    assert cost(MINI, 1000, 500) == pytest.approx(0.00045)
    assert cost(None, 1000, 500) is None


def test_a_requests_size_is_at_least_its_utf8_bytes() -> None:
    text = "工廠"  # 6 bytes
    assert size(Request("m", (Message("user", text),), 1)) == 6 + 2 * 16
    with_schema = Request("m", (Message("user", text),), 1, schema={"type": "object"})
    assert size(with_schema) > size(Request("m", (Message("user", text),), 1)) + len('{"type": "object"}')


def test_the_account_holds_up_to_the_budget_and_no_further() -> None:
    account = Account(0.5, 1.0)
    assert account.take(0.3) and not account.take(0.3)
    account.settle(0.3, 0.1)
    assert account.spent == pytest.approx(0.6) and account.reserved == 0.0
    assert account.take(0.3)
    account.settle(0.3, 0.3)  # no answer came: all of it counts
    assert account.spent == pytest.approx(0.9)
    assert not account.take(0.2)


def test_without_a_pilot_the_length_of_the_prompt_decides() -> None:
    found = estimate([Work("article/write", 1000, 600, 700)], {}, MINI)
    # 600 bytes / 3 = 200 tokens in: 1000 × (200 × 0.15 + 700 × 0.60) / 10⁶ = 0.45
    assert (found.calls, found.input_tokens, found.output_tokens) == (1000, 200_000, 700_000)
    assert found.cost == pytest.approx(0.45)
    assert found.low == pytest.approx(0.225)
    assert found.high == pytest.approx(0.9)
    assert "factor of 2" in found.method


def test_a_pilot_gives_means_and_an_interval() -> None:
    # Ten replies, outputs 400 and 600 five times each: mean 500, sample variance 100² × 10/9.
    usage = Usage("ner/label", 10, 10_000, 5_000, 10_000_000, 5 * 400**2 + 5 * 600**2, 0.0045)
    found = estimate([Work("ner/label", 100, 0, 0)], {"ner/label": usage}, MINI)
    # 100 × (1000 × 0.15 + 500 × 0.60) / 10⁶ = 0.045
    assert found.cost == pytest.approx(0.045)
    # 1.96 × √(100² × 10/9) × 0.60 / 10⁶ / √10 × 100 = 0.00392
    assert found.high is not None and found.low is not None
    assert found.high - 0.045 == pytest.approx(0.00392, rel=1e-3)
    assert 0.045 - found.low == pytest.approx(0.00392, rel=1e-3)
    assert "10 replies" in found.method and "95 %" in found.method


def test_too_small_a_pilot_is_not_used() -> None:
    usage = Usage("ner/label", 2, 10, 10, 50, 50, 0.1)
    found = estimate([Work("ner/label", 1, 300, 10)], {"ner/label": usage}, MINI)
    assert found.input_tokens == 100


def test_a_mixed_estimate_says_both_methods() -> None:
    usage = Usage("a", 10, 10, 10, 10, 10, 0.1)
    found = estimate([Work("a", 1, 3, 1), Work("b", 1, 3, 1)], {"a": usage}, MINI)
    assert "10 replies" in found.method and "factor of 2" in found.method


def test_without_a_price_only_tokens_are_estimated() -> None:
    found = estimate([Work("a", 2, 300, 10)], {}, None)
    assert (found.cost, found.low, found.high, found.output_tokens) == (None, None, None, 20)
