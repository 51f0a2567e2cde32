"""What CI asks of the demo: every row was compared, and json_parse_ok rose. Nothing about who wins.

A run folder walks in; exit code 0 or a message walks out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

summary = json.loads((Path(sys.argv[1]) / "scores" / "summary.json").read_text(encoding="utf-8"))
counts = summary["counts"]
keys = [
    path.read_text(encoding="utf-8").count("\n")
    for path in Path(sys.argv[1]).glob("llamafactory/*_test.keys.jsonl")
]
expected = 2 * sum(keys)
if counts["scored"] != expected or counts["skipped"] or min(keys) < 8:
    sys.exit(f"{counts} where the base and the tuned model have {expected} rows over {len(keys)} tasks")
for task in ("json", "ner"):
    values = {
        score["model"]: score["value"]
        for score in summary["scores"]
        if (score["task"], score["metric"]) == (task, "json_parse_ok")
    }
    base = values.pop("base")
    (tuned,) = values.values()
    print(f"{task}: json_parse_ok {base:.2f} → {tuned:.2f}")
    if tuned <= base:
        sys.exit(f"{task}: json_parse_ok did not rise")
