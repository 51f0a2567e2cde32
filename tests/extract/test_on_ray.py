"""Ray Data gives the bytes of one process, where Ray is installed."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from etlch.core.errors import EtlchError
from etlch.core.extract_settings import ExtractSettings
from etlch.core.settings import TeacherSettings
from etlch.extract.card import TaskPrompt
from etlch.extract.documents import Wanted, extract_to_file, sources
from etlch.extract.extractor import WINDOW, Extractor
from tests.extract.models import TYPES, Scripted, card, tiny_model

needs_ray = pytest.mark.skipif(
    find_spec("ray") is None, reason="Ray is not installed (pip install 'ray[data]')"
)
NER = ExtractSettings(tasks=("ner",), retries=0, ray_workers=2)


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_the_message_names_the_extra() -> None:
    with pytest.raises(EtlchError, match="ray_workers needs ray, which is not installed") as refused:
        Extractor("x", NER, card=card(), answering=Scripted(lambda asked, _: ""))
    assert "etlch[ray]" in refused.value.hint


@needs_ray
def test_endpoints_are_refused() -> None:
    with pytest.raises(EtlchError, match="ray_workers is asked together with a served"):
        Extractor("x", replace(NER, served=TeacherSettings()), card=card())


@needs_ray
@pytest.mark.slow
def test_two_workers_write_the_bytes_of_one_process(tmp_path: Path) -> None:
    import ray

    folder = tiny_model(tmp_path / "tiny")
    notes = tmp_path / "notes.jsonl"
    rows = ({"text": f"Note {number}: {'word ' * (number % 7)}end."} for number in range(2 * WINDOW + 5))
    notes.write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = card(max_new_tokens=3, prompt=("", ""), tasks={"ner": TaskPrompt("Entities:", TYPES)})
    for settings, name in ((NER, "ray"), (replace(NER, ray_workers=0), "here")):
        extract_to_file(
            Extractor(folder, settings, card=asked),
            lambda: sources([str(notes)], None, None),
            Wanted(tmp_path / f"{name}.jsonl"),
            lambda *_: None,
        )
    ray.shutdown()
    assert (tmp_path / "ray.jsonl").read_bytes() == (tmp_path / "here.jsonl").read_bytes()
    assert (tmp_path / "ray.jsonl").read_bytes().count(b"\n") == 2 * WINDOW + 5
