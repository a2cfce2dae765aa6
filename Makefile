# Every command that a newcomer needs; each does its own set-up and says what it does.
SHELL := /bin/bash
PY := .venv/bin/python
LINK ?= netns
# What carries the samples in the demonstration: mosquitto, or nats (three nodes).
BROKER ?= mosquitto
# More words for the command, as in: make demo ARGS='--port 9000 --minutes 5'
ARGS ?=
# A busy machine may starve a test of real programs; a defect fails twice. What failed is run once more, alone, and told.
again = { echo "== once more, one at a time: what failed above"; .venv/bin/pytest -q --last-failed --last-failed-no-failures none -m "$(1)"; }
export LINK BROKER

.PHONY: test-postgres faults walk help ready demo demo-reset demo-check test lint unit flow boards spec bench bench-pipeline bench-footprint bench-point bench-link bench-soak bench-engine bench-idle-traffic bench-month bench-year bench-registry bench-national bench-forward clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-16s %s\n", $$1, $$2 }'

demo: ## three 4G sites, broker, ledger, InfluxDB, pages: watch samples travel (Ctrl-C ends it)
	@scripts/setup.sh demo
	@exec $(PY) -m sim demo --link $(LINK) --broker $(BROKER) $(ARGS)

demo-reset: ## drop what the demo kept
	@if [ -x $(PY) ]; then $(PY) -m sim demo --reset $(ARGS); else rm -rf demo-data; fi

demo-check: ## the demo unattended; compares ledger, InfluxDB and page field by field; exit 0 or what is missing
	@scripts/setup.sh check
	@exec $(PY) -m sim check --broker $(BROKER) $(ARGS)

test: ## everything that CI runs: lint, types, tests, 200 power cuts, the whole way
	@$(MAKE) --no-print-directory lint unit flow
	@$(PY) -m tests.probe.power_cuts --cuts 200
	@$(PY) -m sim check

test-postgres: ready ## the collector's suites on a ledger in PostgreSQL (3 minutes)
	@DOSONG_TEST_LEDGER=postgres $(PY) -m pytest -q $(addprefix tests/collector/test_,ledger.py rollups.py receipts.py \
	  chain_runs.py registry_dated.py verdict_judge.py opener.py statements.py postgres.py)

ready:
	@scripts/setup.sh test

lint: ready ## format, lint, types, generated files
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@$(PY) -m grafana build --check
	@$(PY) -m wire.spec --check
	@$(PY) -m collector.api.page --check
	@$(PY) scripts/architecture.py --check

unit: ready ## all tests but the long ones
	@.venv/bin/pytest -q -n 6 --dist loadgroup -m "not flow" || $(call again,not flow)

flow: ready ## the whole way: rates, wrong way, pulled modem, kills
	@.venv/bin/pytest -q -n 3 --dist loadfile -m flow || $(call again,flow)

boards: ready ## regenerate the Grafana boards
	@$(PY) -m grafana build

spec: ready ## regenerate the tables of wire/SPEC.md
	@$(PY) -m wire.spec

walk: ## a probe goes through every fault of a cultural house; one table of what its records said (root; 10 minutes)
	@scripts/setup.sh test
	@exec $(PY) -m sim walk $(if $(SHORT),--short) $(ARGS)

faults: ## all 25 faults by the real programs, 1,000 power cuts and 1,000 simulated years among them; one table (root; an hour; ARGS='--row 5 9')
	@scripts/setup.sh test
	@.venv/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	@$(PY) -m tests.faults.matrix $(ARGS)
	@$(if $(ARGS),,$(PY) -m tests.faults.workers)
	@$(if $(ARGS),,$(PY) -m tests.faults.failover)
	@$(if $(ARGS),,$(PY) -m tests.faults.cluster --kills 10)
	@$(if $(ARGS),,$(PY) -m tests.faults.cluster_demo --kills 10)

.PHONY: mutants
mutants: ## defects put into the programs, and into the simulated years, one by one: each must be seen (25 minutes)
	@scripts/setup.sh test
	@$(PY) -m tests.faults.mutants
	@$(PY) -m tests.years --mutants

.PHONY: years
years: ## years of a probe and its collector from seeds, on simulated disks, lines and clocks (20 minutes; ARGS='--seeds 50')
	@scripts/setup.sh test
	@$(PY) -m tests.years $(ARGS)

