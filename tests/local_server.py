"""A teacher behind a server that nobody here wrote: llama-cpp-python's, with the demo's GGUF.

Takes a GGUF, prints what `etlch-data generate` made of such a teacher. Not part of the
test suite: it builds llama.cpp (minutes) and a 135M model is a poor teacher. Run it by hand:

    python -m venv /tmp/llama && /tmp/llama/bin/pip install 'llama-cpp-python[server]'
    python tests/local_server.py /tmp/llama/bin/python MODEL.gguf FOLDER
"""

from __future__ import annotations

import collections
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

PORT = 8139
NAME = "smollm2-135m"
SETTINGS = "max_attempts: 2\ncandidates: 2\nmax_tokens: 400\ntimeout: 600\n"


def main(python: str, gguf: str, folder: Path) -> None:
    """Start the server, generate a small data set with it, say what came out, stop the server."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [python, "-m", "llama_cpp.server", "--model", gguf, "--model_alias", NAME]
    command += ["--host", "127.0.0.1", "--port", str(PORT), "--n_ctx", "4096"]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait(server)
        code = generate(folder)
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(timeout=30)
        except subprocess.TimeoutExpired:  # it writes its answer to the end first
            server.kill()
    tell(folder / "run", code)


def wait(server: subprocess.Popen[bytes], seconds: int = 120) -> None:
    """Wait until the server lists its model."""
    for _ in range(seconds):
        if server.poll() is not None:
            sys.exit(f"the server ended with code {server.returncode}; see server.log")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/v1/models", timeout=5) as answer:
                if NAME in answer.read().decode():
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(1)
    sys.exit(f"no answer from the server in {seconds} s; see server.log")


def generate(folder: Path) -> int:
    """Run the command as a user would, and return its exit code."""
    settings = folder / "settings.yaml"
    settings.write_text(SETTINGS, encoding="utf-8")
    options = f"--base-url http://127.0.0.1:{PORT}/v1 --teacher {NAME} --language en --sizes 3 --test 1"
    command = ["etlch-data", "generate", *options.split(), "--concurrency", "2"]
    command += ["--settings", str(settings), "--out", str(folder / "run")]
    environment = {**os.environ, "OPENAI_API_KEY": "not-needed"}
    return subprocess.run(command, env=environment, check=False).returncode


def tell(run: Path, code: int) -> None:
    """Print how many records were accepted, and why the others were not."""
    written = {name: lines(run / name) for name in ("articles.jsonl", "records.jsonl", "rejected.jsonl")}
    print(f"exit code {code}; " + ", ".join(f"{len(rows)} in {name}" for name, rows in written.items()))
    reasons: collections.Counter[str] = collections.Counter()
    for row in written["rejected.jsonl"]:
        for reason in row["reasons"]:
            reasons[f"{row['task'] or 'article'}, {row['stage']}: {reason[:90]}"] += 1
    for reason, count in reasons.most_common():
        print(f"{count:4}  {reason}")


def lines(path: Path) -> list[dict[str, list[str]]]:
    """Return a JSONL file's objects; none if there is no such file."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
