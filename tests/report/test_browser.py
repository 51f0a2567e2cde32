"""The report in a real browser: headless Chromium, opened from disk.

Counts expected here follow from tests/report/report_case.py by hand: of 300 articles the model of
size 1000 gets those right whose number ends in 0 to 8, size 300 0 to 6, size 100 0 to 3, all
others 0 to 2; a wrong prediction's slip is its number modulo 6.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from etlch.render import html
from tests.report import report_case

pytestmark = pytest.mark.browser

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SCREENSHOTS = Path(__file__).parents[2] / "outputs" / "screenshots"


class Window:
    """One headless Chromium. `open` forgets what was logged before."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, path: Path, fragment: str = "") -> None:
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.driver.get(path.as_uri() + fragment)

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def size(self, width: int, height: int = 900) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def scheme(self, name: str, media: str = "") -> None:
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            event = {"type": kind, "key": key, "code": key, **({"text": key} if len(key) == 1 else {})}
            self.driver.execute_cdp_cmd("Input.dispatchKeyEvent", event)

    def choose(self, **fields: str) -> float:
        """Set filters; return the milliseconds until the page has answered."""
        spent = self.run(
            """const form = document.querySelector("form.filters");
            form.reset();
            for (const [name, value] of Object.entries(arguments[0])) form.elements[name].value = value;
            const start = performance.now();
            const changed = "sort" in arguments[0] ? form.elements.sort : form.elements.text;
            changed.dispatchEvent(new Event("input", { bubbles: true }));
            document.body.offsetHeight;
            return performance.now() - start;""",
            fields,
        )
        return float(spent)

    @property
    def count(self) -> str:
        return str(self.run("return document.querySelector('.count').textContent"))

    @property
    def selected(self) -> str:
        return str(self.run("return document.querySelector('[aria-selected=true]').textContent"))

    def complaints(self) -> list[Any]:
        return list(self.driver.get_log("browser"))

    def requests(self) -> list[str]:
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [m for m in messages if m["method"] == "Network.requestWillBeSent"]
        return [message["params"]["request"]["url"] for message in sent]

    def shoot(self, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(SCREENSHOTS / f"{name}.png"))


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Window]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip(
            "no Chromium here; on Debian: apt-get update && apt-get install -y chromium chromium-driver"
        )
    webdriver = pytest.importorskip("selenium.webdriver", reason="pip install selenium (extra dev)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield Window(browser)
    finally:
        browser.quit()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """900 records × 5 models."""
    return report_case.write(tmp_path_factory.mktemp("scores"), 300)


@pytest.fixture
def opened(window: Window, report: Path) -> Window:
    window.size(1280)
    window.scheme("light")
    window.open(report)
    return window


def test_it_opens_quickly_without_a_complaint_and_asks_nobody(window: Window, report: Path) -> None:
    spent = []
    for _ in range(3):
        window.open(report)
        spent.append(window.run("return performance.getEntriesByType('navigation')[0].loadEventEnd"))
        assert window.complaints() == []
        asked = [url for url in window.requests() if not url.startswith(("data:", "file:", "about:"))]
        files = {
            url
            for url in window.driver.execute_script(
                "return performance.getEntriesByType('resource').map(e => e.name)"
            )
            if not url.startswith("data:")
        }
        assert asked == [] and files == set()
    assert min(spent) < 2000, f"opened in {spent} ms"


def test_filters_answer_within_200_ms(opened: Window) -> None:
    opened.choose(text="warm")
    for fields in ({"text": "陳雅婷"}, {"task": "ner", "sort": "best"}, {"error": "boundary"}, {}):
        spent = [opened.choose(**fields) for _ in range(3)]
        assert min(spent) < 200, f"{fields} took {spent} ms"


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        ({}, 4500),
        ({"task": "ner"}, 1500),
        ({"model": "etlch-1000"}, 900),
        # Wrong are numbers that end in 7, 8, 9; unparseable are multiples of 6 among them: 18, 48, 78 …
        ({"task": "json", "model": "etlch-300", "outcome": "unparseable"}, 10),
        # The same, and kge has no such outcome.
        ({"model": "etlch-300", "outcome": "unparseable"}, 20),
        ({"model": "etlch-300", "error": "fenced"}, 40),
        ({"task": "kge", "model": "etlch-300", "error": "reversed"}, 10),
        # One article, three tasks, five models.
        ({"text": "第7號檔案"}, 15),
        ({"text": "第7號檔案 KGE"}, 5),
        ({"text": "no such text"}, 0),
        # Numbers that end in 3 to 8 are right in one only: 180 a task; fenced ones (7, 13, 25 of every
        # 30) state the same facts in json and ner: 30 a task fewer.
        ({"model": "etlch-1000", "other": "qwen2.5-7b", "relation": "differ"}, 480),
        ({"model": "etlch-1000", "other": "qwen2.5-7b", "relation": "better"}, 480),
        ({"model": "etlch-1000", "other": "qwen2.5-7b", "relation": "worse"}, 0),
    ],
)
def test_filters_count_what_a_hand_counts(opened: Window, fields: dict[str, str], count: int) -> None:
    opened.choose(**fields)
    assert opened.count == f"{count} of 4500 predictions"


