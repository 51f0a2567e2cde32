"""Settings: defaults, a YAML file and command-line options walk in; one frozen Settings walks out.

The field defaults below are the only place where defaults stand; the commands show them.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from etlch.core.errors import EtlchError, nearest
from etlch.core.files import load_yaml
from etlch.core.records import TASKS, Json

FORBID = {"extra": "forbid"}


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens."""

    input: float
    output: float


@dataclass(frozen=True)
class Settings:
    """Everything that `etlch-data` can be told. Options of the command come first, rarer keys after.

    Attributes:
        teacher: a model's name at the endpoint, or "offline".
        base_url: an OpenAI-compatible endpoint; None is OpenAI's own.
        tasks: names of tasks; all share the same articles.
        language: of articles, instructions and labels.
        sizes: records per task, train and validation together; each size contains the smaller ones.
        test: accepted articles kept for the test set, the same for all tasks.
        articles: the user's own texts instead of written ones.
        prompts: a folder of overrides.
        budget: hard cap in US dollars, by this program's account.
        seed: of the plan and of the offline teacher.
        concurrency: requests in flight.
        key_file: a file that holds the API key; otherwise OPENAI_API_KEY.
        temperature: sent with every request; None leaves it to the endpoint. Another one asks, and pays for,
            everything again.
        max_tokens: sent with every request. Another one asks, and pays for, everything again.
        timeout: seconds for one request.
        tries: sends of one request before transport trouble stops the run.
        requests_per_minute, tokens_per_minute: limits; None reads them from response headers.
        price: of the teacher, where the price table does not know it.
        constrained: `predict` sends each record's schema as response format.
        asks: how often one thing is asked for until its content is right.
        candidates: articles tried per article needed before the run gives up.
        ner_types: "closed" uses prompts/ner/types.yaml; "open" lets the teacher choose.
        min_chars: refuse shorter articles; 0 refuses none.
        max_chars: refuse longer articles; 0 refuses none.
        chunk: cut your own texts at sentence ends into at most this many characters; 0 cuts none.
        text_column: the column of your own texts; None looks for text, content, article, ...
        ungrounded: what happens to a fact that does not stand in its article once asks are spent.
        policies: how a field, entity type, relation or part (subject, object) must stand in its article:
            verbatim (the default), normalised, derived, or a list of the allowed values.
        domains: draw topics from these domains only.
        genres: draw genres from these only.
        lengths: target lengths of articles, words in English and characters in Chinese; 0 leaves one open.
        split_by: keep topics or domains apart between test and training.
        label_first: draw facts first and have the teacher write the article around them.
        task_file: a Python file that defines a task of the user's own. It is executed.
        preset: the recipe preset, one of llamafactory_configs/, or a YAML file.
        base_model: overrides the preset's model_name_or_path.
        template: overrides the preset's chat template.
        seeds: training seeds; one recipe each.
        baselines: predict these models too: name → {model, template}.
        variants: further training sets: multi, single, leave-one-out.
        shots: predict the base model also with this many solved examples before each question; 0 does not.
        matrix: "paper" takes the paper's baselines, three seeds and all variants instead of
            the three settings above; sizes stay those named.
    """

    teacher: str = "gpt-4o-mini"
    base_url: str | None = None
    tasks: tuple[str, ...] = TASKS
    language: Literal["zh-TW", "zh-CN", "en"] = "zh-TW"
    sizes: tuple[int, ...] = (100,)
    test: int = 300
    articles: str | None = None
    prompts: str | None = None
    budget: float | None = None
    seed: int = 0
    concurrency: int = 32

    key_file: str | None = None
    temperature: float | None = None
    max_tokens: int = 4096
    timeout: float = 120.0
    tries: int = 6
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    price: Price | None = None
    constrained: bool = False
    asks: int = 3
    candidates: float = 3.0
    ner_types: Literal["closed", "open"] = "closed"
    min_chars: int = 0
    max_chars: int = 0
    chunk: int = 1500
    text_column: str | None = None
    ungrounded: Literal["drop", "reject"] = "drop"
    policies: dict[str, str | list[str]] = field(default_factory=dict)
    domains: tuple[str, ...] = ()
    genres: tuple[str, ...] = ()
    lengths: tuple[int, ...] = ()
    split_by: Literal["article", "topic", "domain"] = "article"
    label_first: bool = False
    task_file: str | None = None
    preset: str = "efficient"
    base_model: str | None = None
    template: str | None = None
    seeds: tuple[int, ...] = (42,)
    baselines: dict[str, dict[str, str]] = field(default_factory=dict)
    variants: tuple[Literal["multi", "single", "leave-one-out"], ...] = ("multi",)
    shots: int = 0
    matrix: Literal["settings", "paper"] = "settings"

    __pydantic_config__ = FORBID

    def __post_init__(self) -> None:
        """Refuse values that no run can have.

        Raises:
            EtlchError: names the setting and what it takes.
        """
        if self.teacher != "offline" and nearest(self.teacher.lower(), ["offline"], cutoff=0.8):
            raise EtlchError(
                f"teacher: there is no '{self.teacher}'. Did you mean 'offline'?", "Write --teacher offline."
            )
        _positive("sizes", self.sizes)
        _positive("concurrency", (self.concurrency,))
        _positive("asks", (self.asks,))
        _positive("tries", (self.tries,))
        _positive("max_tokens", (self.max_tokens,))
        if not self.tasks:
            raise EtlchError("tasks: none chosen", "Name at least one, e.g. --tasks json,kge,ner.")
        if not self.sizes:
            raise EtlchError("sizes: none chosen", "Name at least one, e.g. --sizes 100.")
        for name in ("timeout", "candidates", "requests_per_minute", "tokens_per_minute"):
            _at_least(name, getattr(self, name), 0, open_end=True)
        for name in ("test", "shots", "budget", "chunk", "min_chars", "max_chars", "temperature"):
            _at_least(name, getattr(self, name), 0)
        if self.price is not None:
            _at_least("price: input", self.price.input, 0)
            _at_least("price: output", self.price.output, 0)
        _known_policies(self.policies)
        for name in ("tasks", "sizes", "seeds"):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                raise EtlchError(f"{name}: {', '.join(map(str, values))} names one twice", "Name each once.")

    @property
    def default_out(self) -> Path:
        """The run folder when none is named."""
        return Path("outputs") / f"{re.sub(r'[^A-Za-z0-9._-]+', '-', self.teacher)}-{self.language}"


