"""The settings of etlch-extract: names, types, limits, defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from etlch.core.growth import FORBID
from etlch.core.settings import TeacherSettings

# Annotations stay text until a value is read, so that `--help` does not import pydantic; config.py resolves them.
if TYPE_CHECKING:
    from pydantic import Field

Decoding = Literal["free", "schema", "copy"]


@dataclass(frozen=True)
class ExtractSettings:
    """How to extract.

    Attributes:
        tasks: names of tasks; empty takes all that the model was trained on and that have an instruction.
        decoding: free, schema (the label's form is forced) or copy (values are words of the article).
        ungrounded: what becomes of a fact that does not stand in its document: drop, flag or retry.
        retries: how often an unreadable answer (or, with retry, an ungrounded one) is sampled again.
        min_precision: keep only facts whose confidence threshold held this precision on validation.
        served: the endpoint that serves the model, as a teacher is named in the settings of etlch-data
            (base_url, key_file, concurrency, timeout …); none runs the model in this process.
        fallback: the model that is asked instead where a document's facts of a task lie below the threshold or
            cannot be read, named in the same way (name, base_url, budget, price …); none: no model is asked.
        review_format: of the files for people: doccano or label-studio.
        ray_workers: processes of Ray that hold the model, on the cluster that RAY_ADDRESS names or on this machine;
            0 works in this process.
    """

    tasks: tuple[str, ...] = ()
    decoding: Decoding = "free"
    ungrounded: Literal["drop", "flag", "retry"] = "drop"
    retries: Annotated[int, Field(ge=0)] = 1
    min_precision: Annotated[float | None, Field(ge=0, le=1, examples=[0.95])] = None
    served: Annotated[
        TeacherSettings | None,
        Field(examples=[{"base_url": "http://127.0.0.1:8000/v1", "concurrency": 8}]),
    ] = None
    fallback: Annotated[TeacherSettings | None, Field(examples=[{"name": "gpt-4o-mini", "budget": 2.0}])] = (
        None
    )
    review_format: Literal["doccano", "label-studio"] = "doccano"
    ray_workers: Annotated[int, Field(ge=0)] = 0

    __pydantic_config__ = FORBID
