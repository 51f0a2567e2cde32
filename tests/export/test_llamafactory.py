"""Templates: what is proposed, and that every one LlamaFactory names ends in words, on a tiny model that few fit."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from etlch.core.config import make_settings
from etlch.core.errors import EtlchError
from etlch.core.run_folder import Run
from etlch.export import chat_templates, jobs
from etlch.export.jobs import Job
from etlch.export.llamafactory import known, proposed, settled, templates
from etlch.export.preflight.tokens import Look, look
from etlch.export.write import Exported, export
from tests.runs import make_run
from tests.tiny import TEMPLATE, tiny_llama

ALL = known().templates


@pytest.mark.train
def test_templates_and_base_models_are_those_of_the_installed_llamafactory() -> None:
    """Read from its source here, and from the values that it holds once imported there."""
    from llamafactory.data.mm_plugin import BasePlugin
    from llamafactory.data.template import TEMPLATES, ReasoningTemplate
    from llamafactory.extras.constants import DEFAULT_TEMPLATE, SUPPORTED_MODELS

    shown = {name: (one.thinks, one.media) for name, one in templates().items()}
    assert shown == {
        name: (isinstance(one, ReasoningTemplate), type(one.mm_plugin) is not BasePlugin)
        for name, one in TEMPLATES.items()
    }
    assert set(known().thinking) == {name for name, (thinks, _) in shown.items() if thinks}
    assert set(known().media) == {name for name, (_, media) in shown.items() if media}
    theirs: dict[str, str] = {}
    for name, sources in SUPPORTED_MODELS.items():
        if name in DEFAULT_TEMPLATE:
            theirs |= {hub.lower(): DEFAULT_TEMPLATE[name] for hub in sources.values()}
    assert len(theirs) > 400
    assert {hub: proposed(hub) for hub in theirs} == theirs


@pytest.mark.train
def test_a_base_model_that_the_table_knows_needs_no_template(tmp_path: Path) -> None:
    """Qwen3's is for models that think; its labels would begin with thoughts, and never match the gold."""
    run, done = exported(tmp_path, "Qwen/Qwen3-0.6B")
    assert {job.values["template"] for job in jobs.read_jobs(run)} == {"qwen3_nothink"}
    assert done.warnings == (
        "template qwen3, which LlamaFactory's table names for Qwen3-0.6B; --template takes another",
        "template qwen3 is for models that think before they answer; recipes take qwen3_nothink",
    )
    _, done = exported(tmp_path, str(tiny_llama(tmp_path / "Qwen2.5-0.5B-Instruct")))
    assert "template qwen, which LlamaFactory's table names for Qwen2.5-0.5B-Instruct" in done.warnings[0]
    with pytest.raises(
        EtlchError, match=r"no chat template is named for nobodys(.|\n)*Its own table names none"
    ):
        exported(tmp_path, "nobody/nobodys")


def exported(root: Path, base: str, **more: Any) -> tuple[Run, Exported]:
    settings = make_settings(
        teacher="offline",
        language="en",
        sizes=(20,),
        test=3,
        preset="smoke",
        base_model=base,
        tasks=("ner",),
        **more,
    )
    run = make_run(root / "demo", settings)
    return run, export(run, settings)


def test_thoughts_are_refused_turned_off_or_left_out() -> None:
    with pytest.raises(EtlchError, match="Labels hold no thoughts: say enable_thinking: false"):
        settled("qwen3", {"enable_thinking": True})
    assert settled("qwen3", {"enable_thinking": False}) == ("qwen3", "")
    assert settled("qwen3", {})[0] == "qwen3_nothink"
    name, told = settled("deepseekr1", {})
    assert name == "deepseekr1" and "recipes say enable_thinking: false" in told
    assert settled("llama3", {"enable_thinking": True}) == ("llama3", "")


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, dict[str, str], Look]:
    """A run with a baseline for each template, the template of its recipe, and what preflight finds."""
    root = tmp_path_factory.mktemp("every")
    folder = tiny_llama(root / "tiny")
    named = {f"with-{name}": {"model": str(folder), "template": name} for name in ALL}
    run, _ = exported(root, str(folder), template=TEMPLATE, baselines=named)
    predicting = [job for job in jobs.read_jobs(run) if job.kind == "predict"]
    return run, {job.model: str(job.values["template"]) for job in predicting}, look(run, predicting)


