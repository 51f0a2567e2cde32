"""Convert PDF, Word, HTML and e-mail files to text; tables become Markdown, emphasis is left out.

PDF is read with PDFium, page by page; Word with mammoth, which gives HTML; HTML with Beautiful Soup and markdownify.
They come with `pip install 'etlch[docs]'`. Emphasis and links are left out because their marks would stand inside
values: a label must stand in its text word for word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from importlib import import_module
from io import BytesIO
from typing import Any, NamedTuple

from etlch.core.errors import EtlchError
from etlch.core.extras import need
from etlch.core.locale import _
from etlch.text.encodings import decode

_LEFT_OUT = ("script", "style", "noscript", "template", "head")
_PLAIN = ["a", "b", "strong", "i", "em", "u", "s", "del", "code", "img", "sub", "sup", "span"]
_HEADERS = ("From", "To", "Cc", "Date", "Subject")
_SENTENCE_ENDS = "。！？；：.!?;:…"
_FULL = 0.8
"""A line this long, relative to the longest of its page, was broken by the page's width."""
_HYPHENS = "\ufffe\x02\xad"
"""What PDFium gives for a hyphen that only divides a word at the end of a line."""


class Converted(NamedTuple):
    """The text of a file.

    Attributes:
        title: what the file calls itself; may be empty.
        pages: where each page begins in the text; empty for files without pages.
        left_out: what of the file was not read, in words; empty where it was all.
    """

    text: str
    title: str = ""
    pages: tuple[int, ...] = ()
    left_out: str = ""


def convert_pdf(content: bytes, name: str) -> Converted:
    """Return the text of a PDF, pages apart by a blank line, lines joined that the page's width had broken.

    Raises:
        EtlchError: it needs a password or is damaged, or pypdfium2 is not installed.
    """
    pdfium = _module("pypdfium2", name)
    try:
        document = pdfium.PdfDocument(content)
    except pdfium.PdfiumError as error:
        raise EtlchError(
            _("{name} cannot be read as PDF ({error})").format(name=name, error=error),
            _("Is it protected or damaged?"),
        ) from error
    pages = [unwrapped(page.get_textpage().get_text_range()) for page in document]
    title = (document.get_metadata_dict().get("Title") or "").strip()
    title = "" if title.strip("()").lower() in ("anonymous", "untitled", "unspecified") else title
    document.close()
    starts, length = [], 0
    for page in pages:
        starts.append(length)
        length += len(page) + 2
    empty = sum(not page.strip() for page in pages)
    told = f"{empty} of {len(pages)} pages hold no text (scanned?)" if empty else ""
    return Converted("\n\n".join(pages), title, tuple(starts), told)


def unwrapped(text: str) -> str:
    """Return the text of a page with those lines joined that only the page's width had broken.

    A line is taken for one if it is nearly as long as the longest and ends no sentence.
    """
    lines = [line.rstrip(" \t") for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    width = max(map(len, lines), default=0)
    made: list[str] = []
    joins = False
    for line in lines:
        if joins and line.strip():
            made[-1] = _joined(made[-1], line.lstrip())
        else:
            made.append(line)
        joins = len(line) >= _FULL * width and line[-1:] not in _SENTENCE_ENDS
    return "\n".join(made).strip("\n")


def _joined(first: str, second: str) -> str:
    if first[-1:] in _HYPHENS:
        return first[:-1] + second
    wide = any(unicodedata.east_asian_width(char) in "WF" for char in (first[-1], second[0]))
    return first + ("" if wide or first.endswith("-") else " ") + second


def convert_word(content: bytes, name: str) -> Converted:
    """Return the text of a .docx file: headings, lists and tables as Markdown, without pictures.

    Raises:
        EtlchError: it is no .docx, or mammoth is not installed.
    """
    mammoth = _module("mammoth", name)
    from zipfile import BadZipFile

    try:
        html = mammoth.convert_to_html(BytesIO(content)).value
    except (BadZipFile, KeyError, ValueError, OSError) as error:
        raise EtlchError(
            _("{name} cannot be read as .docx ({error})").format(name=name, error=error),
            _("Save it as .docx or as text."),
        ) from error
    return convert_html(html, name)


def convert_html(content: bytes | str, name: str) -> Converted:
    """Return the text of a page: headings, lists and tables as Markdown, without scripts, links and pictures.

    Raises:
        EtlchError: markdownify is not installed.
    """
    markdownify = _module("markdownify", name)
    soup = _module("bs4", name).BeautifulSoup(content, "html.parser")
    title = soup.title.get_text().strip() if soup.title else ""
    for tag in soup(_LEFT_OUT):
        tag.decompose()
    made = markdownify.MarkdownConverter(
        strip=_PLAIN,
        heading_style="ATX",
        escape_asterisks=False,
        escape_underscores=False,
        escape_misc=False,
        table_infer_header=True,
    ).convert_soup(soup)
    return Converted(re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+\n", "\n", made)).strip("\n"), title)


def convert_mail(content: bytes, name: str) -> Converted:
    """Return an e-mail (.eml): sender, receivers, date and subject, a line each, and its text.

    The plain text is taken where there is one, else the HTML. Attachments are counted, not read.
    """
    from email import message_from_bytes
    from email.policy import default

    message: Any = message_from_bytes(content, policy=default)
    body = message.get_body(preferencelist=("plain", "html"))
    text = ""
    if body is not None:
        raw = body.get_payload(decode=True) or b""
        named = body.get_content_charset()
        try:
            text = raw.decode(named or "utf-8")
        except (LookupError, UnicodeDecodeError):
            text = decode(raw, name).text
        if body.get_content_subtype() == "html":
            text = convert_html(text, name).text
    head = [f"{header}: {message[header]}" for header in _HEADERS if message[header]]
    attached = sum(1 for _ in message.iter_attachments()) if message.is_multipart() else 0
    whole = "\n".join(head) + "\n\n" + text.replace("\r\n", "\n").strip("\n")
    told = f"{attached} attachments" if attached else ""
    return Converted(whole.strip("\n"), str(message["Subject"] or ""), left_out=told)


CONVERTERS: dict[str, Callable[[bytes, str], Converted]] = {
    ".pdf": convert_pdf,
    ".docx": convert_word,
    ".html": convert_html,
    ".htm": convert_html,
    ".xhtml": convert_html,
    ".eml": convert_mail,
}
"""Ending → what reads such files."""


def _module(module: str, name: str) -> Any:
    need("docs", name, module)
    return import_module(module)
