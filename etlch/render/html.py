"""Read texts, tables, pictures and samples, return one self-contained HTML page.

Every string is escaped unless it is an `Html` that this module built. The page carries a
content-security policy that allows its own style and script by hash, pictures inside the
file, and nothing else: the page makes no network requests.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files as package_files

from etlch.core.files import dumps
from etlch.core.locale import LANGUAGES, N_, _, language
from etlch.core.records import Fact, Json, Span

_VOID = frozenset({"br", "hr", "img", "input", "link", "meta", "wbr"})
_IN_SCRIPT = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)

MATCHED, MISSING, SPURIOUS = "matched", "missing", "spurious"
"""What became of a fact: gold and predicted, only gold, only predicted."""

OUTCOMES = (N_("right"), N_("partly"), N_("wrong"), N_("unparseable"))
"""What became of a prediction: all facts and no other, some, none, or nothing could be read."""


class Html(str):
    """Text that is markup already. Everything else is escaped on its way into a page."""

    __slots__ = ()

    def __html__(self) -> str:
        """Tell Jinja that this is markup already."""
        return self


def escape(text: str) -> Html:
    """Return text as markup that shows it: also safe inside a quoted attribute.

    What UTF-8 cannot hold (a lone surrogate) is shown as its escape.
    """
    valid = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return Html(html.escape(valid.replace("\x00", "\ufffd"), quote=True))


def element(tag: str, /, *children: str | None, **attributes: str | bool | None) -> Html:
    """Return one element. Children that are not Html are escaped; None is left out.

    Attribute names are written as Python can: `class_`, `for_`, `aria_label`, `data_task`.
    False and None leave an attribute out, True writes its name alone.
    """
    written = "".join(
        f" {_attribute(key)}" + ("" if value is True else f'="{escape(value)}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if tag in _VOID:
        return Html(f"<{tag}{written}>")
    return Html(f"<{tag}{written}>{join(children)}</{tag}>")


def _attribute(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def join(children: Iterable[str | None], between: str = "") -> Html:
    """Return children one after another; those that are not Html are escaped."""
    return Html(between.join(c if isinstance(c, Html) else escape(c) for c in children if c is not None))


def section(anchor: str, heading: str, *children: str | None) -> Html:
    """Return a section with a heading that the page's menu can point to."""
    return element(
        "section",
        element("h2", heading, id=f"{anchor}-heading"),
        *children,
        id=anchor,
        aria_labelledby=f"{anchor}-heading",
    )


@dataclass(frozen=True, slots=True)
class Cell:
    """A table's cell.

    Attributes:
        text: what it says; Html passes as it is.
        note: a second, smaller line (an interval, a p-value).
        strong: set in bold (the best of its column).
        heat: shading from 0 (none) to 9, or None.
        number: aligned as a number.
    """

    text: str
    note: str = ""
    strong: bool = False
    heat: int | None = None
    number: bool = True


def table(
    caption: str,
    header: Sequence[str],
    rows: Iterable[Sequence[str | Cell]],
    *,
    wide: bool = True,
) -> Html:
    """Return a table. The first cell of each row is its heading; plain strings are text cells.

    `wide` lets the table scroll by itself, so that it never widens the page.
    """
    listed = list(rows)
    numbers = (
        [isinstance(cell, Cell) and cell.number for cell in listed[0]] if listed else [False] * len(header)
    )
    names = zip(header, numbers, strict=True)
    head = element(
        "tr", *(element("th", name, scope="col", class_="number" if right else None) for name, right in names)
    )
    body = join(
        element("tr", element("th", *_content(row[0]), scope="row"), *(_cell(cell) for cell in row[1:]))
        for row in listed
    )
    made = element("table", element("caption", caption), element("thead", head), element("tbody", body))
    if not wide:
        return made
    return element("div", made, class_="scroll", tabindex="0", role="region", aria_label=caption)


def _cell(cell: str | Cell) -> Html:
    if not isinstance(cell, Cell):
        return element("td", cell)
    classes = [name for name, on in (("number", cell.number), ("strong", cell.strong)) if on]
    if cell.heat is not None:
        classes.append(f"heat-{min(9, max(0, cell.heat))}")
    return element("td", *_content(cell), class_=" ".join(classes) or None)


def _content(cell: str | Cell) -> list[Html]:
    if not isinstance(cell, Cell):
        return [join([cell])]
    text = element("b", cell.text) if cell.strong else join([cell.text])
    return [text, element("span", cell.note, class_="note")] if cell.note else [text]


def picture(svg: bytes, alt: str, caption: str, *, key: Mapping[str, str] | None = None) -> Html:
    """Return a figure that carries its SVG inside the page.

    Args:
        svg: the drawing.
        alt: what it shows, in words, for those who do not see it.
        caption: stands below it.
        key: short ids used in the drawing → the labels they stand for.
    """
    source = "data:image/svg+xml;base64," + base64.b64encode(svg).decode("ascii")
    terms = [join([element("dt", short), element("dd", label)]) for short, label in (key or {}).items()]
    return element(
        "figure",
        element("img", src=source, alt=alt),
        element("figcaption", caption, element("dl", *terms, class_="key") if terms else None),
    )


def facts_of(pairs: Iterable[tuple[str, str]]) -> Html:
    """Return name–value pairs as a description list (provenance, settings, counts)."""
    return element(
        "dl", *(join([element("dt", name), element("dd", value)]) for name, value in pairs), class_="pairs"
    )


def fold(summary: str, *children: str | None, open_: bool = False) -> Html:
    """Return a part that unfolds on request."""
    return element("details", element("summary", summary), *children, open=open_)


