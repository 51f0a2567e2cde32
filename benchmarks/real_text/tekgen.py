"""Write the published answers of Vicuna-13B on Text2KGBench's TekGen half beside a run's own predictions.

    python benchmarks/real_text/tekgen.py CORPUS RUN

CORPUS is the folder `data/wikidata_tekgen` of Text2KGBench (cenguix/Text2KGBench, data CC BY-SA 4.0). RUN was
imported from it with `etlch-data import --train CORPUS/train --test CORPUS/ground_truth --task kge --language en`
and the setting `ungrounded: keep`. The answers are written as they were published; rows without one are empty answers.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

MODEL = "vicuna-13b"


def main(corpus: Path, run: Path) -> None:
    """Write predictions/vicuna-13b/ of the run, with the role of a baseline."""
    names: dict[str, list[str]] = {}
    for row in _rows(corpus / "ground_truth"):
        names.setdefault(row["sent"], []).append(row["id"])
    answers = {
        row["id"]: row["response"] for row in _rows(corpus / "baselines" / "Vicuna-13B" / "llm_responses")
    }
    (keys_path,) = (run / "llamafactory").glob("*_kge_test.keys.jsonl")
    folder = run / "predictions" / MODEL
    (folder / "kge").mkdir(parents=True, exist_ok=True)
    answered = 0
    with (folder / "kge" / "generated_predictions.jsonl").open("w", encoding="utf-8") as out:
        for line in keys_path.read_text("utf-8").splitlines():
            key = json.loads(line)
            text = next((answers[name] for name in names[key["input"]] if name in answers), "")
            answered += bool(text)
            prompt = f"{key['instruction']}\n{key['input']}"
            out.write(
                json.dumps({"prompt": prompt, "predict": text, "label": key["gold"]}, ensure_ascii=False)
                + "\n"
            )
    card = {"name": MODEL, "size": None, "seed": None, "role": "baseline", "adapter": None, "recipe": None}
    (folder / "model.json").write_text(json.dumps(card, indent=2) + "\n", "utf-8")
    print(f"{answered} rows of {keys_path.name} have a published answer")


def _rows(folder: Path) -> list[dict[str, str]]:
    return [
        json.loads(line)
        for path in sorted(folder.glob("*.jsonl"))
        for line in path.read_text("utf-8").splitlines()
    ]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
