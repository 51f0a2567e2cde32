"""The settings of etlch-data, in groups, and those of etlch-score: names, types, limits, defaults.

The defaults below are the only place where defaults stand; the commands show them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from etlch.core.errors import EtlchError, nearest
from etlch.core.growth import FORBID, Growth
from etlch.core.records import TASKS, form_name, test_name

# Annotations stay text until a value is read, so that `--help` does not import pydantic; config.py resolves them.
if TYPE_CHECKING:
    from pydantic import Field

POLICIES = ("verbatim", "normalised", "number", "derived")
"""How a part of a fact must stand in its article, where its setting is not a list of values."""


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens; `cached` is that of input which the endpoint has cached, by default as `input`."""

    input: Annotated[float, Field(ge=0)]
    output: Annotated[float, Field(ge=0)]
    cached: Annotated[float | None, Field(ge=0)] = None

    __pydantic_config__ = FORBID


@dataclass(frozen=True)
class TeacherSettings:
    """Who is asked, how, and for how much money.

    Attributes:
        name: a model's name at the endpoint, or "offline"; in a group: `name`.
        base_url: an OpenAI-compatible endpoint; None is OpenAI's own.
        key_file: a file that holds the API key; otherwise OPENAI_API_KEY.
        budget: hard cap in US dollars, by this program's account.
        concurrency: requests in flight.
        temperature: sent with every request; None leaves it to the endpoint. Another one asks, and pays for,
            everything again.
        max_tokens: sent with every request. Another one asks, and pays for, everything again.
        timeout: seconds for one request.
        tries: sends of one request before transport trouble stops the run.
        patience: seconds without any answer, from an endpoint that has answered before or says that it is busy, that
            are waited out all the same.
        requests_per_minute, tokens_per_minute: limits; None reads them from response headers.
        price: of the teacher, where the price table does not know it.
        constrained: `predict` sends each record's schema as response format.
        batch: send through the Batch API, at half the price and with a day's patience.
        extra_body: further parameters of every request, e.g. top_p, reasoning_effort, or what a server of your own
            takes. Another one asks, and pays for, everything again.
        headers: further headers of every request; a secret is written as the environment variable that holds it.
    """

    name: str = "gpt-4o-mini"
    base_url: Annotated[str | None, Field(examples=["http://localhost:8000/v1"])] = None
    key_file: Annotated[str | None, Field(examples=["~/.openai-key"])] = None
    budget: Annotated[float | None, Field(ge=0, examples=[2.0])] = None
    concurrency: Annotated[int, Field(gt=0)] = 32
    temperature: Annotated[float | None, Field(ge=0, examples=[0.7])] = None
    max_tokens: Annotated[int, Field(gt=0)] = 4096
    timeout: Annotated[float, Field(gt=0)] = 120.0
    tries: Annotated[int, Field(gt=0)] = 6
    patience: Annotated[float, Field(ge=0)] = 300.0
    requests_per_minute: Annotated[int | None, Field(gt=0, examples=[500])] = None
    tokens_per_minute: Annotated[int | None, Field(gt=0, examples=[200000])] = None
    price: Annotated[Price | None, Field(examples=[{"input": 0.15, "output": 0.6}])] = None
    constrained: bool = False
    batch: bool = False
    extra_body: Annotated[
        dict[str, Any],
        Field(examples=[{"reasoning_effort": "low", "chat_template_kwargs": {"enable_thinking": False}}]),
    ] = field(default_factory=dict)
    headers: Annotated[
        dict[str, str], Field(examples=[{"X-Title": "my data", "api-key": "$AZURE_OPENAI_API_KEY"}])
    ] = field(default_factory=dict)

    __pydantic_config__ = FORBID

    def __post_init__(self) -> None:
        """Refuse a misspelt `offline`.

        Raises:
            EtlchError: it would be sent to a paid endpoint as a model's name.
        """
        if self.name != "offline" and nearest(self.name.lower(), ["offline"], cutoff=0.8):
            raise EtlchError(
                f"teacher: there is no '{self.name}'. Did you mean 'offline'?", "Write --teacher offline."
            )


