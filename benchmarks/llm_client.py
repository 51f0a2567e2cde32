"""What the client costs, beside a bare loop of the same SDK: `python benchmarks/llm_client.py [NAME …]`.

All requests go to a server on loopback that this script starts in a process of its own. Both
sides send the same bodies and get the same replies, and each measurement is a fresh process.
CPU is user + system time; of several repeats, interleaved, the smallest counts, since other
load on the machine can only add to it. Results stand in docs/llm-client.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
AT_ONCE = 32
WARM_UP = 200
ANSWER = json.dumps(
    {"entities": [{"type": "Person", "mention": f"Anna Keller {n}"} for n in range(20)]}, ensure_ascii=False
)


def article(number: int) -> str:
    """An English text of about 1,500 tokens, another one for each number."""
    rng = random.Random(number)
    words = [
        "harbour", "bridge", "engineer", "council", "opened", "measured", "river", "granite", "winter",
        "ledger", "paid", "northern", "station", "survey", "number", "between", "letters", "because",
    ]  # fmt: skip
    return " ".join(rng.choice(words) for _ in range(1250)) + f" {number}."


# ---- the server -------------------------------------------------------------------------------


class Wire(asyncio.Protocol):
    """The cheapest server that speaks enough HTTP: any POST gets one completion, after a wait."""

    def __init__(self, wait: float) -> None:
        self.wait = wait
        self.buffer = b""
        reply = {
            "id": "chatcmpl-0", "object": "chat.completion", "created": 0, "model": "gpt-4o-mini",
            "choices": [{
                "index": 0, "finish_reason": "stop", "logprobs": None,
                "message": {"role": "assistant", "content": ANSWER, "refusal": None, "annotations": []},
            }],
            "usage": {"prompt_tokens": 1500, "completion_tokens": 300, "total_tokens": 1800},
        }  # fmt: skip
        body = json.dumps(reply).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self.answer = head.encode() + body

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            size = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            if len(self.buffer) < end + 4 + size:
                return
            self.buffer = self.buffer[end + 4 + size :]
            if self.wait:
                asyncio.get_running_loop().call_later(self.wait, self.transport.write, self.answer)
            else:
                self.transport.write(self.answer)


async def serve(wait: float) -> None:
    """Listen on a free port of loopback and print the URL."""
    server = await asyncio.get_running_loop().create_server(lambda: Wire(wait), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


# ---- the two sides: each runs in a fresh process and prints one JSON line ----------------------


def cpu() -> float:
    """User and system seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def bodies(count: int) -> list[dict[str, Any]]:
    """What the model teacher sends for a label, rendered beforehand."""
    from etlch.core.prompts import Prompts
    from etlch.llm import chat_completions
    from etlch.llm.store import Message, Request
    from etlch.tasks import find_task

    prompts = Prompts()
    types = prompts.data("ner/types.yaml")["en"]
    schema = find_task("ner").answer_schema(list(types))
    return [
        chat_completions.body(
            Request(
                "gpt-4o-mini",
                (Message("user", prompts.render("ner/label", "en", article=article(n), types=types)),),
                4096,
                schema=schema,
            ),
            chat_completions.EndpointProfile(),
        )
        for n in range(count)
    ]


async def bare_bodies(url: str, path: str) -> dict[str, float]:
    """The bare loop with bodies that were recorded, one a line."""
    from openai import AsyncOpenAI

    sent = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
    client = AsyncOpenAI(api_key="none", base_url=url, max_retries=0)
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(body: Any) -> None:
        async with gate:
            await client.chat.completions.create(**body)

    await asyncio.gather(*(one(body) for body in sent[:WARM_UP]))
    used = cpu()
    await asyncio.gather(*(one(body) for body in sent[WARM_UP:]))
    return {"cpu_ms": (cpu() - used) / (len(sent) - WARM_UP) * 1e3}


async def bare(url: str, count: int, warm_up: int = WARM_UP) -> dict[str, float]:
    """AsyncOpenAI with its default transport and a semaphore; nothing is stored or looked at."""
    from openai import AsyncOpenAI

    sent = bodies(warm_up + count)
    client = AsyncOpenAI(api_key="none", base_url=url, max_retries=0)
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(body: Any) -> None:
        async with gate:
            await client.chat.completions.create(**body)

    began = time.perf_counter()
    await asyncio.gather(*(one(body) for body in sent[:warm_up]))
    used = cpu()
    await asyncio.gather(*(one(body) for body in sent[warm_up:]))
    return {"cpu_ms": (cpu() - used) / count * 1e3, "seconds": time.perf_counter() - began}


