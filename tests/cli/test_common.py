"""What both commands share: a command leaves the caller's process as it was."""

from __future__ import annotations

import signal

from click.testing import CliRunner

from etlch.cli.data import main


def test_a_command_puts_the_handler_of_sigterm_back() -> None:
    former = signal.getsignal(signal.SIGTERM)
    assert CliRunner().invoke(main, ["status", "no-such-run"]).exit_code == 2
    assert signal.getsignal(signal.SIGTERM) is former