.PHONY: axe
axe: ## every page, vi and en, desktop and phone, under axe-core in Chromium: WCAG 2.2 AA (2 minutes)
	@scripts/setup.sh test
	@$(PY) -m tests.web.test_axe

.PHONY: pictures page-pictures board-pictures
pictures: page-pictures board-pictures ## every page and every board as a picture, vi and en, desktop and phone, into docs/pictures (9 minutes)

page-pictures:
	@scripts/setup.sh test
	@$(PY) -m tests.web.pictures $(ARGS)

board-pictures:
	@scripts/setup.sh bench
	@$(PY) -m bench.boards --quick --only-pictures --pictures docs/pictures

.PHONY: fuzz-api
fuzz-api: ## the running collector is asked all that its OpenAPI document allows, and more (2 minutes)
	@scripts/setup.sh test
	@$(PY) -m tests.collector.api_fuzz $(ARGS)

bench: bench-pipeline bench-footprint bench-point bench-link bench-soak bench-engine bench-idle-traffic bench-month bench-year bench-registry bench-national bench-forward ## all measurements; each ends in `goal:` lines

bench-footprint: ## idle memory of dosong-probe run
	@scripts/setup.sh bench
	@$(PY) bench/footprint.py

bench-point: ## what one core of the measurement point carries, and 200 probes against it for ten minutes
	@scripts/setup.sh bench
	@$(PY) bench/point.py

bench-link: ## how true the simulator's link is: rate, RTT, loss, lateness (root)
	@scripts/setup.sh bench
	@$(PY) bench/link.py

bench-soak: ## the probe for four minutes of faults: memory, handles, threads, disk stay flat (root)
	@scripts/setup.sh bench
	@$(PY) bench/soak_probe.py

bench-month: ## what a month of tests costs a SIM: counted on real tests, against the prediction (root; 6 minutes)
	@scripts/setup.sh bench
	@$(PY) bench/month.py

bench-year: ## a simulated year of a SIM's slots and data, seven plans, three seeds each
	@scripts/setup.sh bench
	@$(PY) -m bench.year

bench-engine: ## our engine, speedtest-cli and iperf3 over the same emulated links (root; 40 minutes, QUICK=1: three)
	@scripts/setup.sh bench
	@$(PY) bench/engine.py $(if $(QUICK),--quick) $(ARGS)

bench-pipeline: ## broker to ledger to InfluxDB: drain, live, memory, disk, beside paho alone and a peer (8 minutes, QUICK=1: two)
	@scripts/setup.sh bench
	@$(PY) -m bench.pipeline $(if $(QUICK),--quick) $(ARGS)
	@$(if $(ARGS),true,$(PY) -m bench.forward)
	@$(if $(ARGS),true,$(PY) -m bench.catch_up $(if $(QUICK),--each 32))

bench-national: ## 100 million tests in the rollups of a country, and what pages ask of them (9 GB of disk; QUICK=1: one million)
	@scripts/setup.sh bench
	@$(PY) -m bench.national $(if $(QUICK),--quick) $(ARGS)

bench-forward: ## ledger to InfluxDB, beside the server's own rate with the same lines
	@scripts/setup.sh bench
	@$(PY) -m bench.forward $(ARGS)

.PHONY: bench-country
bench-country: ## probes that come back to three broker nodes after two days, and a country of them in a model (2 minutes)
	@scripts/setup.sh test
	@$(PY) -m bench.country $(ARGS)

bench-idle-traffic: ## what a month of coverage and management traffic costs the SIM (root; 9 minutes)
	@scripts/setup.sh bench
	@$(PY) bench/idle_traffic.py

bench-registry: ## all units of Vietnam, then a province's hamlets and probes from a workbook
	@scripts/setup.sh bench
	@$(PY) -m bench.registry

.PHONY: bench-fakes
bench: bench-fakes
bench-fakes: ## a month of thirty honest stations and twelve kinds of cheats: what the rules of verdicts find (4 minutes)
	@scripts/setup.sh bench
	@$(PY) -m bench.fakes $(ARGS)

clean: ## drop what was built (not the demo's data)
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache build *.egg-info bench/results collector/web/static/vendor

