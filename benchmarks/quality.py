"""Times the proof of a run, and counts what grounding catches. One core.

python benchmarks/quality.py check                      # 2,500, 5,000 and 10,000 records of 1,500 characters
python benchmarks/quality.py grounding --articles 400   # planted errors, each language
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from etlch.core import manifest
from etlch.core.config import changed, make_settings
from etlch.core.files import write_jsonl, write_text
from etlch.core.manifest import Manifest
from etlch.core.records import LANGUAGES, TASKS
from etlch.core.run_folder import Run
from etlch.core.settings import Settings
from etlch.dataset.build_record import CandidateResult, RecordBuilder
from etlch.dataset.dedup import Deduplicator
from etlch.export.write import export
from etlch.pipeline.setup import chosen_prompts, chosen_tasks, planned
from etlch.quality.check import check_run
from etlch.teachers.offline.teacher import OfflineTeacher
from etlch.text.locate import locate
from tests.quality.planted import KINDS, known_truth, other_forms, planted

TEST = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["check", "grounding", "prove"])
    parser.add_argument("--language", choices=LANGUAGES, default="zh-TW")
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--length", type=int, default=1_500, help="characters (Chinese) or words (English)")
    parser.add_argument("--articles", type=int, default=400)
    parser.add_argument("--run", type=Path)
    options = parser.parse_args()
    if options.what == "grounding":
        for language in LANGUAGES:
            grounding(language, options.articles)
    elif options.what == "prove":
        prove_one(options.run)
    else:
        check(options.language, options.records, options.length)


def check(language: str, records: int, length: int) -> None:
    """Write runs of growing size and prove each in a process of its own, for honest memory figures."""
    settings = make_settings(
        teacher="offline", language=language, test=TEST, base_model="some/model", template="llama3"
    )
    outcomes = list(outcomes_of(settings, records // len(TASKS), length))
    with tempfile.TemporaryDirectory() as folder:
        for count in (records // 4, records // 2, records):
            run = Run(Path(folder) / f"run{count}")
            write_run(run, settings, outcomes[: count // len(TASKS)])
            subprocess.run([sys.executable, __file__, "prove", "--run", str(run.folder)], check=True)


def prove_one(folder: Path) -> None:
    before = peak_memory()
    start = time.process_time()
    proof = check_run(Run(folder))
    took = time.process_time() - start
    print(
        f"{proof.rows:>6,} rows, {len(proof.problems)} problems: {took:5.1f} s of one core, "
        f"peak memory {peak_memory():.0f} MB, {peak_memory() - before:.0f} MB of it by the proof",
        flush=True,
    )


def peak_memory() -> float:
    """Return the largest resident size of this program in MB. (ru_maxrss would count the parent's.)"""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split(maxsplit=1)[0]) / 1024


def write_run(run: Run, settings: Settings, outcomes: Sequence[CandidateResult]) -> None:
    """Write a run of these articles."""
    settings = changed(settings, sizes=(len(outcomes) - TEST,))
    records = [record for outcome in outcomes for record in outcome.records]
    write_jsonl(run.articles, [outcome.article for outcome in outcomes])
    write_jsonl(run.records, records)
    write_text(run.rejected, "")
    export(run, settings)
    counts = {"articles": len(outcomes), "records": dict(Counter(record.task for record in records))}
    manifest.write(run, Manifest(settings, {}, counts, {}))
    mean = sum(len(outcome.article.text) for outcome in outcomes if outcome.article) / len(outcomes)
    print(f"{len(records):,} records of {mean:,.0f} characters:", end=" ", flush=True)


def outcomes_of(settings: Settings, articles: int, length: int) -> Iterator[CandidateResult]:
    prompts = chosen_prompts(settings.plan)
    teacher = OfflineTeacher(0, prompts, settings.plan.language, lengths=(length,))
    builder = RecordBuilder(
        teacher,
        prompts,
        chosen_tasks(settings.plan),
        settings.check,
        settings.plan.ner_types,
        lambda stage, event: None,
        judge,
    )
    copies = Deduplicator()
    found = 0
    for candidate in planned(teacher):
        outcome = asyncio.run(builder.build(candidate))
        if outcome.article and copies.add(outcome.article.id, outcome.article.text) is None:
            found += 1
            yield outcome
        if found == articles:
            return


def judge(key: str, ok: bool, reasons: tuple[str, ...]) -> None:
    """Keep no verdict."""


def grounding(language: str, articles: int) -> None:
    known = known_truth(language, articles)
    true = [(value, item.text) for item in known for value in item.values]
    forms = [(form, text) for value, text in true for form in other_forms(value)]
    print(f"{language}: {articles} articles of the offline teacher")
    for name, values in (("true values", true), ("the same in other forms", forms)):
        refused = sum(locate(value, text) is None for value, text in values)
        print(f"  {name:<24} {len(values):>6,} tried {refused / len(values):7.2%} refused")
    tried: Counter[str] = Counter()
    caught: Counter[str] = Counter()
    for kind, value, text in planted(known, language):
        tried[kind] += 1
        caught[kind] += locate(value, text) is None
    for kind in KINDS:
        print(f"  {kind:<24} {tried[kind]:>6,} tried {caught[kind] / tried[kind]:7.2%} caught")


if __name__ == "__main__":
    main()