@dataclass(frozen=True)
class ScoreSettings:
    """Everything that `etlch-score` can be told. Options of the command come first, rarer keys after.

    Attributes:
        tokenizer: of ROUGE: hybrid, char, jieba (LlamaFactory's) or rouge-score (that package's).
        metrics: names of metrics to compute; none computes all.
        task: of files that do not say it themselves.
        model: score this model only; for one loose file, its name.
        baseline: compare with this model only, instead of all base and baseline models.
        language: of files that do not say it; found from the labels otherwise.
        task_file: a Python file that defines a task of the user's own. It is executed.
        label_map: a type's name in the files → the name it is compared under.
        end_markers: removed from the end of labels and predictions before they are read.
        bad_lines: whether a line that cannot be used stops the scoring, or is skipped and counted.
        repeats: whether a model's second answer to a record does; skipped, the first one counts.
        cosine: "auto" takes the best model that is on this machine, "off" none; otherwise the name
            or folder of a sentence-transformers model, or the name of a `lite` package.
        test: "paired", or the paper's: "fisher" (one-sided, unpaired) and "ztest" (unpaired).
        resamples: of bootstrap and sign flips; by default 10,000, and 1,000 above 20,000 articles.
        seed: of the resampling.
        type_support: types with fewer gold facts get counts, but no precision, recall and F1.
        workers: processes; 0 takes one a core.
    """

    tokenizer: Literal["hybrid", "char", "jieba", "rouge-score"] = "hybrid"
    metrics: tuple[str, ...] = ()
    task: str | None = None
    model: str | None = None
    baseline: str | None = None

    language: Literal["zh-TW", "zh-CN", "en"] | None = None
    task_file: str | None = None
    label_map: dict[str, str] = field(default_factory=dict)
    end_markers: tuple[str, ...] = (
        "END",
        "</s>",
        "<|im_end|>",
        "<|eot_id|>",
        "<|endoftext|>",
        "<|end_of_text|>",
        "<end_of_turn>",
    )
    bad_lines: Literal["refuse", "skip"] = "refuse"
    repeats: Literal["refuse", "skip"] = "refuse"
    cosine: str = "auto"
    test: Literal["paired", "fisher", "ztest"] = "paired"
    resamples: int | None = None
    seed: int = 0
    type_support: int = 5
    workers: int = 0

    __pydantic_config__ = FORBID


Kind = TypeVar("Kind")


def load_settings(kind: type[Kind], file: Path | None, options: dict[str, Json]) -> Kind:
    """Return settings: defaults, overridden by the file, overridden by options that are not None.

    Raises:
        EtlchError: an unknown key (with the nearest known one), or a value of the wrong kind.
    """
    held: dict[str, Json] = {}
    if file is not None:
        loaded = load_yaml(file)
        if not isinstance(loaded, dict | None):
            raise EtlchError(f"{file}: settings are `key: value` lines", "See docs/settings.md.")
        held.update(loaded or {})
    held.update({name: value for name, value in options.items() if value is not None})
    return parse_settings(kind, held, str(file) if file else "settings")


