#!/usr/bin/env bash
# The recipes behind `make test` and `make bench`: engines up, one command after another, engines down
# in any case. The first failure ends it, and its code is kept.
#
# usage: tools/test.sh test
#        tools/test.sh bench [WORD...]    only these measurements and ways (see docs/performance.md)
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$HOME/.cargo/bin:$PATH
export PATH
# A failed test says what was wrong; whoever wants more asks for that test.
export RUST_BACKTRACE=0

step() { printf '\n== %s\n' "$*"; }

finish() {
  local code=$?
  trap - EXIT INT TERM
  tools/engines.sh down || code=$((code ? code : 1))
  exit "$code"
}

engines_up() {
  trap finish EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  step "engines"
  # Leaves out, with a line, what cannot run here. The password among the variables is not shown.
  tools/engines.sh up >/dev/null
  tools/engines.sh status
}

unit_tests() {
  step "unit tests"
  cargo test --workspace --lib --bins
  cargo test --workspace --doc
  # With its example, which the page's tests compare with xterm.js.
  cargo test --package shellport-screen
  (cd frontend && npm test)
}

# What `make build` made runs where there is nothing else.
static_program() {
  step "one static program"
  ldd target/release/shellport 2>&1 | grep -E 'statically linked|not a dynamic' || {
    echo "target/release/shellport needs libraries:" >&2
    ldd target/release/shellport >&2
    return 1
  }
}

# Beside the engines there is no network, so everything is built before.
integration_tests() {
  step "integration tests"
  cargo test --package shellport --test integration --no-run
  tools/engines.sh exec cargo test --offline --package shellport --test integration
}

end_to_end_tests() {
  if [ ! -e e2e/package.json ]; then
    step "end-to-end tests: skipped, there is no e2e/package.json yet"
    return
  fi
  step "end-to-end tests"
  (cd e2e && npm ci --no-audit --no-fund)
  (cd e2e && ../tools/engines.sh exec npx --no-install playwright test)
}

# What the document says and what the server does.
api_check() {
  step "the API against its description"
  tools/engines.sh exec tools/api-check.sh run
}

# has WORD WORDS...: whether it is among them.
has() {
  local word=$1 other
  shift
  for other in "$@"; do [ "$other" != "$word" ] || return 0; done
  return 1
}

benchmarks() {
  local bench=(cargo bench --config tools/static.toml --package shellport) words=() word
  for word in "$@"; do [ "$word" = runtimes ] || words+=("$word"); done
  step "what Shellport is compared with"
  tools/peers.sh
  "${bench[@]}" --bench terminal --bench runtimes --no-run
  engines_up
  if [ $# = 0 ] || has runtimes "$@"; then
    step "runtimes"
    tools/engines.sh exec "${bench[@]}" --offline --bench runtimes
  fi
  if [ $# = 0 ] || [ ${#words[@]} -gt 0 ]; then
    step "terminals"
    tools/engines.sh exec "${bench[@]}" --offline --bench terminal -- "${words[@]}"
  fi
}

case ${1:-} in
  test)
    mkdir -p target
    touch target/tests-started
    tools/leaks.sh remember
    static_program
    unit_tests
    tools/api-check.sh install
    engines_up
    api_check
    integration_tests
    end_to_end_tests
    step "leaks"
    tools/leaks.sh
    ;;
  bench)
    shift
    benchmarks "$@"
    ;;
  *)
    echo "usage: tools/test.sh test|bench [WORD...]" >&2
    exit 2
    ;;
esac