@dataclass(frozen=True)
class PlanSettings:
    """What a run consists of: texts, tasks, sizes and how they are drawn.

    Attributes:
        tasks: names of tasks; all share the same articles.
        language: of articles, instructions and labels.
        sizes: records per task, train and validation together; each size contains the smaller ones.
        test: accepted articles kept for the test set, the same for all tasks.
        articles: the user's own texts instead of written ones.
        prompts: a folder of overrides.
        seed: of the plan and of the offline teacher.
        candidates: articles tried per article needed before the run gives up.
        ner_types: "closed" uses prompts/ner/types.yaml; "open" lets the teacher choose.
        chunk: cut your own texts at sentence ends into at most this many characters; 0 cuts none.
        text_column: the column of your own texts; None looks for text, content, article, ...
        domains: draw topics from these domains only.
        genres: draw genres from these only.
        lengths: target lengths of articles, words in English and characters in Chinese; 0 leaves one open.
        split_by: keep topics or domains apart between test and training.
        hold_out_forms: the offline teacher writes the test set in sentence forms that training never shows.
        hard_texts: the offline teacher takes names up again by a noun or a surname, and adds statements that are
            negated or hypothetical, and no facts.
        label_first: draw facts first and have the teacher write the article around them.
        task_file: a Python file that defines a task of the user's own. It is executed.
        schema: a JSON Schema file, or module:PydanticModel (imported, so executed), for labels of your own form.
        schema_in_prompt: instructions of the task `schema` state the JSON Schema itself.
        growth: from which place of the plan on what is drawn more often; `etlch-data grow` writes it.
    """

    tasks: Annotated[tuple[str, ...], Field(min_length=1)] = TASKS
    language: Literal["zh-TW", "zh-CN", "en"] = "zh-TW"
    sizes: Annotated[tuple[Annotated[int, Field(gt=0)], ...], Field(min_length=1)] = (100,)
    test: Annotated[int, Field(ge=0)] = 300
    articles: Annotated[str | None, Field(examples=["mine.txt"])] = None
    prompts: Annotated[str | None, Field(examples=["my-prompts"])] = None
    seed: int = 0
    candidates: Annotated[float, Field(gt=0)] = 3.0
    ner_types: Literal["closed", "open"] = "closed"
    chunk: Annotated[int, Field(ge=0)] = 1500
    text_column: Annotated[str | None, Field(examples=["body"])] = None
    domains: Annotated[tuple[str, ...], Field(examples=[["finance", "medicine"]])] = ()
    genres: Annotated[tuple[str, ...], Field(examples=[["news report"]])] = ()
    lengths: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(examples=[[300, 600]])] = ()
    split_by: Literal["article", "topic", "domain"] = "article"
    hold_out_forms: bool = False
    hard_texts: bool = False
    label_first: bool = False
    task_file: Annotated[str | None, Field(examples=["events.py"])] = None
    schema: Annotated[str | None, Field(examples=["contract.json"])] = None
    schema_in_prompt: bool = False
    growth: tuple[Growth, ...] = ()

    __pydantic_config__ = FORBID

    def __post_init__(self) -> None:
        """Refuse a task or a size named twice.

        Raises:
            EtlchError: names it.
        """
        _once("tasks", self.tasks)
        _once("sizes", self.sizes)


@dataclass(frozen=True)
class CheckSettings:
    """What an article and an answer must fulfil to become a record.

    Attributes:
        max_attempts: how often one thing is asked for until its content is right.
        min_chars: refuse shorter articles; 0 refuses none.
        max_chars: refuse longer articles; 0 refuses none.
        ungrounded: what happens to a fact that does not stand in its article once all attempts are spent;
            `keep` is for imported labels of people.
        policies: how a field, entity type, relation or part (subject, object) must stand in its article:
            verbatim (the default), normalised, number, derived, or a list of the allowed values.
    """

    max_attempts: Annotated[int, Field(gt=0)] = 3
    min_chars: Annotated[int, Field(ge=0)] = 0
    max_chars: Annotated[int, Field(ge=0)] = 0
    ungrounded: Literal["drop", "reject", "keep"] = "drop"
    policies: Annotated[dict[str, str | list[str]], Field(examples=[{"date": "normalised"}])] = field(
        default_factory=dict
    )

    __pydantic_config__ = FORBID

    def __post_init__(self) -> None:
        """Refuse a policy that does not exist.

        Raises:
            EtlchError: names it, and the nearest one.
        """
        _known_policies(self.policies)


