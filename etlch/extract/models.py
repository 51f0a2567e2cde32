"""Open the model that the settings name: in this process or behind an endpoint; and the fallback model."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from etlch.core.errors import EtlchError
from etlch.core.extract_settings import ExtractSettings
from etlch.core.extras import need
from etlch.core.locale import _
from etlch.extract.card import GGUF, ExtractorCard
from etlch.extract.facts import Answer, Question

UNASKED_LIMIT = 5.0
"""US dollars that a fallback model may cost before somebody has named a budget."""


class AnsweringModel(Protocol):
    """Whatever answers questions: a model in this process, or one behind an endpoint."""

    def answer(self, questions: Sequence[Question], *, sample: int | None = None) -> list[Answer]:
        """Return one answer for each question, in their order; greedy unless a sample is asked for."""
        ...


def open_model(
    folder: Path, card: ExtractorCard, settings: ExtractSettings, tasks: Collection[str], replies: Path
) -> AnsweringModel:
    """Return the tuned model, ready to answer.

    A served model is asked for its text alone: it has no probabilities, and its values cannot be kept to the article.

    Args:
        folder: of its weights, or a GGUF file; a served model needs none.
        card: how it is asked; the endpoint knows it by the card's name unless the settings say another.
        settings: whether it is served, and where.
        tasks: what it will be asked for.
        replies: folder in which an endpoint's answers are kept.

    Raises:
        EtlchError: a package is missing, the weights cannot be loaded, or a served model cannot do what is asked.
    """
    if settings.served is not None:
        for wish, asked in (
            ("min_precision", settings.min_precision is not None),
            ("copy", settings.decoding == "copy"),
        ):
            if asked:
                raise EtlchError(
                    _(
                        "{wish} is asked of a served model, which tells neither probabilities nor takes the article's "
                        "grammar"
                    ).format(wish=wish),
                    _("Leave --base-url out to run the model in this process."),
                )
        if settings.decoding == "schema" and "kge" in tasks:
            raise EtlchError(
                _(
                    "schema is asked of a served model for kge, whose labels are lines and have no JSON schema"
                ),
                _("Name other tasks with --tasks, or leave --decoding out."),
            )
        from etlch.core.settings import TeacherSettings
        from etlch.extract.remote_model import RemoteModel

        named = settings.served
        if named.name == TeacherSettings().name:
            named = replace(named, name=card.model)
        return RemoteModel(replace(named, max_tokens=card.max_new_tokens), replies)
    if folder.suffix == GGUF:
        from etlch.extract.llama_server import LlamaServer

        if settings.decoding == "copy":
            raise EtlchError(
                _("copy is asked of a GGUF file, and llama.cpp's server does not take the article's grammar"),
                _("Use --decoding schema, or the folder of the model with its weights."),
            )
        return LlamaServer(folder, card)
    from etlch.extract.local_model import LocalModel

    if settings.decoding != "free":
        need("extract", f"--decoding {settings.decoding}", "llguidance")
    return LocalModel(folder, card)


def open_fallback(settings: ExtractSettings, replies: Path) -> AnsweringModel | None:
    """Return the model that is asked where the tuned one is unsure; None where the settings name none.

    Where its price is known and no budget is named, it stops at UNASKED_LIMIT.
    """
    named = settings.fallback
    if named is None:
        return None
    from etlch.extract.remote_model import RemoteModel
    from etlch.llm.pricing import find_price

    if named.budget is None and find_price(named) is not None:
        named = replace(named, budget=UNASKED_LIMIT)
    return RemoteModel(named, replies / "fallback")