.PHONY: bench-boards boards-check
bench: bench-boards
bench-boards: ## every panel of every board over 300 hamlets and 13 months: how fast, and equal to the ledger? (12 minutes, QUICK=1: 40 hamlets)
	@scripts/setup.sh bench
	@$(PY) -m bench.boards $(if $(QUICK),--quick) $(ARGS)

boards-check: ready ## boards by Grafana's own code: transformations, units, mappings of @grafana/data (npm, 460 MB)
	@cd tests/grafana/npm && npm ci --ignore-scripts --no-audit --no-fund --silent
	@DOSONG_GRAFANA_DATA=$(CURDIR)/tests/grafana/npm .venv/bin/pytest -q tests/grafana

.PHONY: bench-reports
bench: bench-reports
.PHONY: bench-pack
bench: bench-pack
bench-pack: ## an evidence pack of a commune's month: made, checked, verified by the one file (one minute)
	@scripts/setup.sh bench
	@$(PY) -m bench.pack

.PHONY: bench-verify
bench: bench-verify
bench-verify: ## a million records checked by the one file on one core, and the size of a proof (8 minutes; ARGS='--records 20000')
	@scripts/setup.sh bench
	@$(PY) -m bench.verify $(ARGS)

bench-reports: ## a report over 124 communes and a hamlet's dossier, in every form (one minute)
	@scripts/setup.sh bench
	@$(PY) -m bench.reports

.PHONY: deb install-check
deb: ready ## Debian packages of probe, collector and measurement point, into build/deb (three minutes)
	@$(PY) deb/build.py $(ARGS)

install-check: ## a fresh Debian 12 with systemd: docs/install-collector.md as printed, then a probe, upgrades and back (root; 15 minutes)
	@scripts/setup.sh install
	@$(PY) -m tests.install.check $(ARGS)

.PHONY: bench-postgres bench-workers bench-rebuild
bench-rebuild: ## rebuild influx by one process and by two: lines/s beside the server, seconds of a core without it
	@scripts/setup.sh bench
	@$(PY) -m bench.rebuild $(ARGS)

bench-workers: ## records a second against 1 to 4 receive workers on one PostgreSQL (3 minutes, QUICK=1: half)
	@scripts/setup.sh test
	@$(PY) -m bench.workers $(if $(QUICK),--quick) $(ARGS)

bench-postgres: ## the ledger in PostgreSQL beside the bare unnest of the same rows (2 minutes, QUICK=1: half)
	@scripts/setup.sh test
	@$(PY) -m bench.postgres $(if $(QUICK),--quick) $(ARGS)

.PHONY: fuzz
fuzz: ready ## every parser of bytes from outside under atheris, a minute each; what breaks one is kept (50 minutes; ARGS='--seconds 5')
	@.venv/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	@$(PY) -m tests.fuzz $(ARGS)

.PHONY: guides
guides: ## each step of docs/vi and docs/en done on a real demonstration, pictures by the way (root; 8 minutes)
	@scripts/setup.sh test
	@$(PY) -m tests.guides.follow $(ARGS)

.PHONY: soak bench-load
soak: ## 10,000 power cuts, 100 kills at every step, a million deliveries, then half an hour of the demonstration under faults: memory, handles, disk, lag stay flat (root; two and a half hours, MINUTES=3: to try it)
	@scripts/setup.sh bench
	@$(if $(MINUTES),,$(PY) -m tests.probe.power_cuts --cuts 10000)
	@$(if $(MINUTES),,$(PY) -m tests.faults.kills --kills 100)
	@$(if $(MINUTES),,$(PY) -m tests.faults.deliveries)
	@$(PY) -m bench.soak --minutes $(or $(MINUTES),30) $(ARGS)

bench-load: ## 10,000 TLS sessions, ACK latency, storms, a flood, slow clients on the pages (12 minutes, QUICK=1: one)
	@scripts/setup.sh test
	@$(PY) -m bench.load $(if $(QUICK),--quick) $(ARGS)

.PHONY: lock sbom
lock: ready ## requirements.lock anew from pyproject.toml and constraints.txt: every package with its SHA-256 (network)
	@.venv/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[lock]'
	@.venv/bin/uv pip compile pyproject.toml --extra dev --extra fuzz -c constraints.txt --generate-hashes --universal --no-header --no-annotate -q -o requirements.lock

sbom: ready ## software bill of materials, CycloneDX 1.6, into build/sbom.cdx.json; fails if lock and constraints differ
	@$(PY) scripts/sbom.py