@dataclass(frozen=True)
class ExportSettings:
    """What LlamaFactory is given to train and to predict. `etlch-data export` can change all of it.

    Attributes:
        preset: the recipe preset, one of llamafactory_configs/, or a YAML file.
        base_model: overrides the preset's model_name_or_path.
        template: overrides the preset's chat template.
        seeds: training seeds; one recipe each.
        baselines: predict these models too: name → {model, template}.
        variants: further training sets: multi, single, leave-one-out.
        mix: further training sets of a run that labels of people were imported into (`import --into`): how many of
            them, and of the run's own.
        shots: predict the base model also with this many solved examples before each question; 0 does not.
        prompt_forms: ask the test articles of the task schema also under this many prompt forms (other wording, order
            and names of keys), each a test set of its own; etlch-score tells mean, worst and spread over them.
        train_forms: write the training records of the task schema under this many forms in turn, besides their own.
        key_names: other names that forms may give to a key of the schema; without any its letters' case varies.
        matrix: "paper" takes the paper's baselines, three seeds and all variants instead of
            the three settings above; sizes stay those named.
        predict_with: "etlch" predicts all data sets of a model in one process, rows of like length together, with
            LlamaFactory's own loading and prompts; "llamafactory" starts llamafactory-cli for each.
        predict_batch: rows in a batch of predictions; None takes the preset's per_device_eval_batch_size.
    """

    preset: str = "efficient"
    base_model: Annotated[str | None, Field(examples=["Qwen/Qwen2.5-0.5B-Instruct"])] = None
    template: Annotated[str | None, Field(examples=["qwen"])] = None
    seeds: tuple[int, ...] = (42,)
    baselines: Annotated[
        dict[str, dict[str, str]],
        Field(examples=[{"qwen-7b": {"model": "Qwen/Qwen2.5-7B-Instruct", "template": "qwen"}}]),
    ] = field(default_factory=dict)
    variants: tuple[Literal["multi", "single", "leave-one-out"], ...] = ("multi",)
    mix: Annotated[
        tuple[dict[Literal["human", "synthetic"], Annotated[int, Field(gt=0)]], ...],
        Field(examples=[[{"human": 100}, {"human": 100, "synthetic": 300}]]),
    ] = ()
    shots: Annotated[int, Field(ge=0)] = 0
    prompt_forms: Annotated[int, Field(ge=0)] = 0
    train_forms: Annotated[int, Field(ge=0)] = 0
    key_names: Annotated[dict[str, list[str]], Field(examples=[{"signed": ["signing date"]}])] = field(
        default_factory=dict
    )
    matrix: Literal["settings", "paper"] = "settings"
    predict_with: Literal["etlch", "llamafactory"] = "etlch"
    predict_batch: Annotated[int | None, Field(gt=0, examples=[32])] = None

    __pydantic_config__ = FORBID

    def __post_init__(self) -> None:
        """Refuse a seed named twice, and an empty mix.

        Raises:
            EtlchError: names it.
        """
        _once("seeds", self.seeds)
        if not all(self.mix):
            raise EtlchError(
                "mix: a training set names no records", "Write e.g. mix: [{human: 100, synthetic: 300}]."
            )

    @property
    def human_sizes(self) -> tuple[int, ...]:
        """How many of the imported records the training sets of `mix` take, ascending, each once."""
        return tuple(sorted({mix["human"] for mix in self.mix if "human" in mix}))


@dataclass(frozen=True)
class Settings:
    """Everything that `etlch-data` can be told, in groups. A function takes the group that it needs."""

    teacher: TeacherSettings = field(default_factory=TeacherSettings)
    plan: PlanSettings = field(default_factory=PlanSettings)
    check: CheckSettings = field(default_factory=CheckSettings)
    export: ExportSettings = field(default_factory=ExportSettings)

    __pydantic_config__ = FORBID

    @property
    def needed(self) -> int:
        """Accepted articles in the end: the test set's and those of the largest size."""
        return self.plan.test + max(self.plan.sizes)

    @property
    def own_sizes(self) -> tuple[int, ...]:
        """Sizes of the training sets of the run's own records, those that `mix` adds others to included."""
        mixed = (mix["synthetic"] for mix in self.export.mix if "synthetic" in mix)
        return tuple(sorted({*self.plan.sizes, *mixed}))

    @property
    def forms(self) -> dict[str, int]:
        """The test sets under prompt forms, as predictions and scores call them: `schema@form1` → 1."""
        asked = self.export.prompt_forms if self.plan.test and "schema" in self.plan.tasks else 0
        return {test_name("schema", form_name(number)): number for number in range(1, asked + 1)}

    @property
    def default_out(self) -> Path:
        """The run folder when none is named."""
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", self.teacher.name)
        return Path("outputs") / f"{name}-{self.plan.language}"


