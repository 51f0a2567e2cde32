"""Define the one error of content: an answer arrived and cannot be used."""

from __future__ import annotations


class BadContent(Exception):
    """An answer that cannot be used: cut off, refused, empty, not JSON, or against its schema.

    Args:
        reasons: what is wrong, in words that can be sent back to the teacher.
        text: the raw answer.
        again: asking again may help.
    """

    def __init__(self, reasons: tuple[str, ...], text: str, *, again: bool = True) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons
        self.text = text
        self.again = again
