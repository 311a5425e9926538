#!/usr/bin/env bash
# Validates every sample and every golden file against `mini-dag schema` with Python's `jsonschema`, in an
# environment of its own under target/. Needs Python and, the first time, the network; says so if it cannot.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=target/schema-venv
skip() { printf '\n!!!! SKIPPED: the schema was not checked with a real validator: %s\n\n' "$1"; exit 0; }

command -v python3 >/dev/null || skip "there is no python3"
if ! "$venv/bin/python" -c 'import jsonschema' 2>/dev/null; then
  rm -rf "$venv"
  python3 -m venv "$venv" >/dev/null 2>&1 || skip "python3 cannot make a venv (python3-venv is missing?)"
  "$venv/bin/pip" install -q 'jsonschema>=4.18,<5' || skip "pip cannot install jsonschema"
fi
cargo build -q --bin mini-dag
target/debug/mini-dag schema > target/dag.schema.json
target/debug/mini-dag schema --config > target/config.schema.json
"$venv/bin/python" tests/schema.py target/dag.schema.json target/config.schema.json
