"""What both commands share: a command leaves the caller's process as it was."""

from __future__ import annotations

import signal

from click.testing import CliRunner

from etlch.cli.data import main


def test_a_command_puts_the_handler_of_sigterm_back() -> None:
    former = signal.getsignal(signal.SIGTERM)
    assert CliRunner().invoke(main, ["status", "no-such-run"]).exit_code == 2
    assert signal.getsignal(signal.SIGTERM) is former


def test_an_error_and_its_remedy_are_told_in_the_reader_s_language() -> None:
    found = CliRunner().invoke(main, ["status", "no-such-run", "--lang", "zh-TW"])
    assert found.exit_code == 2
    assert "錯誤：no-such-run 不是 run 資料夾：裡面沒有 run.yaml" in found.output
    assert "請指定 `etlch-data generate` 寫出的資料夾" in found.output