@pytest.mark.train
@pytest.mark.slow
def test_preflight_of_every_template_ends_in_words(every: tuple[Run, dict[str, str], Look]) -> None:
    """The tiny model has Llama 3's control tokens and no processor: what else a template needs is told."""
    _, taken, found = every
    told: dict[str, list[str]] = {}
    for finding in found.findings:
        if finding.level == "error":
            assert finding.fix
            for name in re.findall(r"^template (\S+) ", finding.what):
                told.setdefault(name, []).append(finding.what)
    assert set(taken.values()) >= {name for name in ALL if not templates()[name].thinks}
    for name in set(taken.values()):
        said = told.get(name, [])
        if templates()[name].media:
            assert len(said) == 1 and "needs a processor of images or audio" in said[0]
        elif name in ("chatglm3", "yuan"):
            assert len(said) == 1 and "writes tokens that" in said[0]
        elif name in ("llama3", "llama2", "mistral", "alpaca", "zephyr", "deepseekr1"):
            assert said == []
    assert len(told["qwen"]) == 1
    assert told["qwen"][0].startswith("template qwen adds <|im_end|>, and ")
    assert "has 263 rows of embeddings, all of them taken" in told["qwen"][0]


@pytest.mark.train
@pytest.mark.slow
def test_no_template_loses_a_label_of_the_test_set(every: tuple[Run, dict[str, str], Look]) -> None:
    """Of what is encoded the label is the gold: no thoughts before it, in any template."""
    from etlch.export.preflight.counter import UNCUT, Setup, counter_of

    run, taken, _ = every
    for name in set(taken.values()):
        counter, problem = counter_of(
            Setup(str(run.folder.parent / "tiny"), name, False, None, thinking=False)
        )
        if counter is None:
            assert name in problem.what
            continue
        inputs, label = counter.encode([(["QUESTION"], '{"a": []}')], UNCUT, False)[0]
        assert counter.tokenizer.decode(label, skip_special_tokens=True).strip().startswith('{"a": []}')
        assert "QUESTION" in counter.tokenizer.decode(inputs)


@pytest.mark.train
@pytest.mark.slow
def test_a_tokenizer_that_raises_the_bare_exception_is_told(tmp_path: Path) -> None:
    """One whose unknown token is not in its vocabulary, met by a letter that is not either."""
    from etlch.export.preflight.counter import Setup, counter_of

    path = tiny_llama(tmp_path / "tiny") / "tokenizer.json"
    told = json.loads(path.read_text("utf-8"))
    del told["model"]["vocab"]["Q"]
    told["model"]["unk_token"] = "<unk>"
    path.write_text(json.dumps(told), "utf-8")
    counter, problem = counter_of(Setup(str(path.parent), TEMPLATE, False, None))
    assert counter is None
    assert problem.what.startswith("template llama3 does not fit") and "<unk>" in problem.what


@pytest.mark.train
@pytest.mark.slow
def test_exports_of_every_template_are_fixed_or_told(every: tuple[Run, dict[str, str], Look]) -> None:
    """A merged model whose base had another chat template; for a template that thinks, the empty block too."""
    run, taken, _ = every
    made = []
    for name in sorted(set(taken.values())):
        folder = run.folder / "models" / name / "merged"
        shutil.copytree(run.folder.parent / "tiny", folder, ignore=shutil.ignore_patterns("*.safetensors"))
        (folder / "chat_template.jinja").write_text("{{ messages[0]['content'] }} =>", "utf-8")
        values = {"export_dir": f"models/{name}/merged", "template": name, "enable_thinking": False}
        made.append(Job(f"export_{name}", "export", name, "", values, folder))
    told = chat_templates.write(run, made)
    said = {line.split("/")[1] for line in told}
    # Those whose chat template LlamaFactory itself writes into every export.
    assert set(taken.values()) - said == {"alpaca", "chatml", "chatml_de", "default", "fewshot", "vicuna"}
    fixed = {line.split("/")[1] for line in told if "now writes the prompts" in line}
    assert {"llama3", "qwen", "deepseekr1", "seed_oss", "mistral"} <= fixed
    others = [line for line in told if line.split("/")[1] not in fixed]
    assert all("none could be made that does" in line or "keeps the chat template" in line for line in others)
    assert rendered(run, "deepseekr1").endswith("<think>\n\n</think>\n\n")


def rendered(run: Run, name: str) -> str:
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(run.folder / "models" / name / "merged")
    user = [{"role": "user", "content": "Q"}]
    return str(tokenizer.apply_chat_template(user, tokenize=False, add_generation_prompt=True))


def test_recipes_of_templates_that_think_say_so(tmp_path: Path) -> None:
    run, _ = exported(tmp_path, "deepseek-ai/x", template="deepseekr1")
    told = {job.kind: job.values.get("enable_thinking") for job in jobs.read_jobs(run)}
    assert told == {"train": False, "predict": False, "export": False}
