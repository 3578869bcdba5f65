# Shellport's recipes. `make serve` and `make test` need no other step before them.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

export PATH := $(HOME)/.cargo/bin:$(PATH)

# Into the program, where it can be: whoever runs that need not have it.
# Looked for at each step, because the first one may install it.
seccomp = $(filter /%,$(shell cc -print-file-name=libseccomp.a 2>/dev/null))
export LIBSECCOMP_LINK_TYPE = $(if $(seccomp),static,dylib)
export LIBSECCOMP_LIB_PATH = $(or $(dir $(seccomp)),/usr/lib)

frontend_sources := $(shell find frontend -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)
frontend_installed := frontend/node_modules/.package-lock.json
frontend_built := static/index.html

# One step after the other, also under -j: cargo and vite use every core by themselves.
.NOTPARALLEL:

.PHONY: help
help: ## Say what there is
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: serve
serve: bootstrap-serve build ## Build what is missing and start the server on 127.0.0.1:8022
	exec target/release/shellport serve

.PHONY: build
build: $(frontend_built) ## Build the page and the release binary
	cargo build --release --config tools/static.toml
	mkdir -p target/release
	ln -f target/$$(rustc --print host-tuple)/release/shellport target/release/shellport

.PHONY: check
check: $(frontend_built) ## The quick loop: format, lints, types, unit tests
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cd frontend && npm run --silent check
	cargo test --workspace --lib --bins
	cargo build --package shellport-screen --example snapshot
	cd frontend && npm run --silent test

.PHONY: test
test: bootstrap-test build ## Install what the tests need and run every test
	tools/test.sh test

# Words of docs/performance.md: measurements, and ways to a terminal. None is all.
ONLY ?=

.PHONY: bench
bench: bootstrap-test build ## Compare runtimes, and terminals with a raw PTY, Docker and other servers; ONLY="echo wetty"
	tools/test.sh bench $(ONLY)

FUZZ_SECONDS ?= 60

# cargo-fuzz wants flags that only a nightly compiler takes, or one that is told to pass for it.
.PHONY: fuzz
fuzz: target/tools/bin/cargo-fuzz ## Fuzz the wire codec, FUZZ_SECONDS (60) for each target
	cd backend/wire && export RUSTC_BOOTSTRAP=1 PATH="$(CURDIR)/target/tools/bin:$$PATH" && \
	  for target in $$(cargo fuzz list); do \
	    cargo fuzz run "$$target" -- -max_total_time=$(FUZZ_SECONDS); done

target/tools/bin/cargo-fuzz:
	cargo install --root target/tools --locked cargo-fuzz

.PHONY: openapi
openapi: $(frontend_installed) ## Write docs/openapi.json anew, and the page's types from it
	mkdir -p target
	cargo run --package shellport -- openapi >target/openapi.json
	cp target/openapi.json docs/openapi.json
	cd frontend && npm run --silent generate

.PHONY: clean
clean: ## Remove everything that was built, the test engines included
	tools/engines.sh down
	rm -rf target static frontend/node_modules e2e/node_modules

.PHONY: bootstrap-serve bootstrap-test
bootstrap-serve bootstrap-test: bootstrap-%:
	@tools/bootstrap.sh $*

# These two have files for results, so that they run only when something changed.
$(frontend_installed): frontend/package.json frontend/package-lock.json
	cd frontend && npm ci --no-audit --no-fund
	@touch $@

$(frontend_built): $(frontend_installed) $(frontend_sources)
	cd frontend && npm run --silent build
	@touch $@
