"""Run a tuned model in this process with transformers: prompts in, greedy answers with token probabilities out.

The only module that imports torch for extraction. Prompts of a batch share the instruction, so its part of
the key-value cache is computed once and repeated; batches are filled by tokens, not by rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from etlch.core.errors import EtlchError
from etlch.core.extras import need
from etlch.core.locale import _
from etlch.extract.card import ExtractorCard, base_path
from etlch.extract.facts import Answer, Question

BATCH_TOKENS = 16_384
"""Prompt and answer tokens in one batch: about 1 GB of cache for a 1B model in bfloat16."""
_SHARED = 16
"""A shorter common beginning of prompts is not worth a cache of its own."""


class LocalModel:
    """A loaded model with its tokenizer.

    Args:
        folder: adapter or whole weights.
        card: how the model is asked; names the base model of an adapter.

    Raises:
        EtlchError: transformers (or peft) is missing, or the weights cannot be loaded.
    """

    def __init__(self, folder: Path, card: ExtractorCard) -> None:
        need(
            "extract",
            f"running {folder} here",
            "torch",
            "transformers",
            *(("peft",) if card.base_model else ()),
        )
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        self.card = card
        source = base_path(card, folder) if card.base_model else str(folder)
        dtype = getattr(torch, card.dtype)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(source, padding_side="left")
            model: Any = AutoModelForCausalLM.from_pretrained(source, dtype=dtype)
            if card.base_model:
                from peft import PeftModel

                model = PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
        except (OSError, ValueError) as error:
            first = str(error).strip().splitlines()[0]
            raise EtlchError(
                _("the model in {folder} cannot be loaded: {first}").format(folder=folder, first=first),
                _("Its weights are {source}; is that folder or hub name reachable?").format(source=source),
            ) from error
        self.model = model.to(device).eval()
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        stop = [self.tokenizer.convert_tokens_to_ids(token) for token in card.stop]
        self.stop = sorted({self.tokenizer.eos_token_id, *stop} - {None})
        self._matcher_tokens: Any = None

    def answer(self, questions: Sequence[Question], *, sample: int | None = None) -> list[Answer]:
        """Return one answer for each question, in their order.

        Args:
            questions: what is asked, each with its grammar.
            sample: None decodes greedily; a number samples at temperature 0.7 with that seed.
        """
        encoded = self._encode([question.text for question in questions])
        order = sorted(range(len(encoded)), key=lambda place: len(encoded[place]))
        answers: dict[int, Answer] = {}
        for batch in _batches(order, [len(ids) for ids in encoded], self.card.max_new_tokens):
            made = self._generate(
                [encoded[at] for at in batch], [questions[at].grammar for at in batch], sample
            )
            answers.update(zip(batch, made, strict=True))
        return [answers[place] for place in range(len(encoded))]

    def _encode(self, questions: Sequence[str]) -> list[list[int]]:
        before, after = self.card.prompt
        texts = [f"{before}{question}{after}" for question in questions]
        ids: list[list[int]] = self.tokenizer(texts, add_special_tokens=False)["input_ids"]
        return ids

    def _generate(self, rows: list[list[int]], grammars: list[str], sample: int | None) -> list[Answer]:
        import torch
        from transformers import LogitsProcessorList

        shared = _common_prefix(rows)
        width = max(map(len, rows))
        pad = self.tokenizer.pad_token_id
        # The padding stands between the shared beginning and the rest, so that one cache serves all rows.
        padded = [row[:shared] + [pad] * (width - len(row)) + row[shared:] for row in rows]
        mask = [[1] * shared + [0] * (width - len(row)) + [1] * (len(row) - shared) for row in rows]
        device = self.model.device
        recorder = _Recorder()
        processors: list[Any] = [self._guard(grammars, width)] if any(grammars) else []
        if sample is not None:
            torch.manual_seed(sample)
        with torch.inference_mode():
            more = {"past_key_values": self._cache(rows[0][:shared], len(rows))} if shared else {}
            output = self.model.generate(
                input_ids=torch.tensor(padded, device=device),
                attention_mask=torch.tensor(mask, device=device),
                max_new_tokens=self.card.max_new_tokens,
                do_sample=sample is not None,
                **(
                    {"temperature": 0.7, "top_p": 1.0, "top_k": 0}
                    if sample is not None
                    else {"temperature": None}
                ),
                **({} if sample is not None else {"top_p": None, "top_k": None}),
                num_beams=1,
                eos_token_id=self.stop,
                pad_token_id=pad,
                logits_processor=LogitsProcessorList([*processors, recorder]),
                **more,
            )
        written = output[:, width:].tolist()
        return [
            self._answer(ids, [step[at] for step in recorder.steps(written)])
            for at, ids in enumerate(written)
        ]

    def _cache(self, prefix: list[int], rows: int) -> Any:
        """Return the key-value cache of a prefix, repeated for each row."""
        import torch
        from transformers import DynamicCache

        cache = DynamicCache(config=self.model.config)
        self.model(
            input_ids=torch.tensor([prefix], device=self.model.device), past_key_values=cache, use_cache=True
        )
        cache.batch_repeat_interleave(rows)
        return cache

    def _answer(self, ids: list[int], logprobs: list[float]) -> Answer:
        end = next((at for at, token in enumerate(ids) if token in self.stop), None)
        kept = ids if end is None else ids[:end]
        text = str(self.tokenizer.decode(kept, skip_special_tokens=True))
        places = []
        for at in range(len(kept)):
            # A prefix that ends inside a character decodes to U+FFFD; it ends where the next token completes it.
            part = str(self.tokenizer.decode(kept[: at + 1], skip_special_tokens=True)).rstrip("�")
            places.append((min(len(part), len(text)), logprobs[at]))
        return Answer(text, tuple(places), end is None, len(kept))

    def _guard(self, grammars: list[str], width: int) -> Any:
        """Return a logits processor that forbids what the grammars forbid."""
        need("extract", "decoding under a grammar", "llguidance")
        from llguidance.hf import from_tokenizer

        if self._matcher_tokens is None:
            size = int(self.model.get_output_embeddings().weight.shape[0])
            self._matcher_tokens = from_tokenizer(self.tokenizer, n_vocab=size, eos_token=self.stop)
        return _Guard(self._matcher_tokens, grammars, width)


class _Recorder:
    """Keep the log probabilities of every step's candidates, of which generate takes one."""

    def __init__(self) -> None:
        self._steps: list[Any] = []

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Record a step: (rows, vocabulary) scores; only the best token's are kept, as greedy takes it."""
        import torch

        self._steps.append(torch.log_softmax(scores.float(), dim=-1).max(dim=-1).values.tolist())
        return scores

    def steps(self, written: list[list[int]]) -> list[list[float]]:
        """Return the recorded values, a list of rows for each step."""
        return self._steps[: len(written[0])] if written else []


