# unshim: the project's entry points. Everything heavy is cached outside the tree (see molecule/_lab/README.md).
SHELL := /usr/bin/env bash
.DEFAULT_GOAL := help
LAB := molecule/_lab
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg

.PHONY: help venv setup lab-up lab-down lab-clean demo picture test test-full lint unit docs bench bench-lab

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

venv: ## The controller's virtual environment only: enough to run the playbooks on one's own nodes
	@bash $(LAB)/host/python.sh >/dev/null

setup: ## Install what is missing on this machine, start Docker if none answers, make .venv
	@bash $(LAB)/host/packages.sh
	@bash $(LAB)/host/docker.sh start
	@bash $(LAB)/host/python.sh >/dev/null

lab-up: setup ## Create the dockershim cluster of inventory/lab (the first time: about 12 minutes)
	@bash $(LAB)/up.sh

lab-down: ## Remove the lab's containers, volumes and network; stop Docker if the lab started it
	@bash $(LAB)/down.sh

lab-clean: lab-down ## Also remove the lab's images, build caches and .venv
	@bash $(LAB)/down.sh --clean

demo: setup ## Watch a cluster move from Docker to containerd, with its Service and its API measured
	@bash $(LAB)/demo.sh

picture: setup ## Record a demo and draw docs/img/demo.svg from it
	@mkdir -p build
	@script --quiet --return --flush --command "$(MAKE) --no-print-directory demo" build/demo.typescript
	@python docs/img/demo_picture.py build/demo.typescript

test: setup ## Static checks, unit tests and every scenario on the lab (what CI runs)
	@bash tests/run.sh

test-full: setup ## The same tests with many more cases, and with the oldest and the newest ansible-core
	@bash tests/run.sh --full

lint: ## ansible-lint, yamllint, ruff, mypy, vermin, shellcheck
	@bash tests/lint.sh

unit: ## Unit tests only: no lab, no Docker
	@python -m pytest tests/unit

docs: venv ## Build the documentation's site into build/site
	@mkdocs build --strict --quiet

bench: setup ## Time everything that benchmarks/README.md lists and write benchmarks/RESULTS.md (1.5 hours; nothing else should run)
	@python benchmarks/run.py
	@$(MAKE) --no-print-directory bench-lab

bench-lab: setup ## Its part that moves real nodes, beside a shell script (an hour)
	@bash $(LAB)/up.sh inventory/lab-bench
	@python benchmarks/lab/run.py --inventory inventory/lab-bench
	@bash $(LAB)/down.sh
