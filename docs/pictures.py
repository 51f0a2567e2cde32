"""Draws the pictures of the documentation.

    python docs/pictures.py                                  the paper's Figures 3 and 5
    python docs/pictures.py outputs/demo/scores/report.html  and two screenshots of that report

The screenshots need Chromium with its driver, and selenium (extra dev).
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from etlch.core.files import write_bytes
from etlch.report.charts import efficiency_charts, parsing_charts
from etlch.scoring.summary import Counts, Score, Source, Summary
from etlch.stats.intervals import wilson
from etlch.stats.paper import PARSED, PARSED_BASELINES, RECORDS

IMAGES = Path(__file__).parent / "images"


def paper_summary() -> Summary:
    """The paper's published counts of parsable JSON as a summary: no samples, so no paired tests."""
    systems = [("ETLCH", size, "tuned", count) for size, count in PARSED.items()]
    systems += [(name, None, "baseline", count) for name, count in PARSED_BASELINES.items()]
    scores, sources = [], []
    for model, size, role, count in systems:
        bounds = wilson(count, RECORDS)
        value = count / RECORDS
        scores.append(Score(model, "json", size, "json_parse_ok", value, bounds.low, bounds.high, RECORDS))
        sources.append(Source("", model, "json", size, None, role, Counts(RECORDS, RECORDS)))
    return Summary("arXiv 2509.08381", Counts(), tuple(scores), (), (), sources=tuple(sources))


def draw_paper() -> None:
    """Write the paper's Figures 3 and 5."""
    summary = paper_summary()
    for name, charts in (("paper-figure-3", parsing_charts), ("paper-figure-5", efficiency_charts)):
        (chart,) = charts(summary)
        write_bytes(IMAGES / f"{name}.svg", chart.drawing.svg)


def shoot(report: Path) -> None:
    """Write two screenshots of a report: its result, and its sample browser."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tempfile.mkdtemp()}")
    # With a named driver selenium does not look for one on the network.
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    try:
        metrics = {"width": 1240, "height": 860, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        driver.get(report.resolve().as_uri())
        write_bytes(IMAGES / "report.png", driver.get_screenshot_as_png())
        driver.execute_script(
            """const form = document.querySelector("form.filters");
            form.elements.outcome.value = "partly";
            form.elements.outcome.dispatchEvent(new Event("input", { bubbles: true }));
            document.querySelector("#samples").scrollIntoView({ behavior: "instant" });"""
        )
        write_bytes(IMAGES / "samples.png", driver.get_screenshot_as_png())
    finally:
        driver.quit()


if __name__ == "__main__":
    draw_paper()
    for argument in sys.argv[1:]:
        shoot(Path(argument))