@dataclass(frozen=True)
class ScoreSettings:
    """Everything that `etlch-score` can be told. Options of the command come first, rarer keys after.

    Attributes:
        tokenizer: of ROUGE: hybrid, char, jieba (LlamaFactory's) or rouge-score (that package's).
        metrics: names of metrics to compute; none computes all.
        task: of files that do not say it themselves.
        model: score this model only; for one loose file, its name.
        baseline: compare with this model only, or these, instead of all base and baseline models.
        language: of files that do not say it; found from the labels otherwise.
        task_file: a Python file that defines a task of the user's own. It is executed.
        schema: the schema of labels that carry none, as `etlch-data` takes it: a file, or module:PydanticModel.
        label_map: a type's name in the files → the name it is compared under.
        end_markers: removed from the end of labels and predictions before they are read.
        compare: how the values of a field, type, relation or part are compared, where not exactly: normalised,
            number, number±0.5, number±1%, date, or fuzzy≥0.9 (docs/metrics.md).
        policies: which values need not stand in the article (derived, or a list of the allowed ones), as for
            `etlch-data`; a run folder's own are taken unless others are named.
        empty_values: values that say that there is none; a fact with one of them is left out on both sides.
        columns: what a file calls its columns: predict, label, prompt, id, input, article_id, task, model →
            a column's name, or a dotted path into one (`response.body.choices.0.message.content`).
        unreadable_gold: whether labels that cannot be read fail the gates, or are allowed.
        bad_lines: whether a line that cannot be used stops the scoring, or is skipped and counted.
        repeats: whether a model's second answer to a record does; skipped, the first one counts.
        cosine: "auto" takes the best model that is on this machine, "off" none; otherwise the name
            or folder of a sentence-transformers model, or the name of a `lite` package.
        test: "paired", or the paper's: "fisher" (one-sided, unpaired) and "ztest" (unpaired).
        resamples: of bootstrap and sign flips; by default 10,000, and 1,000 above 20,000 articles.
        seed: of the resampling.
        seed_sd: standard deviation of a score between trainings of one recipe, for --max-drop; by default as
            measured between the seeds of both scorings, else 0.03. 0 where the weights are the same.
        type_support: types with fewer gold facts get counts, but no precision, recall and F1.
        workers: processes; 0 takes one a core.
    """

    tokenizer: Literal["hybrid", "char", "jieba", "rouge-score"] = "hybrid"
    metrics: Annotated[tuple[str, ...], Field(examples=[["facts_f1", "exact"]])] = ()
    task: Annotated[str | None, Field(examples=["ner"])] = None
    model: Annotated[str | None, Field(examples=["tuned"])] = None
    baseline: Annotated[str | tuple[str, ...] | None, Field(examples=["base", ["base", "dictionary"]])] = None
    language: Annotated[Literal["zh-TW", "zh-CN", "en"] | None, Field(examples=["en"])] = None
    task_file: Annotated[str | None, Field(examples=["events.py"])] = None
    schema: Annotated[str | None, Field(examples=["contract.json"])] = None
    label_map: Annotated[dict[str, str], Field(examples=[{"PER": "Person"}])] = field(default_factory=dict)
    compare: Annotated[dict[str, str], Field(examples=[{"amount": "number±1%"}])] = field(
        default_factory=dict
    )
    policies: Annotated[dict[str, str | list[str]], Field(examples=[{"year": "derived"}])] = field(
        default_factory=dict
    )
    end_markers: tuple[str, ...] = (
        *("END", "</s>", "<|im_end|>", "<|eot_id|>", "<|endoftext|>", "<|end_of_text|>", "<end_of_turn>"),
    )
    empty_values: tuple[str, ...] = (
        *("NAN", "NaN", "nan", "N/A", "n/a", "None", "none", "null", "NULL", "not_stated", "not stated"),
        *("Not stated", "not specified", "Not specified", "not mentioned", "Not mentioned"),
        *("無", "无", "未提及"),
    )
    columns: Annotated[dict[str, str], Field(examples=[{"predict": "answer", "label": "expected.text"}])] = (
        field(default_factory=dict)
    )
    unreadable_gold: Literal["fail", "allow"] = "fail"
    bad_lines: Literal["refuse", "skip"] = "refuse"
    repeats: Literal["refuse", "skip"] = "refuse"
    cosine: str = "auto"
    test: Literal["paired", "fisher", "ztest"] = "paired"
    resamples: Annotated[int | None, Field(examples=[1000])] = None
    seed: int = 0
    seed_sd: Annotated[float | None, Field(ge=0, examples=[0.02])] = None
    type_support: int = 5
    workers: int = 0

    __pydantic_config__ = FORBID

    @property
    def baselines(self) -> tuple[str, ...]:
        """The names given as `baseline`; none takes the models whose role it is."""
        return (self.baseline,) if isinstance(self.baseline, str) else self.baseline or ()

    def __post_init__(self) -> None:
        """Refuse a policy that does not exist.

        Raises:
            EtlchError: names it, and the nearest one.
        """
        _known_policies(self.policies)


def _once(name: str, values: tuple[object, ...]) -> None:
    if len(set(values)) != len(values):
        raise EtlchError(f"{name}: {', '.join(map(str, values))} names one twice", "Name each once.")


def _known_policies(policies: dict[str, str | list[str]]) -> None:
    for name, policy in policies.items():
        if isinstance(policy, str) and policy not in POLICIES:
            raise EtlchError(
                f"policies: {name}: there is no policy '{policy}'.{nearest(policy, POLICIES)}",
                f"Use {', '.join(POLICIES)}, or a list of the allowed values.",
            )
