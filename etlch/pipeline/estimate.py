"""Return what `generate` would still cost, in words."""

from __future__ import annotations

import dataclasses

from etlch.core import manifest
from etlch.core.config import Settings
from etlch.core.records import Json
from etlch.core.run_folder import Run
from etlch.dataset import documents
from etlch.llm.store import Store
from etlch.pipeline.cost_estimate import Known, forecast, in_words, known
from etlch.pipeline.session import Free
from etlch.pipeline.setup import changed, chosen_prompts, chosen_tasks, resume
from etlch.teachers.topic_plan import read_tree, tree_topics


def forecast_lines(settings: Settings, run: Run, options: dict[str, Json] | None = None) -> list[str]:
    """Return what `generate` would still cost, in words. Nothing is sent or written.

    Args:
        settings: what is asked for.
        run: whose replies are the pilot, if it exists.
        options: given, the settings are the run's own, changed by the options that are not None.
    """
    if options is not None:
        kept = manifest.read(run).settings
        settings = dataclasses.replace(
            kept, **{name: value for name, value in options.items() if value is not None}
        )
    settings = resume(run, settings)
    prompts, tasks = chosen_prompts(settings), chosen_tasks(settings)
    needed = settings.test + max(settings.sizes)
    if settings.teacher == "offline":
        return Free().forecast(needed, tasks)
    held = Known()
    if run.replies.exists():
        store = Store(run.replies, read_only=True)
        try:
            held = known(store)
        finally:
            store.close()
    tree = read_tree(prompts, settings.language, settings.domains, settings.genres, settings.lengths)
    topics = tree_topics(tree, settings.language, settings.seed)
    article_bytes = documents.mean_bytes(settings, needed) if settings.articles else 0
    anew = changed(run, prompts, settings)
    return in_words(forecast(settings, prompts, tasks, topics, needed, held, anew, article_bytes), settings)
