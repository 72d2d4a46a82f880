# Byline. `make` lists the targets.

PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3; do command -v $$name && break; done)
VENV := .venv
BIN := $(VENV)/bin
EXPORTER := .venv-exporter

# What a run needs. The environment for development holds it, too.
RUN := $(if $(wildcard $(VENV)/dev.stamp),$(VENV)/dev.stamp,$(VENV)/run.stamp)
# The extra that reads and writes Parquet files.
PARQUET := $(if $(filter %.parquet %.parquet.gz,$(DATA) $(OUT)),$(VENV)/parquet.stamp)
# The model that MODEL= or the environment sets, and the extras that the model and the settings need.
SERVED := $(or $(MODEL),$(BYLINE_MODEL))
EXTRA := $(if $(filter transformer model.transformer:% model.transformer.classifier:%,$(SERVED)),$(VENV)/transformer.stamp) \
	$(if $(filter huggingface model.huggingface:% model.huggingface.classifier:%,$(SERVED)),$(VENV)/huggingface.stamp) \
	$(if $(filter on,$(BYLINE_TRACING)),$(VENV)/otel.stamp) \
	$(PARQUET)

# The messages to train on. GIT and MBOX count only on the command line, because other programs have such variables.
SOURCE = $(if $(DATA)$(filter command,$(origin DATA)),--data "$(DATA)") $(if $(filter command,$(origin GIT)),--git "$(GIT)") \
	$(if $(filter command,$(origin MBOX)),--mbox "$(MBOX)")

# $(call interruptible,COMMAND): Ctrl-C ends it with its own line, status 130, and none of make's.
interruptible = trap : INT; $(1) || test $$? -eq 130

