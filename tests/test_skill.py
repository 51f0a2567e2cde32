"""What agents read is true: the skill names commands and options that exist, llms.txt every page of the docs."""

from __future__ import annotations

import re
from pathlib import Path

import click
import yaml

from etlch.cli.data import main as data
from etlch.cli.extract import main as extract
from etlch.cli.score import main as score

ROOT = Path(__file__).parent.parent
SKILL = (ROOT / "skills" / "etlch" / "SKILL.md").read_text("utf-8")
COMMANDS = {"etlch-data": data, "etlch-score": score, "etlch-extract": extract}


def command_of(words: list[str]) -> click.Command:
    """Return the command that a line runs; score and extract need not be named."""
    group = COMMANDS[words[0]]
    default = words[0].removeprefix("etlch-")
    name = words[1] if len(words) > 1 and words[1] in group.commands else default
    return group.commands[name]


def test_every_command_and_option_of_the_skill_exists() -> None:
    lines = [
        line.split() for line in re.findall(r"`(etlch-\w+ [^`\n]+)`", SKILL.partition("## All commands")[0])
    ]
    assert len(lines) >= 12
    for words in lines:
        known = {name for param in command_of(words).params for name in param.opts}
        assert {word for word in words if word.startswith("--")} <= known, " ".join(words)


def test_the_skill_has_the_head_that_agents_look_for() -> None:
    head = yaml.safe_load(SKILL.split("---")[1])
    assert head["name"] == "etlch" and 100 < len(head["description"]) <= 1024


def test_llms_txt_lists_every_page_and_no_other() -> None:
    listed = re.findall(r"\]\(([^)]+)\)", (ROOT / "llms.txt").read_text("utf-8"))
    assert {path for path in listed if path.startswith("docs/")} == {
        path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/*.md")
    }
    assert all((ROOT / path).is_file() for path in listed)