class _Guard:
    """Mask tokens that would break each row's grammar."""

    def __init__(self, tokens: Any, grammars: list[str], width: int) -> None:
        import llguidance.torch as masks
        from llguidance import LLMatcher

        self._masks = masks
        self._width = width
        self._rows = [
            LLMatcher(tokens, LLMatcher.grammar_from_lark(one)) if one else None for one in grammars
        ]
        self._bits = masks.allocate_token_bitmask(1, tokens.vocab_size)

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Return scores (rows, vocabulary) with -inf where a token is forbidden."""
        for at, matcher in enumerate(self._rows):
            if matcher is None or matcher.is_stopped():
                continue
            if input_ids.shape[1] > self._width:
                matcher.consume_token(int(input_ids[at, -1]))
            if matcher.is_stopped():
                continue
            self._masks.fill_next_token_bitmask(matcher, self._bits, 0)
            self._masks.apply_token_bitmask_inplace(scores[at : at + 1], self._bits.to(scores.device))
        return scores


def _batches(order: Sequence[int], lengths: Sequence[int], room: int) -> list[list[int]]:
    """Return places grouped so that the longest prompt plus `room`, times the rows, fits in BATCH_TOKENS."""
    made: list[list[int]] = []
    for place in order:
        if made and (lengths[place] + room) * (len(made[-1]) + 1) <= BATCH_TOKENS:
            made[-1].append(place)
        else:
            made.append([place])
    return made


def _common_prefix(rows: Sequence[list[int]]) -> int:
    """Return how many tokens all rows begin with, short of the shortest row's last; 0 if hardly any."""
    if len(rows) == 1:
        return 0
    first, last = min(rows), max(rows)
    shared = next(
        (at for at, (one, two) in enumerate(zip(first, last, strict=False)) if one != two), len(first)
    )
    shared = min(shared, min(map(len, rows)) - 1)
    return shared if shared >= _SHARED else 0
