#!/usr/bin/env bash
# Build the wheel, install it with the core dependencies alone into a bare environment, and use both
# commands from another folder: prompts, presets and phrase data must be found inside the package.
set -euo pipefail
cd "$(dirname "$0")/.."
built=$PWD/.cache/wheel
bare=$PWD/.cache/bare

rm -rf "$built"
python -m build --quiet --wheel --outdir "$built"
if [ ! -x "$bare/bin/python" ]; then python -m venv "$bare"; fi
"$bare/bin/python" -m pip install --quiet "$built"/etlch-*.whl
"$bare/bin/python" -m pip install --quiet --force-reinstall --no-deps "$built"/etlch-*.whl

elsewhere=$(mktemp -d)
trap 'rm -rf "$elsewhere"' EXIT
cd "$elsewhere"
export PATH="$bare/bin:$PATH"
etlch-data --version
etlch-score --version
etlch-data prompts list | grep -c shipped
etlch-data generate --teacher offline --language en --sizes 10 --test 2 --out run >/dev/null 2>&1
etlch-data export run --preset efficient
test -s run/recipes/train_efficient-10-s42.yaml
if python -c 'import torch' 2>/dev/null; then echo "the bare environment holds torch" >&2; exit 1; fi
echo "the wheel works outside the checkout"
