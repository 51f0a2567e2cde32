"""The model teacher: what it sends for each task and language, and what comes back from a fake endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from etlch.core.prompts import Prompts
from etlch.core.records import LANGUAGES, Json, Topic
from etlch.core.run_folder import Run
from etlch.dataset.build_record import fixed_keys
from etlch.llm.client import open_client
from etlch.llm.errors import BadContent
from etlch.tasks import find_task
from etlch.tasks.json_extraction import INSTRUCTION_SCHEMA
from etlch.teachers.base import Attempt, Instruction
from etlch.teachers.llm import ModelTeacher
from etlch.text.json_text import schema_problems
from tests.fake_server import Fault, Server, serve
from tests.llm.clients import settings

PROMPTS = Prompts()


def teach(
    server: Server, folder: Path, work: Callable[[ModelTeacher], Awaitable[Any]], **changed: Any
) -> Any:
    """Do some work with a teacher on a server, within a run folder."""
    chosen = settings(server, **changed)

    async def run() -> Any:
        async with open_client(chosen.teacher, Run(folder)) as client:
            return await work(ModelTeacher(chosen.teacher, chosen.plan, PROMPTS, client))

    return asyncio.run(run())


def topic(language: str, position: int = 0) -> Topic:
    return Topic(
        position,
        "科學" if language != "en" else "Science",
        "稀土" if language != "en" else "rare earths",
        language,
    )


def sent(server: Server, number: int = -1) -> str:
    return str(server.seen[number].body["messages"][-1]["content"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_whole_record_of_each_task_is_taught(language: str, tmp_path: Path) -> None:
    async def work(teacher: ModelTeacher) -> None:
        subject = topic(language)
        article = await teacher.article(subject, Attempt())
        asked = await teacher.write_instruction(subject, article, find_task("json"), Attempt())
        assert not schema_problems(asked, INSTRUCTION_SCHEMA)
        instructions = {
            "json": Instruction(asked["instruction"], tuple(asked["fields"])),
            "kge": Instruction("", ()),
            "ner": Instruction("", fixed_keys(PROMPTS, find_task("ner"), language, "closed")),
        }
        for name, instruction in instructions.items():
            task = find_task(name)
            answer = await teacher.label(subject, article, task, instruction, Attempt())
            assert not schema_problems(answer, task.answer_schema(instruction.keys))
            assert task.facts(answer), name
            # The article stands alone between its tags, once.
            assert sent(server).count(f"<article>\n{article}\n</article>") == 1

    with serve() as server:
        teach(server, tmp_path, work)
        assert server.stats()["posts"] == 5
        assert "response_format" not in server.seen[0].body
        assert all("response_format" in seen.body for seen in server.seen[1:])


def test_the_topic_is_in_the_prompt_of_its_article(tmp_path: Path) -> None:
    with serve() as server:
        asked = Topic(3, "Science", "rare earths", "en", "a blog post", 250)
        teach(server, tmp_path, lambda teacher: teacher.article(asked, Attempt()))
        for part in ("Science", "rare earths", "a blog post", "250 words"):
            assert part in sent(server)


def test_asking_again_shows_the_answer_and_the_reasons_and_draws_another_sample(tmp_path: Path) -> None:
    again = Attempt(2, "old text", ("too short", "no dates"))
    with serve() as server:
        teach(server, tmp_path, lambda teacher: teacher.article(topic("en"), again))
        body = server.seen[0].body
        assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
        assert body["messages"][1]["content"] == "old text"
        assert "- too short\n- no dates" in body["messages"][2]["content"]
        assert body["seed"] == 2


def test_without_an_answer_only_the_reasons_are_shown(tmp_path: Path) -> None:
    again = Attempt(1, "", ("the answer is empty",))
    with serve() as server:
        teach(server, tmp_path, lambda teacher: teacher.article(topic("zh-TW"), again))
        assert [message["role"] for message in server.seen[0].body["messages"]] == ["user", "user"]


def test_how_fields_are_asked_for_varies_with_the_topic_and_not_with_the_run(tmp_path: Path) -> None:
    async def work(teacher: ModelTeacher) -> None:
        for position in range(12):
            await teacher.write_instruction(
                topic("en", position), "Anna Rossi was born.", find_task("json"), Attempt()
            )

    with serve() as server:
        teach(server, tmp_path / "a", work, concurrency=1)
        teach(server, tmp_path / "b", work, concurrency=1)
        prompts = [sent(server, number) for number in range(24)]
        assert prompts[:12] == prompts[12:]
        assert len(set(prompts[:12])) > 6
        styles: Json = PROMPTS.data("json/styles.yaml")
        assert len({style for style in styles["names"]["en"] if style in "".join(prompts)}) > 1


@pytest.mark.parametrize("kind", ["closed", "open"])
def test_entity_types_are_told_with_their_meaning_or_left_to_the_teacher(kind: str, tmp_path: Path) -> None:
    keys = ("人物", "地點") if kind == "closed" else ()

    async def work(teacher: ModelTeacher) -> Any:
        return await teacher.label(
            topic("zh-TW"), "王小明到新竹。", find_task("ner"), Instruction("", keys), Attempt()
        )

    with serve() as server:
        server.reply = lambda body: '{"entities": [{"type": "人物", "mention": "王小明"}]}'
        teach(server, tmp_path, work)
        schema = server.seen[0].body["response_format"]["json_schema"]["schema"]
        kinds = schema["properties"]["entities"]["items"]["properties"]["type"]
        assert kinds.get("enum") == (["人物", "地點"] if kind == "closed" else None)
        assert ("真實或虛構的人名" in sent(server)) == (kind == "closed")


def test_an_answer_against_its_schema_is_bad_content_with_its_raw_text(tmp_path: Path) -> None:
    async def work(teacher: ModelTeacher) -> Any:
        return await teacher.label(
            topic("en"), "Anna.", find_task("ner"), Instruction("", ("Person",)), Attempt()
        )

    with serve() as server, pytest.raises(BadContent) as caught:
        server.reply = lambda body: '{"entities": [{"type": "Town", "mention": "Anna"}]}'
        teach(server, tmp_path, work)
    assert "entities/0/type" in caught.value.reasons[0]
    assert caught.value.text == '{"entities": [{"type": "Town", "mention": "Anna"}]}'


def test_thoughts_before_an_answer_are_taken_off(tmp_path: Path) -> None:
    with serve() as server:
        server.reply = lambda body: "<think>What {now}?</think>\nAn article."
        text = teach(server, tmp_path, lambda teacher: teacher.article(topic("en"), Attempt()))
    assert text == "An article."


def test_temperature_and_max_tokens_are_sent_as_set(tmp_path: Path) -> None:
    with serve() as server:
        work: Any = lambda teacher: teacher.article(topic("en"), Attempt())  # noqa: E731
        teach(server, tmp_path / "a", work, temperature=0.7, max_tokens=900)
        teach(server, tmp_path / "b", work)
        first, second = (seen.body for seen in server.seen)
        assert (first["temperature"], first["max_tokens"]) == (0.7, 900)
        assert "temperature" not in second and second["max_tokens"] == 4096


def test_the_plan_is_the_tree_of_the_prompts_folder(tmp_path: Path) -> None:
    async def work(teacher: ModelTeacher) -> list[Topic]:
        return list(islice(teacher.topics(), 5))

    with serve() as server:
        plan = teach(server, tmp_path, work, language="en")
    assert [item.position for item in plan] == [0, 1, 2, 3, 4]
    assert all(item.language == "en" and item.subject for item in plan)


def test_a_refused_record_is_bad_content_and_not_the_end(tmp_path: Path) -> None:
    with serve(Fault("400", every=1)) as server, pytest.raises(BadContent, match="HTTP 400"):
        teach(server, tmp_path, lambda teacher: teacher.article(topic("en"), Attempt()))
