# One verb each. `make help` lists them. Everything needs only Python 3.11+ and make: the rest is installed into .venv.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PORT   ?= 3000

# Superset's pins clash with ours: a venv and a lock of its own.
SUPERSET      := .venv-superset
SUPERSET_PORT ?= 8088

# The jars of `make spark-up`, parted by `:`, where the installed ones are not to be used (docs/spark.md).
JARS ?=

# The demo's data, until a real run has published something or your own settings name another place.
DEMO ?= $(if $(TAKER_STORAGE_URL)$(TAKER_STATE_DIR)$(wildcard .env var/serving/marts.duckdb),,1)

# Options of `make run`; empty means the default of `taker run`.
FROM ?=
TO ?=
MARKETS ?=
# And for `make collect`.
TRADES ?=
# And for `make dbt`.
ARGS ?= --help
# And for `make torture`.
SCALE ?= 1
SEED ?=

# Where it is set, every process compiles what it imports anew: a second of each of the hundreds that the tests start.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup manifest demo run collect report ui superset superset-setup status spark-setup spark-up spark-down docs docs-site dbt wheel notebooks up down test test-fast torture lint lint-sql lint-deploy audit words format lock bench bench-spark clean

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) manifest ## make .venv from the hashed lock

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed; try make PYTHON=python3.12")'
	@test -x $(BIN)/uv || { $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9'; }
	@echo "Installing the locked packages into $(VENV) (a minute on the first time)"
	@# Compiled once: where Python may not keep bytecode, every command would compile dbt and Dagster anew, for seconds.
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes --requirement requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

manifest: $(READY) ## read the dbt project once, for Dagster
	@$(BIN)/python -m orchestration.runs.dbt manifest

demo: $(READY) ## two simulated exchanges through everything, and the answer
	@$(BIN)/taker demo

run: $(READY) ## real data: make run FROM=2024-01-01 TO=2024-12-31 MARKETS=binance_um:BTCUSDT
	@$(BIN)/taker run $(if $(MARKETS),--markets $(MARKETS)) $(if $(FROM),--from $(FROM)) $(if $(TO),--to $(TO))

collect: $(READY) ## receive the venues' liquidations until Ctrl-C: make collect TRADES=1 for the trades of the markets too
	@$(BIN)/taker collect $(if $(TRADES),--trades)

status: $(READY) ## what the raw zone holds, lacks and corrected
	@$(BIN)/taker status

report: $(READY) ## the published report, in the browser: make report DEMO=1 for the demo's
	@$(BIN)/taker report $(if $(DEMO),--demo)

ui: setup ## Dagster in the browser, on 127.0.0.1 only: your data, or the demo's until you have some (DEMO=1: the demo's)
	@$(BIN)/taker ui --port $(PORT) $(if $(DEMO),--demo)

superset: $(READY) $(SUPERSET)/.ready ## the dashboard in Superset, on 127.0.0.1 only: make superset DEMO=1 for the demo's
	@$(BIN)/python bi/superset/serve.py --port $(SUPERSET_PORT) $(if $(DEMO),--demo)

superset-setup: $(SUPERSET)/.ready

$(SUPERSET)/.ready: bi/superset/requirements.lock | $(READY)
	@test -x $(SUPERSET)/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(SUPERSET)
	@echo "Installing Superset into $(SUPERSET) (700 MB; a minute or more on the first time)"
	@$(BIN)/uv pip sync --quiet --python $(SUPERSET)/bin/python --require-hashes bi/superset/requirements.lock
	@touch $@

spark-setup: $(VENV)/.spark-ready ## the packages of the target `spark`, into .venv from their hashed lock

$(VENV)/.spark-ready: requirements-spark.lock | $(READY)
	@echo "Installing Spark into $(VENV) (400 MB; a minute on the first time)"
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes --requirement requirements-spark.lock
	@touch $@

spark-up: spark-setup ## a local cluster: master, two workers, catalog, server for BI; JARS=a.jar:b.jar for your own jars
	@$(BIN)/python -m tools.spark up --jars "$(JARS)"

spark-down: $(READY) ## end it; its tables stay
	@$(BIN)/python -m tools.spark down

docs: $(READY) ## dbt's documentation: lineage and every column, one page for the browser
	@page=$$($(BIN)/python -m orchestration.runs.dbt docs) && echo "Open $$page in a browser"

dbt: $(READY) ## dbt itself, on your warehouse: make dbt ARGS="build --select int_market_bars+" (see docs/dbt.md)
	@$(BIN)/python -m orchestration.runs.dbt dbt $(ARGS)

notebooks: $(READY) ## execute notebooks/ on the demo's marts, and store the answers in them
	@$(BIN)/python -m tools.notebooks

up: ## everything in containers, by Docker: the UI on http://127.0.0.1:3000 (docs/deploy.md)
	@$(PYTHON) deploy/make_secrets.py && docker compose up --build --detach --wait

down: ## end the containers; what they stored stays
	@docker compose down

wheel: $(READY) ## one file in dist/ that holds everything: pip install dist/*.whl
	@# From what was built before, setuptools would take files that are gone.
	@rm -rf build dist
	@$(BIN)/uv build --quiet --wheel --no-build-isolation --python $(BIN)/python --out-dir dist
	@rm -rf build
	@ls dist/*.whl

docs-site: $(READY) ## the documentation as a site, links checked, dbt's documentation inside
	@page=$$($(BIN)/python -m orchestration.runs.dbt docs) && \
		DBT_PAGE=$$page NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet && \
		echo "Open var/site/index.html, or with search: python3 -m http.server --bind 127.0.0.1 --directory var/site"

test: setup ## every test, and the coverage of the two packages
	@# In the order of tests/conftest.py: pytest-xdist's own begins with the groups of most tests, and ends with the longest.
	@$(BIN)/python -m pytest -n auto --dist loadgroup --no-loadscope-reorder -q --cov --cov-report=term:skip-covered

test-fast: $(READY) ## the tests without servers, browser and complete pipelines: less than a minute
	@$(BIN)/python -m pytest -n auto --dist loadgroup -q -m "not slow and not s3 and not browser and not postgres and not spark"

torture: setup ## the long proofs of docs/guarantees.md, for hours: make torture SCALE=0.1 for a tenth, SEED=7 to repeat
	@$(BIN)/python -m pytest tests/torture -q -s --torture-scale=$(SCALE) $(if $(SEED),--torture-seed=$(SEED))

lint: $(READY) words lint-sql lint-deploy audit ## ruff, formatting, types, who imports whom, SQL, the word list, known vulnerabilities
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports --no-cache --no-logo

lint-sql: $(READY) ## sqlfluff over the models; its few rules are in .sqlfluff
	@$(BIN)/sqlfluff lint --disable-progress-bar dbt_project/models

lint-deploy: $(READY) ## the Dockerfile, compose.yaml and the manifests
	@$(BIN)/hadolint --failure-threshold info Dockerfile && $(BIN)/yamllint --strict compose.yaml dagster.yaml workspace.yaml deploy

audit: $(READY) ## known vulnerabilities of the locked packages; without a network it reports that and goes on
	@$(BIN)/python -m tools.audit

words: $(READY) ## words that docs/glossary.md rules out
	@$(BIN)/python -m tools.words

format: $(READY) ## let ruff format and fix
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

lock: $(READY) ## resolve the dependencies anew; Spark's and the image's change none of the others
	@$(BIN)/uv pip compile --quiet --generate-hashes --no-strip-extras --no-header --no-annotate --universal --python-version 3.11 --group dev pyproject.toml --output-file requirements.lock
	@$(BIN)/uv pip compile --quiet --generate-hashes --no-strip-extras --no-header --no-annotate --universal --python-version 3.11 bi/superset/requirements.in --output-file bi/superset/requirements.lock
	@$(BIN)/uv pip compile --quiet --generate-hashes --no-strip-extras --no-header --no-annotate --universal --python-version 3.11 --extra spark --group spark --constraint requirements.lock pyproject.toml --output-file requirements-spark.lock
	@$(BIN)/uv pip compile --quiet --generate-hashes --no-strip-extras --no-header --no-annotate --universal --python-version 3.11 --extra workers --constraint requirements.lock pyproject.toml --output-file requirements-deploy.lock

bench: setup ## figures against their budgets
	@$(BIN)/python -m benchmarks

bench-spark: setup spark-setup ## DuckDB and Spark side by side: runs, bars from trades, trailing ranks (docs/spark.md)
	@$(BIN)/python -m benchmarks.spark

clean: ## remove what the demo and the builds made; real data in var/ stays
	@rm -rf var/demo dbt_project/target .pytest_cache .mypy_cache .ruff_cache