def test_worst_come_first_and_best_on_request(opened: Window) -> None:
    opened.choose(task="json", sort="worst")
    assert "0.00" in opened.selected
    opened.choose(task="json", sort="best")
    assert "1.00" in opened.selected


def test_keys_walk_through_the_samples(opened: Window) -> None:
    opened.choose(sort="file", model="etlch-1000", task="json")
    assert opened.selected.startswith("●")
    opened.run("document.querySelector('.list').focus()")
    for key, wanted in (
        ("ArrowDown", "a0001-json"),
        ("ArrowDown", "a0002-json"),
        ("ArrowUp", "a0001-json"),
        ("PageDown", "a0011-json"),
        ("End", "a0299-json"),
        ("Home", "a0000-json"),
    ):
        opened.press(key)
        assert wanted in opened.selected
    opened.run("document.querySelector('.list').blur()")
    opened.press("ArrowRight")
    assert "a0001-json" in opened.selected
    active = opened.run(
        "return document.getElementById(document.querySelector('.list').getAttribute('aria-activedescendant')).textContent"
    )
    assert "a0001-json" in active
    opened.run("window.scrollTo({ top: 0, behavior: 'instant' })")
    opened.press("ArrowRight")
    assert "a0001-json" in opened.selected, "keys do nothing while the browser is out of sight"
    opened.press("/")
    assert opened.run("return document.activeElement.name") == "text"
    opened.press("ArrowRight")
    assert "a0001-json" in opened.selected
    assert opened.complaints() == []


def test_an_address_opens_its_sample(opened: Window, report: Path) -> None:
    opened.open(report, "#a0007-kge/etlch-100")
    assert "a0007-kge" in opened.selected and "etlch-100" in opened.selected
    heading = "return document.querySelector('.sample h3').innerText"
    assert "a0007-kge" in opened.run(heading)
    opened.choose(task="json")
    opened.run("location.hash = '#a0009-ner'")
    time.sleep(0.2)
    assert "a0009-ner" in opened.run(heading)
    opened.open(report, "#no-such-sample/%E0%A4%A")
    assert opened.complaints() == []


def test_links_of_the_error_tables_lead_to_samples(opened: Window) -> None:
    shown = opened.run(
        """const links = [...document.querySelectorAll("#errors td a")];
        const found = [];
        for (const link of links) {
          const [id] = link.getAttribute("href").slice(1).split("/");
          location.hash = link.getAttribute("href");
          window.dispatchEvent(new HashChangeEvent("hashchange"));
          found.push(document.querySelector(".sample h3").innerText.includes(decodeURIComponent(id)));
        }
        return found;"""
    )
    assert len(shown) > 20 and all(shown)


def test_facts_are_marked_by_colour_and_shape(opened: Window) -> None:
    # a0038: wrong for size 300, slip 2 in ner: the types of person and date have changed places.
    opened.run("location.hash = '#a0038-ner/etlch-300'")
    time.sleep(0.2)
    column = "return document.querySelector(`.columns > div:nth-child(${arguments[0]})`).innerText"
    gold, facts = opened.run(column, 1), opened.run(column, 2)
    assert gold.count("✓") == 2 and gold.count("○") == 2
    assert facts.count("✓") == 2 and facts.count("✕") == 2
    assert "wrong type; label: 人物" in facts
    marks = opened.run(
        """return [...document.querySelectorAll(".sample mark")].filter(m => !m.closest(".legend")).map(m =>
          [m.textContent, m.className, getComputedStyle(m).textDecorationStyle, getComputedStyle(m).outlineStyle])"""
    )
    looks = {text: (kinds, decoration, outline) for text, kinds, decoration, outline in marks}
    told = report_case.story(38)
    assert looks[told.firm][0] == "matched"
    assert looks[told.person] == ("missing spurious", "wavy", "dashed")


def test_offsets_count_characters_and_not_utf16_units(window: Window, tmp_path: Path) -> None:
    fact = html.ShownFact(("人物", "𠮷田"), ((2, 4),))
    sample = html.Sample("s1", "ner", "zh-TW", "NER", "𠀋𠀋𠮷田來了", "{}", (fact,))
    path = tmp_path / "page.html"
    path.write_text(html.document("t", "", [("s", "S", html.browser([sample]))]), "utf-8")
    window.open(path)
    assert window.run("return document.querySelector('.sample mark').textContent") == "𠮷田"


ATTACKS = (
    "<script>window.pwned = 1</script>",
    "</textarea><img src=x onerror='window.pwned = 1'>",
    "</script><script>window.pwned = 1</script>",
    "<!--<script>",
    "<svg onload='window.pwned = 1'>",
    "javascript:window.pwned=1",
    "</style><style>*{display:none}</style>",
    "\ud800 lone",
)


