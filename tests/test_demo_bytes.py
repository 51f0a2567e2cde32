"""The demo's data, recipes and scores, byte for byte: what a change of structure must not move.

A change that means to move them writes the hashes anew: `python -m tests.test_demo_bytes > tests/demo_hashes.json`.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
HASHES = Path(__file__).parent / "demo_hashes.json"


def make_demo(folder: Path) -> Path:
    """Write the demo's run with the command of the Makefile, and predictions made from its own labels.

    The base model is named and not loaded. The tuned model answers every second row right and else with
    the label of the next row; the base model answers nothing.
    """
    run = folder / "demo"
    demo = (ROOT / "docs/demo/settings.yaml").read_text("utf-8")
    named = folder / "settings.yaml"
    named.write_text(demo.replace(".cache/", "HuggingFaceTB/"), "utf-8")
    words = ["--teacher", "offline", "--language", "en", "--sizes", "80", "--test", "10", "--seed", "1"]
    command = [
        sys.executable,
        "-m",
        "etlch.cli.data",
        "generate",
        *words,
        "--settings",
        str(named),
        "--out",
        str(run),
    ]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    for keys in sorted((run / "llamafactory").glob("*_test.keys.jsonl")):
        rows = [json.loads(line) for line in keys.read_text("utf-8").splitlines()]
        golds = [row["gold"] for row in rows]
        answers = {
            "smoke-80-s42": [golds[place + place % 2 - len(golds)] for place in range(len(golds))],
            "base": [""] * len(golds),
        }
        for model, texts in answers.items():
            lines = [
                json.dumps({"prompt": row["input"], "predict": text, "label": row["gold"]})
                for row, text in zip(rows, texts, strict=True)
            ]
            out = run / "predictions" / model / rows[0]["task"] / "generated_predictions.jsonl"
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text("\n".join(lines) + "\n", "utf-8")
    score = [
        sys.executable,
        "-c",
        "from etlch.cli.score import main; main()",
        str(run),
        "--settings",
        str(_settings(folder)),
    ]
    subprocess.run(score, cwd=ROOT, check=True, capture_output=True)
    return run


def _settings(folder: Path) -> Path:
    path = folder / "score.yaml"
    path.write_text('cosine: "off"\n', "utf-8")
    return path


def hashes(run: Path) -> dict[str, str]:
    """Return file → the first 16 hex digits of its sha256; `scores` stands for every value in summary.json."""
    files = [run / "articles.jsonl", run / "records.jsonl", run / "rejected.jsonl"]
    files += sorted((run / "llamafactory").iterdir()) + sorted((run / "recipes").glob("*.yaml"))
    found = {
        path.relative_to(run).as_posix(): _sha(path.read_bytes().replace(str(run).encode(), b"outputs/demo"))
        for path in files
    }
    summary = json.loads((run / "scores" / "summary.json").read_text("utf-8"))
    rows = [f"{row['task']} {row['model']} {row['metric']} {row['value']!r}" for row in summary["scores"]]
    found["scores"] = _sha("\n".join(sorted(rows)).encode())
    return found


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def test_the_demo_s_bytes_are_those_that_were_pinned(tmp_path: Path) -> None:
    assert hashes(make_demo(tmp_path)) == json.loads(HASHES.read_text("utf-8"))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps(hashes(make_demo(Path(scratch))), indent=1))
