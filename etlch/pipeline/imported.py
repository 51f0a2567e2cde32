"""Keep imported records of a run while the run's own part grows."""

from __future__ import annotations

from etlch.core.errors import EtlchError
from etlch.core.locale import _
from etlch.core.manifest import Manifest
from etlch.core.records import TRAIN
from etlch.core.run_data import RunData, read_run
from etlch.core.run_folder import Run
from etlch.core.settings import Settings
from etlch.dataset.collect import AcceptedData
from etlch.dataset.dedup import Deduplicator


def imported_part(run: Run, before: Manifest | None) -> RunData | None:
    """Return what was imported into an existing run: its articles, records and what was rejected of it."""
    if before is None or not before.imported:
        return None
    data = read_run(run.folder)
    records = [record for record in data.records if record.split]
    ids = {record.article_id for record in records}
    return RunData(
        before,
        [article for article in data.articles if article.id in ids],
        records,
        [item for item in data.rejected if item.stage == "import" or item.article_id in ids],
    )


def not_to_copy(run: Run, added: RunData) -> Deduplicator:
    """Return the imported texts that no further article may copy; those that the run held before them may stay."""
    ids = {article.id for article in added.articles}
    own, known = Deduplicator(), Deduplicator()
    for article in read_run(run.folder).articles:
        if article.id not in ids:
            own.add(article.id, article.text)
    for article in added.articles:
        if own.find(article.text) is None:
            known.add(article.id, article.text)
    return known


def with_imported(collected: AcceptedData, added: RunData | None) -> AcceptedData:
    """Return what was generated followed by what had been imported into the run."""
    if added is None:
        return collected
    return collected._replace(
        articles=(*collected.articles, *added.articles),
        records=(*collected.records, *added.records),
        rejected=(*collected.rejected, *added.rejected),
    )


def refuse_mix(settings: Settings, before: Manifest | None) -> None:
    """Stop before anything is paid for where the training sets of `mix` cannot be made.

    Raises:
        EtlchError: they want more imported records than the run holds, or more of its own than its largest size.
    """
    human = max((splits.get(TRAIN, 0) for splits in before.imported.values()), default=0) if before else 0
    for mix in settings.export.mix:
        if mix.get("human", 0) > human:
            raise EtlchError(
                _("mix: {mix} human records are wanted, and the run holds {human}").format(
                    mix=mix["human"], human=human
                ),
                _("Generate first, without mix; then `etlch-data import FILE --into RUN --settings FILE`."),
            )
        if mix.get("synthetic", 0) > max(settings.plan.sizes):
            raise EtlchError(
                _("mix: {mix} records of the run's own are more than its largest size").format(
                    mix=mix["synthetic"]
                ),
                _("Name --sizes {mix} too.").format(mix=mix["synthetic"]),
            )
