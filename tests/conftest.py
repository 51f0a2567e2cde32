"""What tests of several rooms stand on."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

os.environ["LANGUAGE"] = "en"  # of the commands that tests run, whatever this machine speaks


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell starts what it puts into the background with SIGINT ignored, and so are its children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
