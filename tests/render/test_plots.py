"""Figures: no letter is ever a box, the same values give the same bytes, text that is XML."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from etlch.render import canvas, plots
from etlch.render.canvas import Drawing
from etlch.render.plots import Band, Curves, Dot, Grid, Panel, Point, Share

NAMES = ["台積電-1000", "简体积软-300", "qwen2.5 $7b$ 基底", "日本語モデル"]


def draw_dots(names: list[str]) -> Drawing:
    dots = [Dot(name, 0.2 * i, 0.1 * i, 0.3 * i, "tuned", i, "0.5") for i, name in enumerate(names)]
    return plots.dots([Panel("任務", dots), Panel("kge", dots[:1])], "分數")


def draw_curves(names: list[str]) -> Drawing:
    points = [Point(100, 0.4, 0.3, 0.5), Point(300, 0.8)]
    return plots.curves(
        [Curves("ner", {names[0]: points}, [Band(names[1], 0.5, 0.4, 0.6)], (names[0], 300))], "F1"
    )


def draw_win_rates(names: list[str]) -> Drawing:
    cells = {(names[0], names[1]): Share(2, 3, 1), (names[2], names[1]): Share(0.5, 2)}
    return plots.win_rates([Grid("json", [names[0], names[2]], [names[1]], cells)])


def draw_shares(names: list[str]) -> Drawing:
    return plots.shares({name: {"strict": 3, "讀不出": 1} for name in names}, "predictions")


def draw_bars(names: list[str]) -> Drawing:
    return plots.bars({name: i for i, name in enumerate(names)}, "筆數")


def draw_histogram(names: list[str]) -> Drawing:
    return plots.histogram([1.0, 2.0, 2.5], names[0])


ALL = [draw_dots, draw_curves, draw_win_rates, draw_shares, draw_bars, draw_histogram]


@pytest.mark.parametrize("draw", ALL)
def test_no_glyph_is_missing_with_or_without_a_chinese_font(
    draw: Callable[[list[str]], Drawing], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canvas, "CJK_FONTS", ())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        drawing = draw(NAMES)
    messages = [str(item.message) for item in caught]
    assert not [text for text in messages if "missing" in text]
    assert len([text for text in messages if "no installed font" in text]) == 1
    assert drawing.key and list(drawing.key) == [f"label-{n + 1}" for n in range(len(drawing.key))]
    assert set(drawing.key.values()) <= {*NAMES, "任務", "分數", "讀不出", "筆數"}

    monkeypatch.undo()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        drawing = draw(NAMES)
    missing = [str(item.message) for item in caught if "missing" in str(item.message)]
    assert not missing
    assert bool(drawing.key) == (not canvas._installed(canvas.CJK_FONTS))


def test_what_no_font_can_write_gets_an_id_and_the_rest_keeps_its_name() -> None:
    with pytest.warns(UserWarning, match="label-1"):
        drawing = draw_dots(["plain", "rare \U0003134a"])
    assert drawing.key == {"label-1": "rare \U0003134a"} or set(drawing.key.values()) == {
        "rare \U0003134a", "任務", "分數",
    }  # fmt: skip


@pytest.mark.parametrize("draw", ALL)
def test_the_same_values_give_the_same_bytes(draw: Callable[[list[str]], Drawing]) -> None:
    names = ["a", "b", "c", "d"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one, two = draw(names), draw(names)
    assert one == two
    assert one.png.startswith(b"\x89PNG") and len(one.png) > 5_000
    assert ElementTree.fromstring(one.svg).tag.endswith("svg")
    assert b"<script" not in one.svg and b"<dc:date>" not in one.svg


def test_grey_print_still_tells_lost_from_won() -> None:
    """The cell of 3/3 is darker than that of 0/3 by more than half of the grey scale."""
    from PIL import Image

    def darkness(share: Share) -> float:
        drawing = plots.win_rates([Grid("t", ["row"], ["col"], {("row", "col"): share})])
        image = Image.open(io.BytesIO(drawing.png)).convert("L")
        return 1 - image.getpixel((int(image.width * 0.62), int(image.height * 0.25))) / 255  # type: ignore[operator]

    assert darkness(Share(0, 3)) < 0.05
    assert darkness(Share(3, 3)) > 0.6


def test_labels_that_would_overlap_are_moved_apart_in_order() -> None:
    moved = plots._apart([0.5, 0.51, 0.1, 0.52], 0.06)
    ordered = sorted(moved)
    assert all(high - low > 0.0599 for low, high in pairwise(ordered))
    assert moved[2] == 0.1 and moved[0] < moved[1] < moved[3]
