# make demo, make test: each alone does everything, on a bare Debian 12 machine too.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
PYTHON := .venv/bin/python
export PYTHONPATH := src
# Each of a region's processes would compile for itself what all of them load.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-kernels verified faults bench lint types setup packages environment bpf guests lock clean

help:
	@echo "make demo    set up, start a region, walk through it, leave it running"
	@echo "make test    set up, run all tests"
	@echo "make test-kernels   set up, run the data plane's tests under Debian's own kernel in an emulator"
	@echo "make verified       what each eBPF program takes of the verifier's limits, here and under Debian's own kernel"
	@echo "make faults  set up, break a cell for half an hour under 5,000 connections"
	@echo "make guests  what instances with a kernel of their own need: qemu, busybox, a kernel"
	@echo "make bench   set up, measure, write docs/performance.md"
	@echo "make lint    ruff; make types: mypy"
	@echo "make setup   what is missing: Debian packages, .venv, BPF objects"
	@echo "make clean   remove .venv and build"

demo: setup
	@./rookery tour

# Which files share a worker, and which begin first: tests/conftest.py. Four on two cores: Terraform and Ansible wait for most of their time.
test: setup
	@$(PYTHON) -m pytest -n 4 --dist loadfile --no-loadscope-reorder $(ARGS)

test-kernels: setup guests
	@ROOKERY_TEST_KERNELS=yes $(PYTHON) -m pytest -n 0 tests/kernels $(ARGS)

verified: setup guests
	@$(PYTHON) -m rookery.dataplane.verified
	@$(PYTHON) -m tests.kernels env PYTHONPATH=src $(PYTHON) -m rookery.dataplane.verified

faults: setup
	@ROOKERY_FAULTS=whole $(PYTHON) -m pytest -n 0 -s tests/faults/test_cell_kills.py tests/faults/test_cell.py tests/faults/test_edges.py tests/balancing/test_tour.py tests/region/test_edges.py $(ARGS)
	@ROOKERY_FAULTS=small $(PYTHON) -m pytest -n 0 -k xdp tests/dataplane tests/netns/test_cell_path.py

bench: setup
	@$(PYTHON) -m bench $(ARGS)

lint: environment
	@$(PYTHON) -m ruff check .

types: environment
	@$(PYTHON) -m mypy

setup: packages
	@$(MAKE) --jobs 2 --output-sync environment bpf

packages:
	@tools/install-packages packages.txt

environment: packages
	@tools/make-environment

bpf: packages
	@$(MAKE) -q -C bpf || { . tools/say && step 'building the BPF objects' $(MAKE) -s --jobs $$(nproc) -C bpf; }

guests: environment
	@tools/install-packages guest-packages.txt
	@tools/fetch-kernel build/kernels
	@$(PYTHON) -m rookery.vm.image build/kernels build/guests

lock:
	@{ sed -n '/^#/p' tools/requirements.txt; $(PYTHON) -m pip freeze --exclude-editable | grep '=='; } > tools/requirements.new
	@mv tools/requirements.new tools/requirements.txt

clean:
	@rm -rf .venv build .pytest_cache .ruff_cache .mypy_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