def test_injected_markup_is_inert(window: Window, tmp_path: Path) -> None:
    attack = " ".join(ATTACKS)
    samples = list(report_case.samples(2))
    evil = [
        dataclasses.replace(
            s,
            predicted=attack,
            key=dataclasses.replace(s.key, instruction=attack, input=attack, id=f"{s.key.id}{ATTACKS[1]}"),
            system=dataclasses.replace(s.system, model=f"{s.system.model}{ATTACKS[1]}"),
        )
        for s in samples
    ]
    summary = report_case.summary(2)
    summary = dataclasses.replace(
        summary, notes=(attack,), signature=attack,
        sources=tuple(dataclasses.replace(s, path=attack, model=s.model + ATTACKS[1]) for s in summary.sources),
        scores=tuple(dataclasses.replace(s, model=s.model + ATTACKS[1]) for s in summary.scores),
    )  # fmt: skip
    from etlch.report.write import write_report

    path = write_report(summary, evil, tmp_path)
    window.open(path)
    window.choose(text="lone")
    assert window.count.startswith("30 of 30")
    shown = "return document.querySelector('.sample').innerText.includes(arguments[0])"
    assert all(window.run(shown, text) for text in ATTACKS[:-1])
    window.run("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert window.run("return window.pwned") is None
    assert window.run("return document.querySelectorAll('script:not([type])').length") == 1
    assert window.run("return document.querySelectorAll('img:not([src^=\"data:image/svg\"])').length") == 0
    assert window.complaints() == []


CONTRAST = """
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
function light(colour) {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3)
    .map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function ratio(a, b) {
  const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
  return (x + 0.05) / (y + 0.05);
}
const paper = getComputedStyle(document.body).backgroundColor;
const places = ["body", ".subtitle", ".verdict span", "th.number", "td .note", ".hint", "a[href^='#a']", ".facts .note"];
const found = places.map(p => document.querySelector(p)).filter(Boolean)
  .map(node => ratio(getComputedStyle(node).color, paper));
const heats = [...document.querySelectorAll("[class*=heat-]")].map(node =>
  Math.min(...[node, node.querySelector(".note")].filter(Boolean)
    .map(n => ratio(getComputedStyle(n).color, getComputedStyle(node).backgroundColor))));
return [light(paper), Math.min(...found), Math.min(...heats)];
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_themes_have_the_contrast_that_wcag_asks_for(opened: Window, scheme: str) -> None:
    opened.scheme(scheme)
    opened.run("document.querySelectorAll('details').forEach(d => { d.open = true })")
    paper, text, heat = opened.run(CONTRAST)
    assert paper > 0.8 if scheme == "light" else paper < 0.05
    assert text >= 4.5 and heat >= 4.5
    opened.run("document.querySelectorAll('#scores details').forEach(d => { d.open = false })")
    opened.shoot(f"report-{scheme}")
    opened.run("document.querySelector('#samples').scrollIntoView({ behavior: 'instant' })")
    opened.shoot(f"samples-{scheme}")


def test_the_theme_button_overrules_the_system(opened: Window) -> None:
    colour = "return getComputedStyle(document.body).backgroundColor"
    light = opened.run(colour)
    opened.run("document.querySelector('.theme').click(); document.querySelector('.theme').click()")
    assert opened.run("return document.querySelector('.theme').textContent") == "Theme: dark"
    assert opened.run(colour) != light


@pytest.mark.parametrize("width", [360, 400, 800, 1280])
def test_the_page_is_never_wider_than_the_window(opened: Window, width: int) -> None:
    opened.size(width)
    assert opened.run("return document.documentElement.scrollWidth") <= width
    if width == 400:
        opened.shoot("report-narrow")


def test_print_leaves_out_controls_and_keeps_the_width(opened: Window) -> None:
    opened.size(794)
    opened.scheme("dark", media="print")
    shown = opened.run(
        """return [".filters", ".list", "nav", ".theme", ".steps"].map(p =>
          getComputedStyle(document.querySelector(p)).display)"""
    )
    assert shown == ["none"] * 5
    assert opened.run("return document.documentElement.scrollWidth") <= 794
    assert opened.run("return getComputedStyle(document.body).colorScheme") == "light"
    opened.shoot("report-print")
    opened.scheme("light")


def test_a_screen_reader_finds_names_for_everything(opened: Window) -> None:
    nameless = opened.run(
        """const missing = [];
        for (const field of document.querySelectorAll("select, input")) if (!field.labels.length) missing.push(field.name);
        for (const image of document.images) if (!image.alt) missing.push("image");
        for (const button of document.querySelectorAll("button"))
          if (!button.innerText.trim() && !button.getAttribute("aria-label")) missing.push("button");
        for (const table of document.querySelectorAll("table"))
          if (!table.caption || !table.querySelector("th[scope=row]")) missing.push("table");
        for (const part of document.querySelectorAll("main > section"))
          if (!document.getElementById(part.getAttribute("aria-labelledby"))) missing.push("section");
        return missing;"""
    )
    assert nameless == []
    levels = opened.run("return [...document.querySelectorAll('h1, h2, h3, h4')].map(h => +h.tagName[1])")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
