"""`etlch.score` takes rows or a DataFrame and says what etlch-score says of the same file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import etlch
from etlch.core.settings import ScoreSettings
from etlch.scoring.score import score as score_files
from tests.scoring.scoring_case import NAMES, make_run

ROOT = Path(__file__).parents[2]
QUICK: dict[str, Any] = {"cosine": "off", "resamples": 200, "workers": 1}


def rows(good: int) -> list[dict[str, object]]:
    golds = [{"Person": [name]} for name in NAMES]
    return [
        {
            "prompt": f"Who? {gold}",
            "label": json.dumps(gold),
            "predict": json.dumps(gold) if n < good else "{}",
        }
        for n, gold in enumerate(golds)
    ]


def test_rows_and_a_frame_and_a_file_say_the_same(tmp_path: Path) -> None:
    file = tmp_path / "model.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows(3)), encoding="utf-8")
    by_file = score_files([file], ScoreSettings(task="ner", cosine="off", resamples=200, workers=1)).summary
    for given in (rows(3), pd.DataFrame(rows(3)), file):
        found = etlch.score(given, task="ner", **QUICK)
        assert found.summary.scores == by_file.scores
    table = found.scores.set_index("metric")
    # 3 of 5 facts found, none invented: F1 = 2·3 / (3 + 5)
    assert table.loc["facts_f1", "value"] == pytest.approx(6 / 8)
    assert list(found.records["facts.tp"]) == [1, 1, 1, 0, 0]


def test_models_in_a_column_are_compared_with_the_baseline() -> None:
    frame = pd.concat(
        [
            pd.DataFrame(rows(good)).assign(model=name, size=size)
            for name, good, size in (("a", 1, None), ("b", 5, 100))
        ]
    )
    found = etlch.score(frame, task="ner", baseline="a", metrics=["facts_f1", "exact"], **QUICK)
    assert set(found.scores["model"]) == {"a", "b"} and set(found.scores["metric"]) == {"facts_f1", "exact"}
    assert found.scores.loc[found.scores["model"] == "b", "size"].unique().tolist() == [100]
    difference = found.comparisons.set_index("metric").loc["exact", "difference"]
    assert difference == pytest.approx(4 / 5)


def test_parsed_objects_and_gold_apart_are_taken() -> None:
    golds = [
        {"id": str(n), "article_id": str(n), "task": "ner", "language": "en", "instruction": "Who?", "input": name,
         "gold": {"Person": [name]}, "schema": None}
        for n, name in enumerate(NAMES)
    ]  # fmt: skip
    predictions = [
        {"prompt": f"Who? {name}", "predict": {"Person": [name]}, "label": {"Person": [name]}}
        for name in NAMES
    ]
    found = etlch.score(predictions, gold=golds, **QUICK)
    assert found.scores.set_index("metric").loc["facts_f1", "value"] == 1.0
    assert list(found.records["id"]) == list("01234")


def test_a_run_folder_is_scored_and_kept_only_where_it_is_told(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", records=5, tasks=("ner",))
    found = etlch.score(run, out=tmp_path / "scores", **QUICK)
    assert etlch.read_summary(tmp_path / "scores") == found.summary
    assert not found.win_rates.empty and not found.types.empty and not found.seeds.empty


@pytest.mark.parametrize(
    ("given", "settings", "told"),
    [
        ([], {}, "rows"),
        ([{"prompt": "p", "predict": "{}"}], {}, "rows, line 1"),
        (rows(1), {"metricks": ["exact"]}, "unknown setting 'metricks'. Did you mean 'metrics'?"),
        (rows(1), {"task": "nre"}, "nre"),
    ],
)
def test_mistakes_name_rows_and_not_a_temporary_file(
    given: list[dict[str, object]], settings: dict[str, Any], told: str
) -> None:
    with pytest.raises(etlch.EtlchError) as caught:
        etlch.score(given, **{**QUICK, **settings})
    assert told in caught.value.what and "/tmp" not in caught.value.what


def test_without_pandas_the_tables_say_what_to_install() -> None:
    code = (
        "import sys; sys.modules['pandas'] = None\nimport etlch\n"
        f"found = etlch.score({rows(1)!r}, task='ner', cosine='off', resamples=10, workers=1)\n"
        "print(len(found.summary.scores) > 5)\n"
        "try: found.scores\nexcept etlch.EtlchError as error: print(error.hint, error.code)\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown == "True\npip install 'etlch[pandas]' 2\n"


@pytest.mark.slow
def test_the_notebook_runs() -> None:
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(ROOT / "notebooks" / "score.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(ROOT)}}).execute()
    shown = "".join(str(cell.get("outputs", "")) for cell in notebook.cells)
    assert "facts_f1" in shown and "error" not in shown.casefold().replace("standard error", "")
