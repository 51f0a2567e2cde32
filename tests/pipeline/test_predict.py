"""Predictions over an endpoint: LlamaFactory's file, resumable, with its cost and its model.json."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner

from etlch.baselines.test_set import Predicted, prompt
from etlch.cli.data import main
from etlch.core import manifest
from etlch.core.config import make_settings
from etlch.core.errors import EtlchError
from etlch.core.files import read_jsonl, read_lines
from etlch.core.records import Key
from etlch.core.run_folder import Run
from etlch.metrics.predictions import read_aligned
from etlch.pipeline import predict
from tests.fake_server import Fault, Server, serve
from tests.small_run import write_run


def go(run: Run, server: Server, folder: str = "gpt-4o-mini", **changed: Any) -> list[Predicted]:
    teacher = make_settings(base_url=server.url, **changed).teacher
    tasks = ("json", "kge", "ner")
    return asyncio.run(predict.predict(run, teacher, tasks, folder, lambda task, done, rows, spent: None))


def right(run: Run) -> Any:
    """A model that knows the gold of each row of the test set."""
    golds = {}
    for task in ("json", "kge", "ner"):
        for key in read_jsonl(run.keys(run.stem(task, "test")), Key):
            golds[prompt(key)] = key.gold
    return lambda body: golds[body["messages"][0]["content"]]


def test_a_models_answers_stand_beside_the_gold_in_the_order_of_the_keys(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", test=12)
    with serve(latency=0.01, reply=right(run)) as server:
        done = go(run, server)
    assert [(item.task, item.rows, item.cut, item.refused) for item in done] == [
        ("json", 12, 0, 0),
        ("kge", 12, 0, 0),
        ("ner", 12, 0, 0),
    ]
    for task in ("json", "kge", "ner"):
        lines = [line.value for line in read_lines(run.prediction_file("gpt-4o-mini", task))]
        keys = read_jsonl(run.keys(run.stem(task, "test")), Key)
        assert [list(line) for line in lines] == [["prompt", "predict", "label"]] * 12
        assert [line["label"] for line in lines] == [key.gold for key in keys]
        assert all(line["predict"] == line["label"] for line in lines)
        pairs = zip(lines, keys, strict=True)
        assert all(line["prompt"] == f"{key.instruction}\n{key.input}" for line, key in pairs)
        # The scoring wing's own reader finds each line at its key.
        path, keys_path = run.prediction_file("gpt-4o-mini", task), run.keys(run.stem(task, "test"))
        assert [item.key.id for item in read_aligned(path, keys_path)] == [key.id for key in keys]


def test_the_model_card_says_baseline_and_one_that_is_there_stays(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    before = run.model_card("base").read_bytes()
    with serve() as server:
        go(run, server)
        go(run, server, "base")
    card = json.loads(run.model_card("gpt-4o-mini").read_text())
    assert (card["name"], card["role"], card["adapter"], card["recipe"]) == (
        "gpt-4o-mini",
        "baseline",
        None,
        None,
    )
    assert run.model_card("base").read_bytes() == before


def test_predicting_again_costs_nothing_and_writes_the_same_bytes(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    with serve() as server:
        first = go(run, server)
        path = run.prediction_file("gpt-4o-mini", "ner")
        before = path.read_bytes()
        path.unlink()
        assert go(run, server) == [replace(item, stored=item.rows) for item in first]
        assert path.read_bytes() == before
        assert server.stats()["posts"] == 9


def test_predictions_do_not_sample_and_send_no_schema_unless_told(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    with serve() as server:
        go(run, server)
        free = [seen.body for seen in server.seen]
        go(run, server, "constrained", constrained=True)
        bound = [seen.body for seen in server.seen[9:]]
    assert all(body["temperature"] == 0 and "response_format" not in body for body in free)
    schemas = [body["response_format"]["json_schema"] for body in bound if "response_format" in body]
    # kge labels are no JSON, so their rows are asked for freely: equal requests, not sent again.
    assert len(bound) == len(schemas) == 6
    keys = read_jsonl(run.keys(run.stem("json", "test")), Key)
    assert keys[0].schema in [schema["schema"] for schema in schemas]
    # A json label has all its fields, as OpenAI's strict mode wants; an ner label need not have all types.
    assert {schema["strict"] for schema in schemas} == {True, False}


def test_a_model_that_takes_no_temperature_is_asked_without(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", test=1)
    with serve(Fault("temperature", at=(0,))) as server:
        go(run, server, concurrency=1)
        assert ["temperature" in seen.body for seen in server.seen] == [True, False, False, False]


def test_a_row_that_the_endpoint_refuses_is_an_empty_prediction(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    poison = read_jsonl(run.keys(run.stem("kge", "test")), Key)[1].input
    with serve(Fault("400", match=poison[:30]), Fault("length", every=1)) as server:
        done = go(run, server)
    assert [(item.refused, item.cut) for item in done] == [(1, 2), (1, 2), (1, 2)]
    texts = [line.value["predict"] for line in read_lines(run.prediction_file("gpt-4o-mini", "kge"))]
    assert [bool(text) for text in texts] == [True, False, True]


def test_predictions_of_another_origin_are_not_written_over(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    path = run.prediction_file("base", "ner")
    path.parent.mkdir(parents=True)
    path.write_text('{"prompt": "<|user|>Extract", "predict": "{}", "label": "{}"}\n')
    with serve() as server, pytest.raises(EtlchError, match="did not make") as caught:
        go(run, server, "base")
    assert "--as" in caught.value.hint and server.stats()["posts"] == 0
    assert "<|user|>" in path.read_text()


def test_a_run_without_a_test_set_or_task_is_said_so(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    with pytest.raises(EtlchError, match=r"no task 'nre'.*'ner'"):
        predict.chosen_tests(run, manifest.read(run), ("nre",))
    run.keys(run.stem("ner", "test")).unlink()
    with serve() as server, pytest.raises(EtlchError, match="no test set for ner"):
        go(run, server)


@pytest.mark.parametrize(
    ("model", "constrained", "name"),
    [
        ("gpt-4o-mini", False, "gpt-4o-mini"),
        ("Qwen/Qwen2.5-7B-Instruct", False, "Qwen2.5-7B-Instruct"),
        ("gpt-4o-mini", True, "gpt-4o-mini-constrained"),
        ("/models/my model/", False, "my-model"),
    ],
)
def test_a_folder_is_named_after_the_model(model: str, constrained: bool, name: str) -> None:
    assert predict.folder_name(model, constrained) == name


def test_the_command_says_what_it_wrote_and_what_comes_next(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    with serve() as server:
        command = ["predict", str(run.folder), "--model", "gpt-4o-mini", "--base-url", server.url]
        shown = CliRunner().invoke(main, command)
        as_json = CliRunner().invoke(main, [*command, "--json"])
    assert shown.exit_code == 0, shown.output
    assert "generated_predictions.jsonl: 3 rows, $0.0" in shown.stdout
    assert f"etlch-score {run.folder}" in shown.stdout
    assert [item["rows"] for item in json.loads(as_json.stdout)] == [3, 3, 3]


def test_predictions_that_are_all_refused_write_nothing(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", test=12)
    words = '{"error": {"message": "this model takes no such input", "code": 400}}'
    with (
        serve(respond=lambda body: web.Response(status=400, text=words)) as server,
        pytest.raises(EtlchError, match=r"every one of the 12 requests .* no such input") as failure,
    ):
        go(run, server)
    assert failure.value.code == 1
    assert not run.prediction_file("gpt-4o-mini", "ner").exists()


def test_thoughts_are_cut_for_scoring_kept_beside_it_and_empty_answers_are_shown(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", test=12)
    know = right(run)
    with serve(reply=lambda body: f"<think>Let me see: Oslo?</think>\n{know(body)}") as server:
        go(run, server)
    lines = [line.value for line in read_lines(run.prediction_file("gpt-4o-mini", "json"))]
    assert all(line["predict"] == line["label"] for line in lines)
    assert all(line["raw"].startswith("<think>Let me see: Oslo?</think>\n") for line in lines)
    with serve(reply=lambda body: "<think>Let me see.</think>") as server:
        done = go(run, server, "silent", teacher="silent")
    assert [item.empty for item in done] == [12, 12, 12]
