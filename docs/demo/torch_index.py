"""Print the pip option that takes torch's CPU build, where there is no NVIDIA GPU and its index answers."""

from __future__ import annotations

import shutil
import sys
import urllib.error
import urllib.request

PATIENCE = 5.0
"""Seconds."""


def option(index: str) -> str:
    """Return `--extra-index-url INDEX`; empty with a GPU, off Linux, or where the index does not answer."""
    if sys.platform != "linux" or shutil.which("nvidia-smi"):
        return ""
    try:
        urllib.request.urlopen(f"{index}/torch/", timeout=PATIENCE).close()
    except (urllib.error.URLError, OSError):
        print(
            "No NVIDIA GPU was found, and torch's CPU builds cannot be reached, so pip installs torch with "
            f"CUDA (3 GB more). Where they can be: pip install torch torchvision --index-url {index}",
            file=sys.stderr,
        )
        return ""
    return f"--extra-index-url {index}"


if __name__ == "__main__":
    print(option(sys.argv[1]))
