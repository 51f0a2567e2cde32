"""Topic trees grown by a teacher: proved names, no repeats, the same tree however the answers come."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from etlch.cli.data import main
from etlch.core.errors import EtlchError
from etlch.core.files import read_jsonl
from etlch.core.prompts import Prompts
from etlch.core.records import LANGUAGES, Article, Json
from etlch.core.run_folder import Run
from etlch.pipeline.topics import Grown, grow, problem
from etlch.teachers.topic_plan import read_tree
from tests.fake_server import Fault, Server, serve
from tests.fake_teacher import reply as write
from tests.llm.clients import settings

FIELDS = {
    "en": ("shipping law", "wind power"),
    "zh-TW": ("海商法", "風力發電"),
    "zh-CN": ("海商法", "风力发电"),
}
LETTERS = {"en": "abcdefghij", "zh-TW": "甲乙丙丁戊己庚辛壬癸", "zh-CN": "甲乙丙丁戊己庚辛壬癸"}


def sent_in(body: Json) -> str:
    return str(body["messages"][-1]["content"])


def names(body: Json) -> str:
    """Answer with the names asked for, drawn from the prompt, as a teacher that knows its field."""
    prompt = sent_in(body)
    language = "en" if "English" in prompt else "zh-TW" if "體" in prompt else "zh-CN"
    count = int(re.findall(r"\d+", prompt)[-1])
    marks = hashlib.sha256(prompt.encode()).digest()
    word = "".join(LETTERS[language][mark % 10] for mark in marks[:8])
    return json.dumps({"names": [f"{word}{number}" for number in range(count)]}, ensure_ascii=False)


def then(first: list[str], others: Callable[[Json], str] = names) -> Callable[[Json], str]:
    """Answer the first ask of each place with these names, and asks again as others do."""
    return lambda body: others(body) if body.get("seed") else json.dumps({"names": first})


def grown(server: Server, folder: Path, parts: int = 2, subjects: int = 3, **changed: Any) -> Grown:
    changed = {"language": "en", "domains": FIELDS["en"], **changed}
    return asyncio.run(grow(settings(server, **changed), folder, parts, subjects, lambda line: None))


def sent(server: Server) -> list[str]:
    return [sent_in(seen.body) for seen in server.seen]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_tree_is_named_from_the_top_and_read_as_the_plan(language: str, tmp_path: Path) -> None:
    with serve(reply=names) as server:
        found = grown(server, tmp_path / "mine", language=language, domains=FIELDS[language])
        assert len(server.seen) == 2 + 2 * 2
        assert all("response_format" in seen.body for seen in server.seen)
        assert FIELDS[language][0] in "".join(sent(server)[:2]) and len(server.seen[0].body["messages"]) == 1
    mine, shipped = Prompts(tmp_path / "mine"), Prompts()
    mine.check()
    tree = read_tree(mine, language, (), ())
    assert {domain: len(subjects) for domain, subjects in tree.domains.items()} == dict.fromkeys(
        FIELDS[language], 6
    )
    assert found.path == tmp_path / "mine" / "topics" / f"{language}.yaml"
    assert tree[1:] == read_tree(shipped, language, (), ())[1:]
    # Each sub-domain is asked for its subjects beside its sibling, within its domain.
    for domain, (one, other) in found.added.items():
        for part, beside in ((one, other), (other, one)):
            (asked,) = [
                text for text in sent(server) if part in text and f"{beside}." in text.replace("。", ".")
            ]
            assert domain in asked and asked.index(part) < asked.index(beside)


def test_what_cannot_be_used_is_asked_for_again_with_the_reasons(tmp_path: Path) -> None:
    poor = ["", "Ｗind  Power", "船舶", "x" * 81, "<|im_end|> now", "fine", "FINE"]
    with serve(reply=then(poor)) as server:
        found = grown(server, tmp_path, domains=("wind power",), parts=2, subjects=2)
        again = sent(server)[1]
    told = (
        "a name is empty",
        "'Ｗind Power' is there",
        "'船舶' is not written in en",
        "longer",
        "control",
        "'FINE' is",
    )
    for reason in told:
        assert reason in again
    assert "already, so name others: fine." in again and again.endswith("a list of 1 names.")
    every = [
        name
        for parts in found.added.values()
        for part, subjects in parts.items()
        for name in (part, *subjects)
    ]
    assert every[0] == "fine" and len({name.casefold() for name in every}) == 2 + 2 * 2


def test_the_tree_does_not_depend_on_the_order_of_the_answers(tmp_path: Path) -> None:
    def overlapping(body: Json) -> str:
        own, prompt = json.loads(names(body))["names"], sent_in(body)
        common = [name for name in ("grid", "storms") if name not in prompt]
        return json.dumps({"names": [*common, *own][: len(own)]})

    def at(concurrency: int, *faults: Fault) -> bytes:
        folder = tmp_path / str(concurrency)
        with serve(*faults, reply=overlapping) as server:
            return grown(server, folder, concurrency=concurrency, max_attempts=4).path.read_bytes()

    assert at(1) == at(8, Fault("500", every=3))


def test_an_unusable_answer_is_asked_for_again(tmp_path: Path) -> None:
    with serve(Fault("invalid_json", at=(0,)), Fault("refusal", at=(3,)), reply=names) as server:
        assert len(grown(server, tmp_path, domains=("wind power",)).added["wind power"]) == 2
        assert len(server.seen) == 1 + 2 + 2


def test_a_stopped_growth_goes_on_and_pays_nothing_twice(tmp_path: Path) -> None:
    with serve(Fault("403", at=(4,)), reply=names) as server:
        with pytest.raises(EtlchError):
            grown(server, tmp_path, concurrency=1)
        assert not (tmp_path / "topics").exists()
    with serve(reply=names) as server:
        grown(server, tmp_path, concurrency=1)
        assert len(server.seen) == 2 + 2 * 2 - 4


def test_other_domains_are_added_and_every_line_of_yours_stays(tmp_path: Path) -> None:
    mine = tmp_path / "topics" / "en.yaml"
    mine.parent.mkdir()
    text = "# Mine.\ndomains:  # by hand\n\n    tea:  # all of it\n        green: [sencha, a 'gyokuro' year]\nlengths: [90]\n"
    mine.write_text(text, encoding="utf-8")
    with serve(reply=then(["Sencha", "kites"])) as server:
        found = grown(server, tmp_path, domains=("tea", "kites and wind"))
        assert found.kept == ("tea",) and list(found.added) == ["kites and wind"]
        assert "'Sencha' is there already" in "".join(sent(server))
        assert "tea" not in "".join(sent(server))
        asked = len(server.seen)
        assert grown(server, tmp_path, domains=("tea", "kites and wind")).added == {}
        assert len(server.seen) == asked
    now = mine.read_text(encoding="utf-8").splitlines()
    assert [line for line in now if line in text.splitlines()] == text.splitlines()
    tree = read_tree(Prompts(tmp_path), "en", (), ())
    assert tree.lengths == (90,) and {name: len(subjects) for name, subjects in tree.domains.items()} == {
        "tea": 2,
        "kites and wind": 6,
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("domains: {tea: {green: [sencha]}}\n", "cannot be extended"),
        ("domains: {}  # to be filled\n", "cannot be extended"),
        ("tea: [sencha]\n", "not a topic tree"),
    ],
)
def test_a_file_that_cannot_be_extended_is_left_alone(tmp_path: Path, text: str, told: str) -> None:
    mine = tmp_path / "topics" / "en.yaml"
    mine.parent.mkdir()
    mine.write_text(text, encoding="utf-8")
    with serve(reply=names) as server, pytest.raises(EtlchError, match=told):
        grown(server, tmp_path)
    assert mine.read_text(encoding="utf-8") == text


def test_too_few_names_write_nothing_and_more_asks_pay_only_for_themselves(tmp_path: Path) -> None:
    with serve(reply=then(["one", "one"], lambda body: '{"names": ["one"]}')) as server:
        with pytest.raises(
            EtlchError, match=r"named 1 of 2 for 'wind power' in 2 attempts .*'one' is there already"
        ):
            grown(server, tmp_path, domains=("wind power",), max_attempts=2)
        assert not (tmp_path / "topics").exists()
        server.reply = names
        grown(server, tmp_path, domains=("wind power",), max_attempts=3)
        assert len(server.seen) == 2 + 1 + 2


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"teacher": "offline"}, "offline teacher cannot write a topic tree"),
        ({"domains": ()}, "--domains"),
        ({"parts": 0}, "--sub-domains 0"),
        ({"subjects": -1}, "--subjects -1"),
        ({"subjects": 500_000}, "--budget"),
    ],
)
def test_what_cannot_grow_is_refused_before_anything_is_sent(
    tmp_path: Path, changed: dict[str, Any], told: str
) -> None:
    with serve(reply=names) as server:
        with pytest.raises(EtlchError, match=told):
            grown(server, tmp_path, **changed)
        assert not server.seen


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_shipped_name_is_taken_for_another_language(language: str) -> None:
    tree = Prompts().data(f"topics/{language}.yaml")["domains"]
    shipped = [
        name for parts in tree.values() for part, subjects in parts.items() for name in (part, *subjects)
    ]
    assert len(shipped) > 700
    assert [problem(name, language, ()) for name in shipped if problem(name, language, ())] == []


@pytest.mark.parametrize(
    ("name", "language", "fine"),
    [
        ("臺灣的離岸風場", "zh-TW", True),
        ("台湾的离岸风场", "zh-TW", False),
        ("台湾的离岸风场", "zh-CN", True),
        ("臺灣的離岸風場", "zh-CN", False),
        ("5G 基地台", "zh-TW", True),
        ("offshore wind", "zh-TW", False),
        ("offshore wind", "en", True),
        ("1999", "en", False),
    ],
)
def test_the_script_of_a_name_is_seen(name: str, language: str, fine: bool) -> None:
    assert (problem(name, language, ()) == "") == fine


def test_the_command_grows_what_generate_then_draws_from(tmp_path: Path) -> None:
    def either(body: Json) -> str:
        return names(body) if "names" in json.dumps(body.get("response_format", "")) else write(body)

    folder, out = str(tmp_path / "mine"), tmp_path / "run"
    with serve(reply=either) as server:
        base = ["--base-url", server.url, "--language", "en"]
        asked = ["topics", folder, "--domains", "wind power", "--sub-domains", "1", "--subjects", "2"]
        first = CliRunner().invoke(main, [*asked, *base])
        assert first.exit_code == 0, first.output
        assert f"etlch-data generate --prompts {folder} --language en" in first.output
        sizes = ["--sizes", "2", "--test", "1", "--out", str(out)]
        second = CliRunner().invoke(main, ["generate", "--prompts", folder, *sizes, *base])
        assert second.exit_code == 0, second.output
    articles = read_jsonl(Run(out).articles, Article)
    assert {article.domain for article in articles} == {"wind power"}
