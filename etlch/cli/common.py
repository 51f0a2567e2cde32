"""Share what the commands have in common: errors as one message with an exit code, and option types."""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import click

from etlch.core import locale
from etlch.core.errors import EtlchError, Notice
from etlch.core.locale import _
from etlch.core.version import __version__


def _speak(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        locale.speak(value)


def _lang_option() -> click.Option:
    return click.Option(
        ["--lang"],
        type=click.Choice(locale.LANGUAGES, case_sensitive=False),
        callback=_speak,
        is_eager=True,
        expose_value=False,
        help="Language of messages and pages.  [default: the environment's]",
    )


class Group(click.Group):
    """A command group that prints an EtlchError without a traceback and exits with its code.

    It and its commands speak the language of `--lang`, else of the environment.
    """

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.params.append(_lang_option())

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command, which may be told the language too."""
        if not isinstance(cmd, Group):
            cmd.params.append(_lang_option())
        super().add_command(cmd, name)

    def main(self, *args: Any, **more: Any) -> Any:
        """Run a whole command line."""
        with locale.speaking(locale.of_environment(os.environ)):
            return super().main(*args, **more)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen command."""
        return guarded(super().invoke, ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List commands in the order in which they were added: the order of the walk."""
        return list(self.commands)


class Command(click.Command):
    """A lone command with the manners of Group."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        return guarded(super().invoke, ctx)


def guarded(call: Any, ctx: click.Context) -> Any:
    """Run a command; end with its exit code on EtlchError, with 130 on Ctrl-C and 143 on SIGTERM."""
    warnings.showwarning = _show_warning
    terminated: list[int] = []
    restore = _interrupt_on_sigterm(terminated)
    try:
        return call(ctx)
    except EtlchError as error:
        click.echo(_("Error: {message}").format(message=error.what), err=True)
        if error.hint:
            click.echo(error.hint, err=True)
        ctx.exit(error.code)
    except KeyboardInterrupt:
        click.echo(_("Stopped. Run the same command again to go on."), err=True)
        ctx.exit(143 if terminated else 130)
    except BrokenPipeError:
        sys.stderr.close()
        ctx.exit(0)
    finally:
        restore()


def _interrupt_on_sigterm(terminated: list[int]) -> Callable[[], object]:
    """Have SIGTERM (a shutdown, a cluster's queue) stop a command as Ctrl-C does; `terminated` then is not empty.

    Returns what puts the former handler back: who calls a command from Python keeps their own.
    """

    def interrupt(number: int, frame: Any) -> None:
        terminated.append(number)
        if signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, signal.SIG_DFL, None):
            raise KeyboardInterrupt
        signal.raise_signal(signal.SIGINT)  # an event loop has its own handler, which cancels its task

    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    former = signal.signal(signal.SIGTERM, interrupt)
    return lambda: signal.signal(signal.SIGTERM, former)


def _show_warning(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
    """Print a warning to the user as one line; those to programmers as Python prints them."""
    if issubclass(category, Notice):
        click.echo(_("Warning: {message}").format(message=message), err=True)
    else:
        _SHOW(message, category, *place, **more)


_SHOW = warnings.showwarning


def split(kind: type = str) -> Any:
    """Return a click callback that turns `a,b,c` into a tuple; None stays None."""

    def callback(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[Any, ...] | None:
        if value is None:
            return None
        items = [item.strip() for item in value.split(",") if item.strip()]
        try:
            return tuple(kind(item) for item in items)
        except ValueError as error:
            raise click.BadParameter(f"{value!r} is not a list of numbers such as 100,300") from error

    return callback


def counted(number: int, noun: str) -> str:
    """Return `1 error`, `2 errors`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


version_option = click.version_option(__version__, prog_name="etlch", message="%(prog)s %(version)s")
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
