"""How long `etlch-data export` takes for the paper's matrix: 84 models, 432 recipes, 1,300 articles.

Run: python benchmarks/recipes.py
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from etlch.core.config import make_settings
from etlch.export.write import export
from tests.runs import make_run

if __name__ == "__main__":
    settings = make_settings(
        teacher="offline",
        language="en",
        sizes=(100, 300, 500, 1000),
        test=300,
        preset="paper",
        matrix="paper",
    )
    with tempfile.TemporaryDirectory() as folder:
        run = make_run(Path(folder) / "etlch", settings)
        times = []
        for _ in range(5):
            started = time.perf_counter()
            done = export(run, settings)
            times.append(time.perf_counter() - started)
    print(
        f"{len(done.recipes)} recipes and {len(done.data_sets)} data sets: {min(times):.2f} to {max(times):.2f} s"
    )