async def everyone(work: Callable[[Iterator[str]], Any], texts: list[str]) -> None:
    """Share the texts among the askers."""
    shared = iter(texts)
    await asyncio.gather(*(work(shared) for _ in range(3 * AT_ONCE)))


async def client(url: str, count: int, warm_up: int = WARM_UP) -> dict[str, float]:
    """The model teacher on the client: render, book, send, store, commit, parse, check the schema."""
    from etlch.core.config import make_settings
    from etlch.core.prompts import Prompts
    from etlch.core.records import Topic
    from etlch.core.run_folder import Run
    from etlch.llm.client import open_client
    from etlch.tasks import find_task
    from etlch.teachers.base import Attempt, Instruction
    from etlch.teachers.llm import ModelTeacher

    prompts = Prompts()
    keys = tuple(prompts.data("ner/types.yaml")["en"])
    articles = [article(n) for n in range(warm_up + count)]
    topic, task, brief = Topic(0, "", "", "en"), find_task("ner"), Instruction("", keys)
    settings = make_settings(base_url=url, concurrency=AT_ONCE)
    told = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("", "replay_"):
            async with open_client(settings.teacher, Run(Path(folder))) as opened:
                teacher = ModelTeacher(settings.teacher, settings.plan, prompts, opened)

                async def work(texts: Iterator[str], teacher: ModelTeacher = teacher) -> None:
                    for text in texts:
                        await teacher.label(topic, text, task, brief, Attempt())

                # As many askers as a run has: three labels of each of the candidates in work.
                began = time.perf_counter()
                await everyone(work, articles[:warm_up])
                used = cpu()
                await everyone(work, articles[warm_up:])
                told[f"{name}cpu_ms"] = (cpu() - used) / count * 1e3
                told[f"{name}seconds"] = time.perf_counter() - began
    return told


async def first_bare(url: str) -> dict[str, float]:
    """Import openai, make the client, send one request."""
    from openai import AsyncOpenAI

    client = AsyncOpenAI(api_key="none", base_url=url, max_retries=0)
    message = {"role": "user", "content": article(0)}
    await client.chat.completions.create(model="m", messages=[message])  # type: ignore[list-item]
    return {"cpu_ms": cpu() * 1e3}


async def first_engine(url: str) -> dict[str, float]:
    """Open a client and a teacher, and have one article written."""
    from etlch.core.config import make_settings
    from etlch.core.prompts import Prompts
    from etlch.core.run_folder import Run
    from etlch.llm.client import open_client
    from etlch.teachers.base import Attempt
    from etlch.teachers.llm import ModelTeacher

    settings = make_settings(base_url=url, language="en")
    with tempfile.TemporaryDirectory() as folder:
        async with open_client(settings.teacher, Run(Path(folder))) as opened:
            teacher = ModelTeacher(settings.teacher, settings.plan, Prompts(), opened)
            await teacher.article(next(teacher.topics()), Attempt())
            return {"cpu_ms": cpu() * 1e3}


SIDES: dict[str, Callable[..., Any]] = {
    "bare": bare,
    "bare_bodies": bare_bodies,
    "client": client,
    "first_bare": first_bare,
    "first_engine": first_engine,
}


# ---- the measurements -------------------------------------------------------------------------


def ask(side: str, url: str, *more: int | str) -> dict[str, float]:
    """Run one side in a fresh process."""
    command = [sys.executable, __file__, "--side", side, "--url", url, *map(str, more)]
    out = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    told: dict[str, float] = json.loads(out.splitlines()[-1])
    return told


class Process:
    """A server process that prints its URL; `with Process(command) as url`."""

    def __init__(self, command: list[str]) -> None:
        self.command = command

    def __enter__(self) -> str:
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()


def loopback(wait: float) -> Process:
    """The server of this script."""
    return Process([sys.executable, __file__, "--serve", str(wait)])


def per_request(repeats: int) -> None:
    """CPU of one request, ours beside the bare loop; and of one replay."""
    ours, theirs = [], []
    with loopback(0.0) as url:
        for _ in range(repeats):
            theirs.append(ask("bare", url, 800))
            ours.append(ask("client", url, 800))
    low = {key: min(told[key] for told in ours) for key in ours[0]}
    bare_ms = min(told["cpu_ms"] for told in theirs)
    print(f"CPU per request: client {low['cpu_ms']:.2f} ms, bare loop {bare_ms:.2f} ms", end="")
    print(f"  ratio {low['cpu_ms'] / bare_ms:.2f} (promised ≤ 1.0)")
    print(f"replay: {low['replay_cpu_ms']:.3f} ms a reply (promised ≤ 0.3)")


