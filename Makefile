# The same stages for hands that like make. Everything is in tests/run, which needs no make.
.PHONY: test gates unit live vm conformance bench soak docs clean
.DEFAULT_GOAL := test

PYTHON = $$(ROADSTEAD_ENV=dev ./roadstead --print-python)

test: ## all of it: gates, unit, live
	tests/run

gates unit live: ## one stage
	tests/run $@

vm: ## as root: Debian 12 and 13 with systemd and cgroup v2, in user-mode Linux, VM="--debian 12 --short"
	PYTHONPATH=src $(PYTHON) -m tests.vm $(VM)

conformance: ## as root: upstream's conformance suite, an hour for each of VERSIONS="1.37", CONFORMANCE="--only node"
	for version in $(or $(VERSIONS),1.37); do \
	  PYTHONPATH=src $(PYTHON) -m tests.conformance --version $$version $(CONFORMANCE) || exit; done

bench: ## figures, side by side with the bare way
	PYTHONPATH=src $$(ROADSTEAD_ENV=peer ./roadstead --print-python) -m bench

soak: ## longer: more kills, bad requests, AWS's SDKs, then live tests with all versions and faults again and again, ROUNDS=10
	ROADSTEAD_KILLS=2000 ROADSTEAD_STORY_KILLS=200 ROADSTEAD_BAD_REQUESTS=100000 ROADSTEAD_SDKS=yes PYTHONPATH=src \
	  $(PYTHON) -m pytest -q tests/unit/test_store_kill.py tests/wire/test_story_killed.py tests/wire/test_hardening.py \
	  tests/sdks/test_sdks.py
	export ROADSTEAD_REPEAT=no ROADSTEAD_ALL_VERSIONS=yes ROADSTEAD_ALL_FAULTS=yes; \
	  for round in $$(seq $${ROUNDS:-10}); do tests/run live || exit; done

docs: ## the pages in docs/ as a site, by Zensical
	uvx zensical build

clean: ## what tools leave in the checkout; environments and engines are in the cache
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache site
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
