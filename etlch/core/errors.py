"""The one error a user sees: what happened, where, and what to do next."""

from etlch.core.locale import _


class EtlchError(Exception):
    """A mistake that the user can fix; the command prints it without a traceback.

    Args:
        what: what is wrong, with the file and line where there is one.
        hint: what to do next, as a command or a setting where possible.
        code: the process's exit status: 2 for wrong input or usage, 1 for a failed check.
    """

    def __init__(self, what: str, hint: str = "", *, code: int = 2) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.code = code

    def __str__(self) -> str:
        return f"{self.what}\n{self.hint}" if self.hint else self.what


def nearest(word: str, known: list[str] | tuple[str, ...], cutoff: float = 0.5) -> str:
    """Return ` Did you mean 'x'?` for the closest known word, or an empty string if none is close.

    `cutoff` is the least similarity, from 0 to 1 (difflib's ratio).
    """
    from difflib import get_close_matches

    match = get_close_matches(word, known, n=1, cutoff=cutoff)
    return _(" Did you mean '{word}'?").format(word=match[0]) if match else ""


class Notice(FutureWarning):
    """A warning to the user of a command, printed as one line without a place in the code."""


def warn_user(text: str) -> None:
    """Tell the user of something that goes on all the same: an old name, an endpoint that is waited for.

    The commands print it as `Warning: …`; Python code sees a warning of the category Notice.
    """
    import warnings

    warnings.warn(text, Notice, stacklevel=3)
