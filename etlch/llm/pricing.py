"""Prices of tokens, the account that keeps a run below its budget, and cost estimates, all in US dollars."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from etlch.core.errors import EtlchError
from etlch.core.locale import _
from etlch.core.records import Json
from etlch.core.settings import Price, TeacherSettings
from etlch.llm.chat_completions import texts
from etlch.llm.store import Request, Usage

_PER_MESSAGE = 16
"""Bytes reserved for a message's role and its markers; chat templates take 3 to 8 tokens for them."""


@cache
def price_table() -> Json:
    """Return prices.yaml: {as_of, source, models: {name: {input, cached, output}}}."""
    import yaml

    return yaml.safe_load(files("etlch.llm").joinpath("prices.yaml").read_text(encoding="utf-8"))


BATCH_SHARE = 0.5
"""What the Batch API costs of the price of single requests (OpenAI's price list)."""


def find_price(teacher: TeacherSettings) -> Price | None:
    """Return the teacher's price: the setting, else the table's, else None; half of it through the Batch API.

    Raises:
        EtlchError: there is a budget and no price.
    """
    price = _single_price(teacher)
    if price is None or not teacher.batch:
        return price
    cached = price.input if price.cached is None else price.cached
    return Price(*(value * BATCH_SHARE for value in (price.input, price.output, cached)))


def _single_price(teacher: TeacherSettings) -> Price | None:
    if teacher.price is not None:
        return teacher.price
    models = price_table()["models"]
    undated = re.sub(r"-\d{4}-\d{2}-\d{2}$", "", teacher.name)
    for name in (teacher.name, undated):
        if name in models:
            return Price(**models[name])
    if teacher.budget is not None:
        raise EtlchError(
            _("no price is known for the teacher '{name}', so its budget cannot be kept").format(
                name=teacher.name
            ),
            _(
                "Add it to the settings file: price: {input: 0.15, output: 0.60}  # US dollars per million tokens"
            ),
        )
    return None


def cost(price: Price | None, input_tokens: int, output_tokens: int, cached: int = 0) -> float | None:
    """Return what tokens cost, or None without a price. `cached` of the input tokens take their own price, if any."""
    if price is None:
        return None
    kept = min(cached, input_tokens)
    kept_price = price.input if price.cached is None else price.cached
    return ((input_tokens - kept) * price.input + kept * kept_price + output_tokens * price.output) / 1e6


def cents(amount: float) -> float:
    """Return an amount rounded up to whole cents, as `--budget` is written."""
    return math.ceil(round(amount * 100, 6)) / 100


def size(request: Request) -> int:
    """Return an upper bound of a request's input tokens: its UTF-8 bytes, and a few per message.

    No byte-level tokenizer makes more tokens than a text has bytes.
    """
    return sum(len(text.encode("utf-8", "replace")) for text in texts(request)) + _PER_MESSAGE * (
        len(request.messages) + 1
    )


class Account:
    """What is spent, what is reserved for requests in flight, and what may still be reserved.

    Args:
        spent: what earlier sessions of this run spent, reserves without an answer included.
        budget: the cap on spent + reserved; None is no cap.

    Attributes:
        open: the number of requests for which something is reserved.
    """

    def __init__(self, spent: float, budget: float | None) -> None:
        self.spent = spent
        self.reserved = 0.0
        self.open = 0
        self.budget = budget

    def take(self, amount: float) -> bool:
        """Reserve an amount for a request if the cap allows it."""
        if self.budget is not None and self.spent + self.reserved + amount > self.budget:
            return False
        self.reserved += amount
        self.open += 1
        return True

    def settle(self, reserve: float, paid: float) -> None:
        """Replace a reserve by what was paid: an answer's cost, all of it, or nothing."""
        self.open -= 1
        self.reserved = self.reserved - reserve if self.open else 0.0
        self.spent += paid


@dataclass(frozen=True, slots=True)
class Work:
    """Requests of one purpose that are still to be sent.

    Attributes:
        purpose: as in the store, e.g. "ner/label".
        calls: how many.
        input_bytes: UTF-8 bytes of one request, as far as known.
        output_tokens: a guess at one answer's length; used where there is no pilot.
    """

    purpose: str
    calls: int
    input_bytes: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """What work will take. cost, low and high are None without a price.

    Attributes:
        low, high: the range in which the cost lies, as `method` says.
        method: how it was estimated and how far it may be off, in one sentence.
    """

    calls: int
    input_tokens: int
    output_tokens: int
    cost: float | None
    low: float | None
    high: float | None
    method: str


PILOT = 5
"""Replies of one purpose from which on their mean replaces the rule of thumb."""
_BYTES_PER_TOKEN = 3.0
"""Newer OpenAI tokenizers take 3 to 5 bytes a token, in Chinese (3 bytes a character) and English."""
_ROUGH = 2.0


def estimate(works: Sequence[Work], pilot: Mapping[str, Usage], price: Price | None) -> Estimate:
    """Return what the work will take, from the replies of the same purpose where there are enough.

    The error of a pilot's part is 1.96 standard errors of the mean cost per call, times the
    calls; of the other parts, a factor of 2. Parts are added as if they erred together.
    """
    input_tokens = output_tokens = 0.0
    low = high = 0.0
    piloted = 0
    unit = price or Price(0.0, 0.0)
    for work in works:
        usage = pilot.get(work.purpose)
        if usage is not None and usage.calls >= PILOT:
            piloted += usage.calls
            means, error = _mean(usage, unit)
            each = (means[0] * unit.input + means[1] * unit.output) / 1e6
            low += work.calls * max(0.0, each - error)
            high += work.calls * (each + error)
        else:
            means = (work.input_bytes / _BYTES_PER_TOKEN, float(work.output_tokens))
            each = (means[0] * unit.input + means[1] * unit.output) / 1e6
            low += work.calls * each / _ROUGH
            high += work.calls * each * _ROUGH
        input_tokens += work.calls * means[0]
        output_tokens += work.calls * means[1]
    total = (input_tokens * unit.input + output_tokens * unit.output) / 1e6
    return Estimate(
        calls=sum(work.calls for work in works),
        input_tokens=round(input_tokens),
        output_tokens=round(output_tokens),
        cost=None if price is None else total,
        low=None if price is None else low,
        high=None if price is None else high,
        method=_method(works, pilot, piloted),
    )


def _mean(usage: Usage, price: Price) -> tuple[tuple[float, float], float]:
    """Return mean tokens in and out, and 1.96 standard errors of the mean cost, in dollars a call."""
    n = usage.calls
    means = (usage.input / n, usage.output / n)
    variances = [
        max(0.0, squares - n * mean * mean) / (n - 1)
        for squares, mean in zip((usage.input_squares, usage.output_squares), means, strict=True)
    ]
    # The two token counts of a call may go together, so their deviations are added, not squared.
    deviation = math.sqrt(variances[0]) * price.input + math.sqrt(variances[1]) * price.output
    return means, 1.96 * deviation / 1e6 / math.sqrt(n)


def _method(works: Sequence[Work], pilot: Mapping[str, Usage], piloted: int) -> str:
    known = [w for w in works if w.purpose in pilot and pilot[w.purpose].calls >= PILOT]
    if not known:
        return "from the length of the prompts; may be off by a factor of 2"
    if len(known) == len(works):
        return f"from {piloted} replies of this run; 95 % interval"
    return (
        f"from {piloted} replies of this run and, for what was not asked yet, from the length of the"
        " prompts (which may be off by a factor of 2)"
    )