def throughput(repeats: int) -> None:
    """Throughput at 200 ms latency, beside the ideal of 32 every 200 ms; the fastest repeat counts."""
    count = 1280
    with loopback(0.2) as url:
        pairs = [
            (ask("client", url, count, 0)["seconds"], ask("bare", url, count, 0)["seconds"])
            for _ in range(repeats)
        ]
    ideal = count / AT_ONCE * 0.2
    took, bare_took = (min(times) for times in zip(*pairs, strict=True))
    print(f"200 ms latency: client {count / took:.0f} requests/s, {ideal / took:.1%} of the ideal", end="")
    print(f" (promised ≥ 95 %); bare loop {ideal / bare_took:.1%}")


def start(repeats: int) -> None:
    """CPU until one request is answered, ours beside the script's."""
    ours, theirs = [], []
    with loopback(0.0) as url:
        for _ in range(repeats + 2):
            theirs.append(ask("first_bare", url)["cpu_ms"])
            ours.append(ask("first_engine", url)["cpu_ms"])
    print(f"start: client {min(ours):.0f} ms, bare script {min(theirs):.0f} ms", end="")
    print(f"  ratio {min(ours) / min(theirs):.2f} (promised ≤ 1.3)")


def generate(repeats: int) -> None:
    """CPU of a whole `generate` a request, checks and files included, beside the bare loop.

    Both sizes' start-up is the same, so the difference of two runs is what requests cost.
    """
    small, large = 20, 180
    ours: list[float] = []
    theirs: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        bodies_path = os.path.join(folder, "bodies.jsonl")
        server = [sys.executable, "-m", "tests.fake_server", "--padding", "45"]
        for turn in range(repeats):
            with Process([*server, *(["--record", bodies_path] if turn == 0 else [])]) as url:
                runs = [
                    _generate(url, os.path.join(folder, f"{turn}-{size}"), size) for size in (small, large)
                ]
                ours.append((runs[1][0] - runs[0][0]) / (runs[1][1] - runs[0][1]) * 1e3)
            with Process(server) as url:
                theirs.append(ask("bare_bodies", url, bodies_path)["cpu_ms"])
    print(f"whole generate: {min(ours):.2f} ms CPU a request, bare loop {min(theirs):.2f} ms", end="")
    print(f"  ratio {min(ours) / min(theirs):.2f} (promised ≤ 1.5)")


def _generate(url: str, out: str, size: int) -> tuple[float, int]:
    """Run `etlch-data generate`; return its CPU seconds and its requests."""
    command = [sys.executable, "-m", "etlch.cli.data", "generate", "--base-url", url, "--language", "en"]
    command += ["--sizes", str(size), "--test", "10", "--out", out, "--json"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, json.loads(told)["cost"]["requests"]


BIG_STORE = """
import json, resource, sys, time
from pathlib import Path
from etlch.llm.store import Reply, Store
from etlch.files import digest

keys = [digest(str(number)) for number in range(100_000)]
start = time.process_time()
store = Store(Path(sys.argv[1]))
if sys.argv[2] == "fill":
    for number, key in enumerate(keys):
        store.put(Reply(key, f"{number} " + "a label of some length " * 40, "stop", 1500, 250, 0.0004), "ner/label", "m")
else:
    assert all(store.get(key).text.startswith(f"{number} ") for number, key in enumerate(keys))
store.close()
spent = time.process_time() - start
print(json.dumps({"seconds": spent, "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def store(repeats: int) -> None:
    """Look up 100,000 replies in a store that holds them."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "replies.sqlite3")
        subprocess.run([sys.executable, "-c", BIG_STORE, path, "fill"], check=True)
        for _ in range(repeats):
            out = subprocess.run(
                [sys.executable, "-c", BIG_STORE, path, "read"], check=True, capture_output=True
            )
            told = json.loads(out.stdout)
            print(
                f"100,000 replies opened and looked up: {told['seconds']:.1f} s CPU, {told['mib']:.0f} MiB"
                " (promised ≤ 5 s, < 400 MB)"
            )


MEASURES = {
    "per_request": per_request,
    "generate": generate,
    "throughput": throughput,
    "start": start,
    "store": store,
}


def main() -> None:
    """Run the measurements named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(MEASURES)}")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--serve", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve is not None:
        asyncio.run(serve(given.serve))
    elif given.side:
        more = [int(name) if name.isdigit() else name for name in given.names]
        print(json.dumps(asyncio.run(SIDES[given.side](given.url, *more))))
    else:
        for name in given.names or MEASURES:
            MEASURES[name](given.repeats)


if __name__ == "__main__":
    main()
