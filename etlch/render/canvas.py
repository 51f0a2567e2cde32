"""Read labels and a drawing function, return a figure as SVG and PNG bytes.

Fonts are chosen here, so that no label is ever drawn as empty boxes. Nothing is read from the
clock: the same values give the same bytes.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from etlch.core.locale import language

CJK_FONTS = (
    "Noto Sans CJK TC",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans TC",
    "PingFang TC",
    "Microsoft JhengHei",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "SimHei",
)
"""Looked for in this order when a label has characters that matplotlib's own font lacks."""

_FONT_FILES = ("notosanscjk", "notosanstc", "pingfang", "msjh", "wqy", "simhei")
LONGEST_LABEL = 36
"""Characters. A longer label leaves no room for the figure: it gets an id and stands in the key."""

_OWN_FONT = "DejaVu Sans"
INK, SOFT, LINE = "#1d1f21", "#5a5f66", "#d9d9d2"
_STYLE: dict[str, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": SOFT,
    "ytick.color": INK,
    "text.color": INK,
    "hatch.linewidth": 0.6,
    "svg.hashsalt": "etlch",
}


@dataclass(frozen=True)
class Drawing:
    """A finished figure.

    Attributes:
        svg, png: the files' bytes; PNG at 200 dots per inch.
        key: short ids → the labels they stand for, where a label is too long or no font can write it.
    """

    svg: bytes
    png: bytes
    key: Mapping[str, str] = field(default_factory=dict)


class Letters(NamedTuple):
    """Chosen font families, and the texts that are not written out → their ids."""

    families: list[str]
    ids: dict[str, str]

    def write(self, text: str) -> str:
        """Return what the figure writes for a text."""
        return self.ids.get(text, text).replace("$", r"\$")


def choose_letters(labels: Iterable[str], sentences: Iterable[str] = ()) -> Letters:
    """Choose fonts for all texts of a figure.

    A text that no font can write gets an id instead, and so does a label that is too long;
    sentences (names of axes) may be longer.
    """
    names = list(dict.fromkeys(labels))
    wanted = list(dict.fromkeys([*names, *sentences]))
    families = [_OWN_FONT]
    if any(_lacking(text, (_OWN_FONT,)) for text in wanted):
        families += _installed(sorted(CJK_FONTS, key=_foreign))
    unwritable = [text for text in wanted if _lacking(text, tuple(families))]
    replaced = [t for t in wanted if t in unwritable or (t in names and len(t) > LONGEST_LABEL)]
    ids = {text: f"label-{number}" for number, text in enumerate(replaced, 1)}
    if unwritable:
        warnings.warn(
            f"no installed font can write {', '.join(unwritable[:3])}: the figure writes label-1, label-2, … and "
            "its key tells what they stand for. Install a font such as Noto Sans CJK.",
            stacklevel=4,
        )
    return Letters(families, ids)


def _foreign(family: str) -> bool:
    """Tell whether a family draws Chinese characters otherwise than the reader's region writes them."""
    return language() == "zh-CN" and family.endswith((" TC", " JP", " JhengHei"))


def _installed(names: Sequence[str]) -> list[str]:
    """Return the first of these families that is installed, in a list, or none.

    matplotlib lists fonts once and keeps the list: fonts installed later are looked for by file name.
    """
    from matplotlib import font_manager

    if not names:
        return []
    known = {font.name for font in font_manager.fontManager.ttflist}
    if not known & set(names):
        for path in font_manager.findSystemFonts():
            if any(part in path.lower().replace("-", "") for part in _FONT_FILES):
                font_manager.fontManager.addfont(path)
        known = {font.name for font in font_manager.fontManager.ttflist}
    return [name for name in names if name in known][:1]


@lru_cache(maxsize=32)
def _charmap(family: str) -> frozenset[int]:
    from matplotlib import font_manager

    return frozenset(font_manager.get_font(font_manager.findfont(family)).get_charmap())


def _lacking(text: str, families: tuple[str, ...]) -> bool:
    return any(
        not char.isspace() and all(ord(char) not in _charmap(family) for family in families) for char in text
    )


def draw(size: tuple[float, float], letters: Letters, build: Callable[[Any], None]) -> Drawing:
    """Make a figure of (width, height) inches, let `build` fill it, and save it twice."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({**_STYLE, "font.family": letters.families}):
        figure = Figure(figsize=size, layout="constrained", facecolor="white")
        build(figure)
        svg, png = io.BytesIO(), io.BytesIO()
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": "etlch"})
        figure.savefig(png, format="png", dpi=200, metadata={"Software": None})
    return Drawing(svg.getvalue(), png.getvalue(), {short: text for text, short in letters.ids.items()})


def quiet(axes: Any, grid: str) -> None:
    """Leave only what carries meaning: light grid lines along one axis ("x" or "y"), no ticks."""
    axes.grid(axis=grid, color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(grid == "y")