# $(call environment,FOLDER,LOCK FILE,OPTIONS): make a virtual environment, install what is pinned. On Linux, torch's
# build for CPUs is chosen unless there is an NVIDIA GPU; TORCH_INDEX names another package index for it, and is empty
# for pip's own.
define environment
@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	{ echo "byline: '$(PYTHON)' is no Python >= 3.11; name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
@$(call interruptible,"$(PYTHON)" -m compose.installer $(1) $(2) $@ $(3) \
	$(if $(filter-out undefined,$(origin TORCH_INDEX)),--torch-index "$(TORCH_INDEX)"))
@test -e $@
endef

# Two pips at once in one environment disturb each other.
.NOTPARALLEL:

.PHONY: help
help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: $(VENV)/run.stamp $(EXPORTER)/stamp $(EXTRA)  ## Start everything here, MODEL=transformer, WORKERS=2; Ctrl-C stops it
	@exec env $(if $(MODEL),BYLINE_MODEL="$(MODEL)") $(if $(WORKERS),BYLINE_WORKERS="$(WORKERS)") \
		$(BIN)/python -X utf8 -m compose.native

# Containers: the compose files, and the installed `compose`.
COMPOSE_FILES := compose/compose.yaml $(if $(GPU),compose/compose.gpu.yaml) $(if $(MAC),compose/compose.mac.yaml) \
	$(if $(filter transformer huggingface,$(MODEL)),compose/compose.$(MODEL).yaml) \
	$(if $(MODEL_DIR),compose/compose.model.yaml) \
	$(if $(NEXT_DIR),compose/compose.next.yaml $(if $(GPU),compose/compose.next.gpu.yaml) \
		$(if $(filter transformer huggingface,$(MODEL)),compose/compose.next.$(MODEL).yaml))
# Absolute paths of folders: compose takes relative paths from the folder of its files.
define compose
@compose="$(COMPOSE)"; \
for each in "docker compose" "podman compose"; do \
	test -n "$$compose" || ! $$each version >/dev/null 2>&1 || compose="$$each"; \
done; \
test -n "$$compose" || { \
	echo "byline: no 'docker compose' and no 'podman compose' is installed; make run needs neither" >&2; exit 1; }; \
export MODEL_DIR="$(abspath $(MODEL_DIR))" NEXT_DIR="$(abspath $(NEXT_DIR))"; \
set -x; $$compose $(COMPOSE_FILES:%=--file %)
endef

.PHONY: up
up:  ## Start everything in containers: API=2 WORKERS=2, MODEL=transformer, MODEL_DIR=folder, NEXT_DIR=folder, GPU=1, MAC=1, MONITORING=off
	@"$(PYTHON)" -m compose.passwords
	$(compose) $(if $(filter off,$(MONITORING)),,--profile monitoring) up --detach --build --wait --remove-orphans

.PHONY: images
images:  ## Build the images and start nothing: MODEL=transformer, GPU=1
	$(compose) build api worker monitor flower

.PHONY: down
down:  ## Stop the containers; what is queued and cached stays
	$(compose) --profile monitoring down --remove-orphans

up: export API_REPLICAS := $(API)
up: export WORKER_REPLICAS := $(WORKERS)

# MIRROR: a mirror of Debian's packages. TORCH_INDEX: a package index with torch. WHEELS: folders of packages.
.PHONY: images-check
images-check: $(VENV)/dev.stamp  ## Build the images from a bare Debian and start them; as root, with buildah and debootstrap
	$(BIN)/python -m tests.images $(if $(MIRROR),--mirror "$(MIRROR)") $(if $(WHEELS),--wheels $(WHEELS)) \
		$(if $(filter-out undefined,$(origin TORCH_INDEX)),--torch-index "$(TORCH_INDEX)")

.PHONY: mac-worker
mac-worker: $(VENV)/run.stamp $(EXTRA)  ## Start a worker on this Mac's GPU, kept alive by launchd; after make up MAC=1
	@compose/mac/worker start

.PHONY: train
train: $(VENV)/dev.stamp $(EXTRA)  ## Train a model, MODEL=transformer, OUT=folder, on your own DATA=file or folder, GIT=repository, MBOX=mails
	@$(call interruptible,$(BIN)/python -m model.train $(if $(MODEL),--model "$(MODEL)") \
		$(SOURCE) $(if $(OUT),--out "$(OUT)"))

.PHONY: inspect
inspect: $(VENV)/dev.stamp $(EXTRA)  ## Show what make train would do with DATA=file or folder, GIT=repository or MBOX=mails
	@$(call interruptible,$(BIN)/python -m model.inspection $(if $(MODEL),--model "$(MODEL)") $(SOURCE))

.PHONY: attribute
attribute: $(RUN) $(PARQUET)  ## Attribute a file: DATA=in.jsonl OUT=out.jsonl, also .csv, .parquet or - for a pipe; EXPLAIN=1
	@test -n "$(DATA)" -a -n "$(OUT)" || \
		{ echo "byline: name both files: make attribute DATA=in.jsonl OUT=out.jsonl" >&2; exit 1; }
	@$(call interruptible,$(BIN)/python -X utf8 -m celery_app.file_job --data "$(DATA)" --out "$(OUT)" \
		$(if $(EXPLAIN),--explain))

# These commands are for a running Byline. BYLINE_REDIS_URL names its Redis; unset, it is the Valkey of `make run`.
# $(value) keeps the $ of a password or of a name.
LIVE := canary promote back erase retrain
$(LIVE): export BYLINE_REDIS_URL := $(or $(value BYLINE_REDIS_URL),redis://localhost:$(or $(BYLINE_REDIS_PORT),6390)/0)
erase: override export AUTHOR := $(value AUTHOR)

.PHONY: $(LIVE)
canary: $(RUN)  ## Send a share of the new messages to a model version, VERSION=…, SHARE=5 in percent
	@test -n "$(VERSION)" || { echo "byline: name the version: make canary VERSION=… SHARE=5" >&2; exit 1; }
	@$(BIN)/python -m celery_app.models share -- "$(VERSION)" "$(or $(SHARE),5)%"

promote: $(RUN)  ## Send all new messages to the canary
	@$(BIN)/python -m celery_app.models promote

back: $(RUN)  ## End the canary, or else serve the version that was served before
	@$(BIN)/python -m celery_app.models back

erase: $(RUN)  ## Erase the kept texts of one author, AUTHOR="Ann" (BYLINE_KEEP_FEEDBACK)
	@test -n "$$AUTHOR" || { echo 'byline: name the author: make erase AUTHOR="…"' >&2; exit 1; }
	@$(BIN)/python -m celery_app.kept_feedback erase -- "$$AUTHOR"

retrain: $(VENV)/dev.stamp $(EXTRA)  ## Train a new version on kept feedback and the old DATA=…, GIT=… or MBOX=…; MODEL=transformer, OLD=folder
	@$(call interruptible,$(BIN)/python -m celery_app.retrain $(if $(MODEL),--model "$(MODEL)") \
		$(SOURCE) $(if $(OLD),--old "$(OLD)"))

.PHONY: backup
backup: $(RUN)  ## Write queue, cache, models and passwords into one file, backups/byline-DATE.tar.gz; TO=folder
	@$(call interruptible,$(BIN)/python -m compose.backup create $(if $(TO),--to "$(TO)"))

.PHONY: restore
restore: $(RUN)  ## Restore FILE=backups/byline-DATE.tar.gz while Byline is stopped; REPLACE=1 moves aside what is there
	@test -n "$(FILE)" || { echo "byline: name the backup: make restore FILE=backups/byline-….tar.gz" >&2; exit 1; }
	@$(call interruptible,$(BIN)/python -m compose.backup restore "$(FILE)" $(if $(REPLACE),--replace))

.PHONY: check-model
check-model: $(RUN) $(EXTRA)  ## Check a model of your own and measure its speed, MODEL=package.module:Class, MODEL_DIR=folder
	@$(call interruptible,$(BIN)/python -X utf8 -m model.check "$(or $(SERVED),ngram)" \
		$(if $(or $(MODEL_DIR),$(BYLINE_MODEL_DIR)),--directory "$(or $(MODEL_DIR),$(BYLINE_MODEL_DIR))") \
		$(if $(BYLINE_DEVICE),--device "$(BYLINE_DEVICE)") $(if $(BYLINE_PRECISION),--precision "$(BYLINE_PRECISION)"))

# The folders of tests that start processes. Named one by one, since pytest loads the conftest.py of no other
# folder before it hands out the tests.
SLOW_TESTS := $(filter-out tests/unit,$(patsubst %/__init__.py,%,$(wildcard tests/*/__init__.py)))

.PHONY: test
# Tests start hundreds of Python processes. Where the environment tells Python to keep no compiled files, each
# process would compile torch's modules again, which takes 2 s of CPU time.
test: export PYTHONDONTWRITEBYTECODE :=
# Several tests share the cores. By default, a thread of torch would wait busily for another that has no core.
test: export OMP_WAIT_POLICY := passive
# Tests of whole processes wait more than they compute, so four at a time fill two cores.
test: $(VENV)/dev.stamp $(VENV)/transformer.stamp $(VENV)/huggingface.stamp $(VENV)/parquet.stamp $(EXPORTER)/stamp  ## Run all tests: unit, integration, end to end
	@$(BIN)/python -m pytest -n auto tests/unit
	@$(BIN)/python -m pytest -n 4 --dist loadfile $(SLOW_TESTS)

.PHONY: newcomer
newcomer: $(VENV)/dev.stamp  ## The README's first lines on a bare Debian, timed; needs root, debootstrap, curl; TEST=1 runs the tests there, too
	NEWCOMER=$(if $(TEST),test,run) $(BIN)/python -m pytest tests/e2e/docs/test_newcomer.py -q -s

.PHONY: fuzz
fuzz: $(VENV)/dev.stamp  ## Send 100,000 odd requests; REQUESTS=2000, SEED=7 for the same ones again
	FUZZ_REQUESTS=$(or $(REQUESTS),100000) $(BIN)/python -m pytest tests/fuzz -q \
		--hypothesis-seed=$(or $(SEED),$(shell date +%s))

.PHONY: drift
drift: $(VENV)/dev.stamp $(EXPORTER)/stamp  ## Ten minutes of unchanged messages, then changes: what the quality monitor says
	QUALITY_UNCHANGED_S=600 $(BIN)/python -m pytest tests/e2e/monitoring/test_quality.py -q

.PHONY: bench
bench: $(VENV)/bench.stamp $(EXPORTER)/stamp $(EXTRA)  ## Load tests, SCENARIO="steady zipf", OPTIONS="--seconds 10"; report in bench-results/
	@$(call interruptible,$(BIN)/python -X utf8 -m bench $(SCENARIO) $(if $(MODEL),--model "$(MODEL)") $(OPTIONS))

# Each peer has an environment of its own, so that the pins of two peers can't conflict.
PEERS := $(notdir $(patsubst %/,%,$(dir $(wildcard bench/peers/*/requirements.lock))))

.PHONY: bench-peers
bench-peers: $(VENV)/bench.stamp $(EXPORTER)/stamp $(PEERS:%=.venv-peers/%/stamp)  ## Byline beside six peers, an hour; OPTIONS="--rounds 1"
	@$(call interruptible,$(BIN)/python -X utf8 -m bench.peers $(OPTIONS))

.PHONY: alerts
alerts: $(VENV)/dev.stamp $(EXPORTER)/stamp  ## Provoke each alert, and see it arrive by mail, Slack and PagerDuty, and end
	ALERTS=all $(BIN)/python -m pytest tests/e2e/alerts -q -s

.PHONY: quiet
quiet: $(VENV)/dev.stamp $(EXPORTER)/stamp  ## Half an hour of load with a deploy, in which no alert may fire; QUIET_S=300
	QUIET_S=$(or $(QUIET_S),1800) $(BIN)/python -m pytest tests/e2e/monitoring/test_quiet.py -q -s

.PHONY: faults
faults: $(VENV)/bench.stamp $(EXPORTER)/stamp  ## Break each part in the middle of a load, and account for every message; OPTIONS="--only killed"
	@$(call interruptible,$(BIN)/python -X utf8 -m bench.faults $(OPTIONS))

.PHONY: chaos
chaos: $(VENV)/dev.stamp $(EXPORTER)/stamp  ## Strike each part in each phase, and start with odd settings; OPTIONS="--only worker --phase running --signal KILL"
	@$(call interruptible,$(BIN)/python -X utf8 -m bench.chaos $(OPTIONS))
	$(if $(OPTIONS),,ODD_STARTS=all $(BIN)/python -m pytest tests/e2e/start/test_odd_starts.py -q)

.PHONY: soak
soak: $(VENV)/bench.stamp $(EXPORTER)/stamp  ## Ten minutes of load with faults at random, OPTIONS="--seed 7 --minutes 2"
	@$(call interruptible,$(BIN)/python -X utf8 -m bench.faults.soak $(OPTIONS))

.PHONY: gpu
gpu: $(VENV)/dev.stamp $(VENV)/transformer.stamp $(EXPORTER)/stamp  ## Test and measure on this machine's NVIDIA GPU
	$(BIN)/python -m pytest -m gpu
	$(BIN)/python -m bench.micro.worker_speed --device cuda --messages 32768
	$(BIN)/python -m bench.micro.worker_speed --device cuda --messages 32768 --precision bf16
	$(BIN)/python -m bench.search_goodput --device cuda --precision bf16

.PHONY: lint
lint: $(VENV)/dev.stamp $(VENV)/transformer.stamp docs  ## Check style, types, who imports whom, Dockerfiles, and the pages' links
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --config setup.cfg
	$(BIN)/hadolint compose/images/*.Dockerfile

# Strict: a broken link ends the build. The variable turns off the theme's notice about another program.
.PHONY: docs
docs: $(VENV)/dev.stamp  ## Build the site of docs/ into build/site, and check its links
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "byline: the pages are in build/site/index.html"

.PHONY: settings
settings: $(VENV)/dev.stamp  ## Write the table of settings anew, into docs/settings.md
	@mkdir -p build
	@{ sed '/^| variable/,$$d' docs/settings.md; $(BIN)/python -m celery_app.settings.table; } > build/settings.md
	@mv build/settings.md docs/settings.md

.PHONY: rules
rules: $(VENV)/dev.stamp  ## Check and test recording rules, alerts, runbooks, and Alertmanager's configuration
	@$(BIN)/python -m pytest -q -n auto --dist worksteal tests/unit/alerting tests/unit/monitoring/test_recording_rules.py

.PHONY: dashboards
dashboards: $(VENV)/dev.stamp  ## Make Grafana's dashboards anew, monitoring/dashboards/json/
	@$(BIN)/python -m monitoring.dashboards

# Versions are resolved for macOS, where torch needs no CUDA packages. On Linux, torch's wheel decides.
COMPILE = MACOSX_DEPLOYMENT_TARGET=14.0 .venv-lock/bin/uv pip compile --quiet --upgrade --no-header \
	--no-annotate --python-version 3.11 --python-platform macos

.PHONY: lock
lock: .venv-lock/stamp  ## Choose the newest allowed versions anew, into requirements/
	$(COMPILE) setup.cfg --extra api --extra worker --extra native -o requirements/run.lock
	$(COMPILE) setup.cfg $(addprefix --extra ,api worker native bench) -c requirements/run.lock -o requirements/bench.lock
	$(COMPILE) setup.cfg $(addprefix --extra ,api worker native train bench dashboards otel test lint docs) \
		-c requirements/run.lock -o requirements/dev.lock
	$(foreach role,api worker flower,$(COMPILE) setup.cfg --extra $(role) -c requirements/run.lock -o requirements/$(role).lock &&) true
	$(COMPILE) setup.cfg -c requirements/run.lock -o requirements/monitor.lock
	$(COMPILE) setup.cfg --extra otel -c requirements/dev.lock -o requirements/otel.lock
	$(foreach extra,transformer parquet,$(COMPILE) setup.cfg --extra $(extra) --no-deps -c requirements/run.lock \
		-o requirements/$(extra).lock &&) true
	$(COMPILE) setup.cfg --extra huggingface -c requirements/dev.lock -c requirements/transformer.lock \
		-o requirements/huggingface.lock
	$(COMPILE) requirements/exporter.in -o requirements/exporter.lock
	$(COMPILE) requirements/pip.in -o requirements/pip.lock

.PHONY: client
client:  ## Build the wheel of the client library for programs of your own, into build/dist
	@"$(PYTHON)" -m compose.release.client_wheel build/dist

.PHONY: version
version:  ## Say the version; VERSION=0.2.0 writes another to all places, and begins its part of the changelog
	@"$(PYTHON)" -m compose.release.version $(VERSION)

.PHONY: clean
clean:  ## Remove what was made, except the state folder
	rm -rf $(VENV) $(EXPORTER) .venv-lock .venv-peers bench-results build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/run.stamp: requirements/run.lock
	$(call environment,$(VENV),$<)

$(VENV)/bench.stamp: requirements/bench.lock
	$(call environment,$(VENV),$<)

$(VENV)/dev.stamp: requirements/dev.lock
	$(call environment,$(VENV),$<)

# Without the dependencies of the encoder's package: only the tokenizer is used, and it is in the lock file.
$(VENV)/transformer.stamp: requirements/transformer.lock
	$(call environment,$(VENV),$<,--no-deps)

$(VENV)/huggingface.stamp $(VENV)/parquet.stamp: $(VENV)/%.stamp: requirements/%.lock
	$(call environment,$(VENV),$<)

$(VENV)/otel.stamp: requirements/otel.lock
	$(call environment,$(VENV),$<)

# celery-exporter asks for a Python before 3.13, and runs with that one, too.
$(EXPORTER)/stamp: requirements/exporter.lock
	$(call environment,$(EXPORTER),$<,--ignore-requires-python)

.venv-peers/%/stamp: bench/peers/%/requirements.lock
	$(call environment,.venv-peers/$*,$<)

.venv-lock/stamp: requirements/lock.in
	$(call environment,.venv-lock,$<)