# ---------------------------------------------------------------- samples one can page through


@dataclass(frozen=True, slots=True)
class ShownFact:
    """A fact as the browser shows it.

    Attributes:
        parts: the fact, as written.
        spans: where its parts stand in the article, in characters.
        kind: MATCHED, MISSING, SPURIOUS, or "" where nothing is compared.
        note: what is wrong with it, in a word or two.
    """

    parts: Fact
    spans: tuple[Span, ...] = ()
    kind: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """One model's prediction for a sample.

    Attributes:
        model: its name.
        text: the prediction as it came.
        score: from 0 to 1; the browser sorts by it.
        outcome: one of OUTCOMES.
        errors: kinds of error found in it.
        gold: what became of the sample's facts: one ShownFact per fact, in the sample's order.
        facts: the predicted facts.
    """

    model: str
    text: str
    score: float
    outcome: str
    errors: tuple[str, ...]
    gold: tuple[ShownFact, ...]
    facts: tuple[ShownFact, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """One record with its label and, where models are compared, their predictions.

    `facts` are the label's, with their spans; their kinds and notes are shown where there are no answers.
    An empty `gold` is not shown.
    """

    id: str
    task: str
    language: str
    instruction: str
    article: str
    gold: str
    facts: tuple[ShownFact, ...]
    answers: tuple[Answer, ...] = ()


def browser(samples: Sequence[Sample], *, name: str = "samples", note: str = "", heading: str = "") -> Html:
    """Return the sample browser: its controls, and its samples as data for the page's script.

    Args:
        samples: in file order. Articles and instructions that repeat are stored once.
        name: prefix of the ids; one page may hold several browsers.
        note: a line above it, such as how the samples were chosen.
        heading: above a sample's facts; that they are the label's where none is given.
    """
    models = list(dict.fromkeys(answer.model for sample in samples for answer in sample.answers))
    tasks = list(dict.fromkeys(sample.task for sample in samples))
    errors = sorted({kind for sample in samples for answer in sample.answers for kind in answer.errors})
    return _rendered(
        "browser.html.j2",
        name=name,
        note=note,
        heading=heading or _("Label (gold)"),
        tasks=tasks,
        models=models,
        outcomes=[(outcome, _(outcome)) for outcome in OUTCOMES],
        errors=[(_(kind), _(kind)) for kind in errors],
        pairs=lambda values: [(value, value) for value in values],
        data=data_block(f"{name}-data", _browser_data(samples, models, tasks, errors)),
    )


def _browser_data(
    samples: Sequence[Sample], models: Sequence[str], tasks: Sequence[str], errors: Sequence[str]
) -> Json:
    """Return the samples as the script reads them: texts by number, facts as short lists."""
    texts: dict[str, int] = {}

    def number(text: str) -> int:
        return texts.setdefault(text, len(texts))

    entries = [
        {
            "id": sample.id,
            "task": tasks.index(sample.task),
            "language": sample.language,
            "instruction": number(sample.instruction),
            "article": number(sample.article),
            "gold": sample.gold,
            "facts": [[fact.parts, fact.spans, fact.kind, fact.note] for fact in sample.facts],
            "answers": {models.index(a.model): _answer_data(a, errors) for a in sample.answers},
        }
        for sample in samples
    ]
    kinds = [_(kind) for kind in errors]
    return {"tasks": tasks, "models": models, "errors": kinds, "texts": list(texts), "samples": entries}


def _answer_data(answer: Answer, errors: Sequence[str]) -> Json:
    return {
        "text": answer.text,
        "score": round(answer.score, 4),
        "outcome": OUTCOMES.index(answer.outcome),
        "errors": [errors.index(kind) for kind in answer.errors],
        "gold": [[fact.kind, fact.note] for fact in answer.gold],
        "facts": [[fact.parts, fact.spans, fact.kind, fact.note] for fact in answer.facts],
    }


def data_block(anchor: str, value: Json) -> Html:
    """Return JSON for the page's script. No text in it can end the element or start another."""
    return Html(
        f'<script type="application/json" id="{escape(anchor)}">{dumps(value).translate(_IN_SCRIPT)}</script>'
    )


# ---------------------------------------------------------------- the whole page


_IN_PAGE = re.compile(r'\b_\("([^"]+)"')


def _words(script: str) -> Html | None:
    """Return the script's messages with their translations, as data for it; nothing for its own language."""
    if language() == LANGUAGES[0]:
        return None
    return data_block("words", {message: _(message) for message in _IN_PAGE.findall(script)})


def document(title: str, subtitle: str, parts: Sequence[tuple[str, str, Html]]) -> str:
    """Return a whole HTML file in the reader's language.

    Args:
        title: also the window's title.
        subtitle: a line below it.
        parts: (anchor, heading, content) in order; the menu lists them.
    """
    style, script = (
        package_files("etlch.render").joinpath(name).read_text("utf-8") for name in ("page.css", "page.js")
    )
    return _rendered(
        "page.html.j2",
        language=language(),
        title=title,
        subtitle=subtitle,
        parts=parts,
        policy=_policy(style, script),
        style=Html(style),
        script=Html(script),
        words=_words(script),
    )


def _rendered(template: str, **values: object) -> Html:
    """Render a template of this package; every string that is not Html is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("etlch.render", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: (
            escape(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
        ),
        keep_trailing_newline=True,
    )
    return Html(environment.get_template(template).render(values, _=_))


def _policy(style: str, script: str) -> str:
    """Return a policy that lets in this style, this script and pictures in the file, nothing else."""
    return (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; img-src data:; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii") + "'"
