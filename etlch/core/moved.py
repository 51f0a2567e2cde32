"""Name the new place of a module that an earlier release had elsewhere."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MODULES = {
    "config": "core.config",
    "data.calibrate": "pipeline.calibrate",
    "data.card": "quality.card",
    "data.chat_templates": "export.chat_templates",
    "data.checkpoints": "training.best_checkpoint",
    "data.chunks": "dataset.chunking",
    "data.collect": "dataset.collect",
    "data.copies": "dataset.dedup",
    "data.dictionary": "baselines.dictionary",
    "data.doctor": "training.doctor",
    "data.endpoint": "llm.endpoint",
    "data.engine": "llm.client",
    "data.export": "export.write",
    "data.forecast": "pipeline.cost_estimate",
    "data.ground": "dataset.grounding",
    "data.jobs": "export.jobs",
    "data.label_first": "teachers.label_first",
    "data.llamafactory": "export.data_files",
    "data.machine": "training.hardware",
    "data.make": "dataset.build_record",
    "data.manifest": "core.manifest",
    "data.matrix": "export.models",
    "data.model_teacher": "teachers.llm",
    "data.money": "llm.pricing",
    "data.offline": "teachers.offline.teacher",
    "data.offline_brief": "teachers.offline.instructions",
    "data.offline_node": "teachers.offline.yaml_node",
    "data.offline_pattern": "teachers.offline.pattern",
    "data.offline_read": "teachers.offline.loader",
    "data.offline_world": "teachers.offline.schema",
    "data.offline_write": "teachers.offline.writer",
    "data.own_texts": "dataset.documents",
    "data.pace": "llm.rate_limit",
    "data.plan": "teachers.topic_plan",
    "data.predict": "pipeline.predict",
    "data.preflight": "export.preflight.findings",
    "data.preflight_data": "export.preflight.data_files",
    "data.preflight_steps": "export.preflight.steps",
    "data.preflight_tokens": "export.preflight.tokens",
    "data.preflight_values": "export.preflight.values",
    "data.preview": "pipeline.preview",
    "data.process": "training.process",
    "data.proof": "quality.check",
    "data.proof_rows": "quality.check_rows",
    "data.proof_sources": "quality.check_sources",
    "data.provenance": "training.provenance",
    "data.publish": "quality.publish",
    "data.quality": "quality.measure",
    "data.quality_page": "quality.page",
    "data.recipes": "export.recipes",
    "data.replies": "llm.store",
    "data.runner": "training.queue",
    "data.splits": "dataset.splits",
    "data.status": "pipeline.status",
    "data.teacher": "teachers.base",
    "data.teachers": "pipeline.session",
    "data.topics": "pipeline.topics",
    "data.transport": "llm.transport",
    "data.weights": "training.weights",
    "data.wire": "llm.chat_completions",
    "errors": "core.errors",
    "figures": "render.plots",
    "figures_canvas": "render.canvas",
    "files": "core.files",
    "grounding": "text.locate",
    "labels": "text.json_text",
    "measure.corrections": "stats.corrections",
    "measure.cosine": "metrics.cosine",
    "measure.effects": "stats.effects",
    "measure.facts": "metrics.facts",
    "measure.form": "metrics.json_form",
    "measure.intervals": "stats.intervals",
    "measure.metrics": "metrics.registry",
    "measure.nested": "metrics.nested",
    "measure.paper": "stats.paper",
    "measure.ratio": "stats.ratio",
    "measure.record": "metrics.record",
    "measure.resampling": "stats.resampling",
    "measure.rouge": "metrics.rouge",
    "measure.stats": "stats.analysis",
    "numerals": "text.numerals",
    "page": "render.html",
    "predictions": "metrics.predictions",
    "prompts": "core.prompts",
    "records": "core.records",
    "score.against": "scoring.regression",
    "score.analysis": "report.samples",
    "score.charts": "report.charts",
    "score.collect": "scoring.tables",
    "score.compare": "scoring.compare",
    "score.embed": "scoring.embedder",
    "score.gates": "scoring.gates",
    "score.headline": "report.headline",
    "score.inputs": "scoring.inputs",
    "score.mistakes": "report.errors",
    "score.report": "report.write",
    "score.results": "scoring.summary",
    "score.rows": "scoring.pairing",
    "score.score": "scoring.score",
    "score.sections": "report.sections",
    "score.shape": "scoring.detect",
    "score.similarity": "scoring.cosine",
    "score.standing": "report.ranking",
    "score.tables": "report.tables",
    "score.terminal": "report.terminal",
    "score.work": "scoring.worker",
}
"""Module of an earlier release → where it is, both below `etlch`."""

PACKAGES = {
    "data": "dataset, teachers, llm, export, training, quality and pipeline",
    "measure": "metrics and stats",
    "score": "scoring and report",
}
"""Package of an earlier release → the packages that it became."""


class MovedFinder:
    """The last finder: asked for a module that no other one finds.

    It finds nothing. Where an earlier release had the module, the error says its new name.
    """

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        """Return None, as a module that does not exist has no spec.

        Raises:
            ModuleNotFoundError: the module was moved.
        """
        top, _, rest = fullname.partition(".")
        if top != "etlch" or rest.partition(".")[0] not in {name.partition(".")[0] for name in MODULES}:
            return
        wanted = _outermost(fullname).removeprefix("etlch.")
        if wanted in MODULES:
            message = f"etlch.{wanted} is etlch.{MODULES[wanted]} now"
        elif rest in PACKAGES:
            message = f"etlch.{rest} was divided into the packages {PACKAGES[rest]} of etlch"
        else:
            return
        raise ModuleNotFoundError(f"{message}. What `import etlch` exports stays where it is.", name=fullname)


def _outermost(name: str) -> str:
    """Return the module that is being imported, of which `name` is the first part that does not exist.

    The import of a.b.c looks for a.b first; what was asked for stands in the import machinery's frames.
    """
    frame, asked = sys._getframe(1), name
    while (outer := frame.f_back) is not None:
        frame = outer
        if not frame.f_code.co_filename.startswith("<frozen importlib"):
            if frame.f_code.co_filename != __file__:
                break
            continue
        found = frame.f_locals.get("name")
        if isinstance(found, str) and found.startswith(f"{name}."):
            asked = found
    return asked
