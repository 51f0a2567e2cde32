"""Every command that the README shows is run here, or by `make test` and `make demo` themselves.

README.zh-TW.md shows the same commands (test_readme_zh.py); they are not run twice.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fake_server import KEY, serve

ROOT = Path(__file__).parent.parent
READMES = sorted(ROOT.glob("README*.md"))
BLOCK = re.compile(r"```bash\n(.*?)```", re.DOTALL)
ELSEWHERE = (
    "make demo",
    "make test",
    "pip install",
    "export OPENAI_API_KEY",
    "etlch-data run",
    "etlch-score",
)
"""Run by CI as they stand, the last two and the install line by the Makefile; or an assignment."""


def commands(path: Path) -> list[str]:
    lines = [line for block in BLOCK.findall(path.read_text(encoding="utf-8")) for line in block.splitlines()]
    return [shlex.join(shlex.split(line, comments=True)) for line in lines if line.split("#")[0].strip()]


@pytest.mark.slow
def test_the_readmes_commands_run_in_order(tmp_path: Path) -> None:
    place = tmp_path
    with serve(key=KEY) as server:
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": server.url,
        }
        ran = 0
        for command in commands(ROOT / "README.md"):
            words = shlex.split(command)
            if command.startswith(ELSEWHERE):
                assert not words[-1].startswith("outputs/") or (place / words[-1]).is_dir(), command
                continue
            if words[0] == "cd":
                place = (place / words[1]).resolve()
                assert place.is_dir(), command
            elif words[0] == "llamafactory-cli":
                # The real command runs in test_train.py and in the demo; here the recipe must be there.
                assert (place / words[2]).is_file(), command
            else:
                # Small numbers: what is shown is the same command.
                small = command.replace("--sizes 100,300", "--sizes 12,300 --test 4")
                ended = subprocess.run(
                    small,
                    shell=True,
                    cwd=place,
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=300,
                    check=False,
                )
                assert ended.returncode == 0, f"{command}\n{ended.stderr}"
                ran += 1
    assert ran >= 4


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_links_and_the_tree_match_the_disk(readme: Path) -> None:
    text = readme.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", text):
        assert (ROOT / target).exists(), target
    for name in re.findall(r"^(\w[\w.]*)/ ", text, re.MULTILINE):
        assert (ROOT / name).is_dir(), name
