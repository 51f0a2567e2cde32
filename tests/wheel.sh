#!/usr/bin/env bash
# Build the wheel, install it with the core dependencies alone into a bare environment, and use the commands
# from another folder: prompts, presets and phrase data must be found inside the package, and an option that
# needs an extra must say so with exit 2 and the line that installs it.
set -euo pipefail
cd "$(dirname "$0")/.."
built=$PWD/.cache/wheel
bare=$PWD/.cache/bare

rm -rf "$built"
python -m build --quiet --wheel --outdir "$built"
# What an earlier list of dependencies installed would hide what this one lacks.
if [ ! "$bare/.ready" -nt pyproject.toml ]; then
  rm -rf "$bare"
  python -m venv "$bare"
  "$bare/bin/python" -m pip install --quiet "$built"/etlch-*.whl
  touch "$bare/.ready"
fi
"$bare/bin/python" -m pip install --quiet --force-reinstall --no-deps "$built"/etlch-*.whl

elsewhere=$(mktemp -d)
trap 'rm -rf "$elsewhere"' EXIT
cd "$elsewhere"
unset PYTHONPATH
export PATH="$bare/bin:$PATH"

# needs EXTRA COMMAND…: exit 2, the line that installs the extra, no traceback.
needs() {
  local extra=$1 code=0 said
  shift
  said=$("$@" 2>&1) || code=$?
  if [ "$code" != 2 ] || [[ "$said" == *Traceback* ]] || [[ "$said" != *"pip install 'etlch[$extra]'"* ]]; then
    printf '%s\nended with %s and should have named the extra %s:\n%s\n' "$*" "$code" "$extra" "$said" >&2
    exit 1
  fi
}

python -c 'import etlch; [getattr(etlch, name) for name in etlch.__all__]'
etlch --version
etlch-data --version
etlch-score --version
etlch-data prompts list | grep -c shipped
etlch-data generate --teacher offline --language en --sizes 10 --test 2 --out run >/dev/null 2>&1
etlch-data estimate run >/dev/null
etlch-data status run >/dev/null
etlch-data check run >/dev/null
etlch-data quality run >/dev/null
etlch-data export run --preset efficient >/dev/null
test -s run/recipes/train_efficient-10-s42.yaml
etlch-data predict run --model dictionary >/dev/null 2>&1
etlch-score run >/dev/null 2>&1
test -s run/scores/report.html
ls run/scores/figures/*.svg >/dev/null
etlch-score run --lang zh-TW 2>/dev/null | grep -q 計分
grep -q '<html lang="zh-TW">' run/scores/report.html

echo PAR1 > rows.parquet
mkdir -p model/ner && echo '{"text": "A"}' > texts.jsonl
needs jieba etlch-score run --tokenizer jieba
needs rouge etlch-score run --tokenizer rouge-score
echo 'cosine: lite' > lite.yaml && needs lite etlch-score run --settings lite.yaml
echo 'cosine: some-model' > embed.yaml && needs embed etlch-score run --settings embed.yaml
needs datasets etlch-score rows.parquet
needs datasets etlch-data generate --teacher some --base-url http://127.0.0.1:9/v1 --articles rows.parquet --out of-parquet
needs datasets etlch-data generate --teacher some --base-url http://127.0.0.1:9/v1 --articles owner/name --out of-hub
needs datasets etlch-data import rows.parquet --task ner --language en --out of-labels
needs datasets etlch-data import owner/name --task ner --language en --out of-hub
needs datasets etlch-data quality run --parquet shared
needs datasets etlch-data quality run --push-to-hub owner/name
# A llamafactory-cli elsewhere on the path would be found.
needs train env PATH="$bare/bin:/usr/bin:/bin" etlch-data run run --anyway
needs serve etlch-extract serve model
needs pandas python -c 'import etlch, sys
try: etlch.score([{"predict": "{}", "label": "{}", "id": "1", "input": "x"}], task="ner", cosine="off").scores
except etlch.EtlchError as error: sys.exit(print(error) or error.code)'
if python -c 'import torch' 2>/dev/null; then echo "the bare environment holds torch" >&2; exit 1; fi
echo "the wheel works outside the checkout"
