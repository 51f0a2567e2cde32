"""Read settings and a run folder, return the estimate of what `generate` would still cost, as lines of text."""

from __future__ import annotations

from etlch.core.config import changed as changed_settings
from etlch.core.records import Json
from etlch.core.run_folder import Run
from etlch.core.settings import Settings
from etlch.dataset import documents
from etlch.llm.store import Store
from etlch.pipeline.cost_estimate import Known, forecast, in_words, known
from etlch.pipeline.session import Free
from etlch.pipeline.setup import changed, chosen_prompts, chosen_tasks, earlier, resume, with_schema
from etlch.teachers.topic_plan import read_tree, tree_topics


def forecast_lines(settings: Settings, run: Run, options: dict[str, Json] | None = None) -> list[str]:
    """Return what `generate` would still cost, in words. Nothing is sent or written.

    Args:
        settings: what is asked for.
        run: whose replies are the pilot, if it exists.
        options: given, the settings are the run's own, changed by the options that are not None.
    """
    before = earlier(run)
    if options is not None:
        if before is None:
            run.require()
        else:
            said = {name: value for name, value in options.items() if value is not None}
            settings = changed_settings(before.settings, **said)
    settings = resume(run, before, with_schema(settings))
    plan = settings.plan
    prompts, tasks, needed = chosen_prompts(plan), chosen_tasks(plan), settings.needed
    if settings.teacher.name == "offline":
        return Free().forecast(needed, tasks)
    on_file = Known()
    if run.replies.exists():
        store = Store(run.replies, read_only=True)
        try:
            on_file = known(store)
        finally:
            store.close()
    tree = read_tree(prompts, plan.language, plan.domains, plan.genres, plan.lengths)
    topics = tree_topics(tree, plan.language, plan.seed, plan.growth)
    texts = documents.own_texts(plan) if plan.articles else None
    article_bytes = texts.mean_bytes(plan, needed) if texts else 0
    anew = changed(before, prompts, settings)
    found = forecast(settings, prompts, tasks, topics, needed, on_file, anew, article_bytes)
    return [*([texts.told] if texts else []), *in_words(found, settings.teacher)]
