# Everything a contributor types. Needs python3 >= 3.11; uses uv where it is there.
PYTHON ?= python3
ENV := .venv
BIN := $(ENV)/bin
DEMO_ENV := .venv-demo
SECONDS ?= 10

.PHONY: demo pictures test unit check format bench bench-baseline bench-pipeline bench-faults bench-data bench-desk bench-metrics bench-queries bench-runtime bench-trading bench-presets soak check-pools check-upstream e2e-freqtrade generations backends reference semconv dashboards docs tutorial lock env clean

demo: ## see a trading bot explained, order by order
	@$(PYTHON) scripts/environment.py $(DEMO_ENV) requirements-demo.lock
	@$(DEMO_ENV)/bin/tickspan demo --seconds $(SECONDS) $(DEMO_FLAGS)

test: env ## every test whose servers are there; TICKSPAN_TEST_INSTALL=1 brings the missing ones
	@$(BIN)/python scripts/test.py

unit: env ## the fast ones: no server, no process
	@$(BIN)/python -m pytest -q tests/unit -m "not integration"

check: env ## what a commit must pass besides the tests
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/basedpyright

format: env
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: env ## ours beside the peers, ratios in one run
	@$(BIN)/python benchmarks/instrumentation.py

bench-baseline: env ## the same bot under stock OpenTelemetry and under ours
	@$(BIN)/python benchmarks/baseline/compare.py

bench-pipeline: env ## the pipeline beside its peers: cost, tails, delivery, exit
	@$(BIN)/python benchmarks/pipeline/run.py $(BENCH_FLAGS)

bench-faults: env ## stock OpenTelemetry and ours in the same faults
	@$(BIN)/python benchmarks/faults/run.py $(BENCH_FLAGS)

bench-data: env ## cache, Redis, pools and lazy rows beside their peers
	@$(BIN)/python benchmarks/data/run.py $(BENCH_FLAGS)

bench-desk: env ## the desk: taking in, answers at a million spans, a day within bounds, its start
	@$(BIN)/python benchmarks/desk/run.py $(BENCH_FLAGS)

bench-metrics: env ## what collections, samplers and rules cost, how soon a breach is told
	@$(BIN)/python benchmarks/metrics/run.py $(BENCH_FLAGS)

bench-queries: env ## what a statement costs, what analysis disturbs, what advice gives
	@$(BIN)/python benchmarks/queries/run.py $(BENCH_FLAGS)

bench-runtime: env ## loggers, profilers, collections of garbage and leaks, beside their peers
	@$(BIN)/python benchmarks/runtime/run.py $(BENCH_FLAGS)

bench-trading: env ## what ticks and orders cost; alarms, matching, memory, back-tests, the wire
	@$(BIN)/python benchmarks/trading/run.py $(BENCH_FLAGS)

bench-presets: env ## what each preset changes, before and after
	@$(BIN)/python benchmarks/presets.py $(BENCH_FLAGS)

soak: env ## a ten-minute outage of the receiver, and a burst of a million spans
	@$(BIN)/python scripts/soak.py $(SOAK_FLAGS)
	@$(BIN)/python scripts/soak.py --burst 1000000

e2e-freqtrade: env ## freqtrade, unchanged, trading at the simulated venue under tickspan
	@$(BIN)/python scripts/e2e_freqtrade.py $(FREQTRADE_FLAGS)

generations: env ## members against older generations of their libraries
	@$(BIN)/python scripts/generations.py run

check-pools: env ## SQLAlchemy's own tests of pools with every pool governed
	@$(BIN)/python scripts/check_pools.py

check-upstream: env ## the SDK's own test suite with our providers swapped in
	@$(BIN)/python scripts/check_upstream.py

pictures: env ## write the documentation's pictures of the desk, with the demo's data
	@TICKSPAN_PICTURES=docs/images $(BIN)/python -m pytest -q exporters/tickspan-desk/tests/browser -k "readable and dark"

backends: env ## install and build the servers that tests use
	@TICKSPAN_TEST_INSTALL=1 $(BIN)/python scripts/backends.py

reference: env ## write the reference pages that come from code
	@$(BIN)/python scripts/reference.py
	@$(BIN)/python scripts/query_rules.py
	@$(BIN)/python scripts/alert_rules.py

docs: env ## the documentation as pages, in build/docs; any warning is an error
	@$(BIN)/python scripts/docs.py build/docs

tutorial: ## follow the tutorial to the letter, in a fresh clone with a fresh environment
	@$(PYTHON) scripts/tutorial.py

dashboards: env ## write Grafana's dashboards from the catalogue of metrics
	@$(BIN)/python -m scripts.dashboards

semconv: env ## write the names of `trading.*` and their page from the registry
	@$(BIN)/python scripts/semconv.py

lock: ## needs uv; writes the lock files without addresses
	uv lock --quiet
	uv export --quiet --frozen --no-emit-workspace --all-packages --all-groups --all-extras --no-extra sql-fast --no-header -o requirements.lock
	uv export --quiet --frozen --no-emit-workspace --package tickspan --no-dev --extra demo --no-header -o requirements-demo.lock

env:
	@$(PYTHON) scripts/environment.py $(ENV) requirements.lock

clean:
	rm -rf $(ENV) $(DEMO_ENV) .venv-* .generations build