def parse_settings(kind: type[Kind], values: dict[str, Json], where: str) -> Kind:
    """Return validated settings from plain values. `where` names their file in messages.

    Raises:
        EtlchError: as load_settings says.
    """
    from pydantic import ValidationError

    known = [item.name for item in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            raise _unknown(kind, str(name), where, known)
    try:
        read: Kind = _adapter(kind).validate_python(values)  # type: ignore[arg-type]
        return read
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        raise EtlchError(
            f"{where}: {name}: {_shown(values[name])} is not {_wanted(kind, name)}",
            f"Write it so: {name}: {_shown(_example(kind, name))}",
        ) from error


def _unknown(kind: type[Any], name: str, where: str, known: list[str]) -> EtlchError:
    """Return the error about a key that this command does not know; the other command may."""
    command, page = ("etlch-score", "docs/settings.md")
    if kind is ScoreSettings:
        command, page = ("etlch-data", "docs/metrics.md, section Settings")
    elsewhere = dataclasses.fields(Settings if kind is ScoreSettings else ScoreSettings)
    if name in (item.name for item in elsewhere):
        return EtlchError(
            f"{where}: '{name}' is a setting of {command}",
            "Each of the two commands has a settings file of its own.",
        )
    return EtlchError(f"{where}: unknown setting '{name}'.{nearest(name, known)}", f"See {page}.")


@cache
def _adapter(kind: type[Any]) -> Any:
    """Return pydantic's reader of a kind of settings; making one takes longer than all reading."""
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


_WANTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a text",
    "tuple[int, ...]": "a list of whole numbers",
    "tuple[str, ...]": "a list of texts",
    "Price": "a price in US dollars per million tokens",
    "dict[str, str | list[str]]": "a mapping of names to policies",
    "dict[str, dict[str, str]]": "a mapping of names to models",
    "dict[str, str]": "a mapping of names to names",
}
_EXAMPLES: dict[str, Json] = {
    "int": 100,
    "float": 2.0,
    "str": "name",
    "tuple[int, ...]": [100, 300],
    "tuple[str, ...]": ["finance", "medicine"],
    "Price": {"input": 0.15, "output": 0.6},
    "dict[str, str | list[str]]": {"date": "normalised"},
    "dict[str, dict[str, str]]": {"qwen-7b": {"model": "Qwen/Qwen2.5-7B-Instruct", "template": "qwen"}},
    "dict[str, str]": {"PER": "Person"},
}


def _type(kind: type[Any], name: str) -> str:
    """Return a setting's type as it is written above, without `| None`."""
    return str(kind.__annotations__[name]).removesuffix(" | None")


def _wanted(kind: type[Any], name: str) -> str:
    """Return in words what a setting takes."""
    of = _type(kind, name)
    if not (choices := _choices(of)):
        return _WANTED[of]
    return ("a list of some of " if of.startswith("tuple") else "one of ") + ", ".join(choices)


def _example(kind: type[Any], name: str) -> Json:
    """Return a right value: the default, where that shows how it is written."""
    default = getattr(kind, name, None)
    if default not in (None, ()):
        return _plain(default)
    of = _type(kind, name)
    return _EXAMPLES[of] if of in _EXAMPLES else _choices(of)[0]


def _choices(of: str) -> list[str]:
    """Return the values that a type's Literal lists."""
    listed = re.search(r"Literal\[(.+?)\]", of)
    return [choice.strip("'\" ") for choice in listed[1].split(",")] if listed else []


def _shown(value: Json) -> str:
    """Return a value as it stands in a settings file."""
    import yaml

    written = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=1000)
    return str(written).removesuffix("\n").removesuffix("\n...")


def plain(settings: Any) -> dict[str, Json]:
    """Return settings as plain values for YAML: tuples become lists."""
    return {key: _plain(value) for key, value in dataclasses.asdict(settings).items()}


def settings_schema(kind: type[Any]) -> Json:
    """Return the JSON Schema of a settings file, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_adapter(kind).json_schema()}  # type: ignore[arg-type]


def _plain(value: Json) -> Json:
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _positive(name: str, values: tuple[int, ...]) -> None:
    for value in values:
        if value < 1:
            raise EtlchError(f"{name}: {value} is not a positive number", "Name 1 or more.")


def _at_least(name: str, value: float | None, least: float, *, open_end: bool = False) -> None:
    if value is not None and (value < least or (open_end and value == least)):
        raise EtlchError(
            f"{name}: {value} is too little",
            f"Name {'more than ' if open_end else ''}{least}{'' if open_end else ' or more'}.",
        )


def _known_policies(policies: dict[str, str | list[str]]) -> None:
    known = ("verbatim", "normalised", "derived")
    for name, policy in policies.items():
        if isinstance(policy, str) and policy not in known:
            raise EtlchError(
                f"policies: {name}: there is no policy '{policy}'.{nearest(policy, known)}",
                f"Use {', '.join(known)}, or a list of the allowed values.",
            )
