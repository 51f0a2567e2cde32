"""What a run says of itself: the prompts that it can use, and what may still be changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from etlch.cli.data import main
from etlch.core.config import changed as changed_settings
from etlch.core.config import make_settings
from etlch.core.errors import EtlchError
from etlch.core.manifest import Manifest, write
from etlch.core.prompts import Prompts
from etlch.core.run_folder import Run
from etlch.pipeline.generate import start
from etlch.pipeline.setup import changed, earlier, resume, used_prompts

KGE = {"kge/instruction.en.j2", "kge/label.en.j2"}


@pytest.mark.parametrize(
    ("settings", "used"),
    [
        ({}, {"article/write.en.j2", "topics/en.yaml", "common/again.en.j2", *KGE}),
        ({"articles": "posts"}, {"common/again.en.j2", *KGE}),
        ({"label_first": True}, {"article/around.en.j2", "common/again.en.j2", "kge/instruction.en.j2"}),
        ({"teacher": "offline"}, {"kge/instruction.en.j2"}),
    ],
)
def test_only_prompts_that_a_run_can_use_are_named(settings: dict[str, Any], used: set[str]) -> None:
    found = used_prompts(Prompts(), make_settings(language="en", tasks=("kge",), **settings))
    phrases = {name for name in found if name.startswith("offline/")}
    assert set(found) - phrases == used
    assert bool(phrases) == ("offline" in settings.values() or "label_first" in settings)
    assert all(name.endswith(".en.yaml") for name in phrases)


ASKED = make_settings(teacher="offline", language="en", sizes=(100,), test=300)


def test_what_was_never_finished_may_be_asked_for_smaller(tmp_path: Path) -> None:
    run, less = Run(tmp_path), changed_settings(ASKED, sizes=(14,), test=6)
    start(run, None, ASKED, Prompts())
    assert resume(run, earlier(run), less) == less
    write(run, Manifest(ASKED, {}, {"articles": 400}, {}))
    with pytest.raises(EtlchError, match="was made with test 300, not 6"):
        resume(run, earlier(run), less)
    assert resume(run, earlier(run), changed_settings(ASKED, sizes=(14,))).plan.sizes == (14, 100)


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ({"base_model": "./mine"}, "no model folder ./mine"),
        ({"base_model": "a/b"}, "no chat template is named for b"),
    ],
)
def test_a_model_that_recipes_cannot_name_is_refused_before_anything_is_written(
    named: dict[str, Any], told: str, tmp_path: Path
) -> None:
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(named), encoding="utf-8")
    asked = ["generate", "--teacher", "offline", "--language", "en", "--sizes", "2", "--test", "1"]
    done = CliRunner().invoke(main, [*asked, "--settings", f"{tmp_path}/s.yaml", "--out", f"{tmp_path}/run"])
    assert done.exit_code == 2 and told in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("other", [{"max_tokens": 2048}, {"temperature": 0.0}])
def test_another_limit_or_temperature_is_another_request(other: dict[str, Any], tmp_path: Path) -> None:
    run, prompts = Run(tmp_path), Prompts()
    start(run, None, ASKED, prompts)
    before = earlier(run)
    assert changed(before, prompts, ASKED) == []
    assert changed(before, prompts, changed_settings(ASKED, **other)) == list(used_prompts(prompts, ASKED))


def test_the_offline_teacher_is_not_asked_for_a_task_of_your_own(tmp_path: Path) -> None:
    own = tmp_path / "events.py"
    own.write_text(
        "from etlch.tasks.ner import TASK as NER\nimport dataclasses\n"
        "TASK = dataclasses.replace(NER, name='events')\n",
        encoding="utf-8",
    )
    (tmp_path / "prompts/events").mkdir(parents=True)
    for name in ("instruction", "label"):
        (tmp_path / f"prompts/events/{name}.en.j2").write_text("{# variables: -#}\nList.\n", encoding="utf-8")
    settings = tmp_path / "s.yaml"
    settings.write_text(f"task_file: {own}\nprompts: {tmp_path}/prompts\ntasks: [events]\n", encoding="utf-8")
    options = ["--teacher", "offline", "--language", "en", "--settings", str(settings)]
    ended = CliRunner().invoke(main, ["generate", *options, "--out", str(tmp_path / "run")])
    assert ended.exit_code == 2 and "knows the tasks json, kge, ner, not 'events'" in ended.output
    assert not (tmp_path / "run" / "run.yaml").exists()
