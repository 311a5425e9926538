#!/usr/bin/env bash
# Airflow's own clients against a running daemon: `apache-airflow-client` and `airflowctl`, in an environment of their own below target/.
# Where they cannot be installed, this says so and does nothing.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
program=${MINI_DAG:-$root/target/debug/mini-dag}
[ -x "$program" ] || cargo build -q
skip() { printf '\n*** SKIPPED: %s ***\n\n' "$1"; exit 0; }
command -v python3 >/dev/null || skip "there is no Python for Airflow's clients"
venv=$root/target/clients
if [ ! -e "$venv/done" ]; then
  rm -rf "$venv"
  python3 -m venv "$venv" || skip "python3 -m venv does not work here"
  "$venv/bin/pip" install -q --disable-pip-version-check 'apache-airflow-client>=3,<4' 'apache-airflow-ctl>=0.1' ||
    skip "Airflow's clients cannot be installed here"
  touch "$venv/done"
fi

place=$(mktemp -d)
daemon=
finish() { [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$place"; }
trap finish EXIT
mkdir "$place/dags"
cat >"$place/dags/clients.json" <<'JSON'
{"dag_id": "clients", "tags": ["t"], "params": {"k": "none"}, "tasks": [
  {"task_id": "say", "bash": "echo \"k=$k\"", "env": {"k": "{{ params.k }}"}},
  {"task_id": "fail", "bash": "test -e \"$HOME/gate\""},
  {"task_id": "last", "bash": "echo '[1, 2]'"}
], "order": ["say >> fail >> last"]}
JSON
echo '{"tasks": 3}' >"$place/dags/broken.json"
echo '{"schedule": "0 3 * * *", "is_paused_upon_creation": true, "tasks": [{"task_id": "t", "empty": true}]}' >"$place/dags/daily.json"
HOME=$place MINI_DAG_LISTEN=127.0.0.1:0 "$program" daemon --dags "$place/dags" --state "$place/state" 2>"$place/log" &
daemon=$!
for _ in $(seq 200); do
  grep -q "http://" "$place/log" && [ -s "$place/state/admin_password" ] && break
  sleep 0.1
done
url=$(grep -o 'http://[0-9.:]*' "$place/log" | head -1)
[ -n "$url" ] || { cat "$place/log"; exit 1; }
password=$(cat "$place/state/admin_password")

HOME=$place "$venv/bin/python" tests/clients/client.py "$url" "$password" "$place/gate" || { cat "$place/log"; exit 1; }

# airflowctl: its words, and what they print.
export AIRFLOW_HOME=$place/airflow HOME=$place PYTHON_KEYRING_BACKEND=keyring.backends.null.Keyring AIRFLOW_CLI_DEBUG_MODE=true
mkdir -p "$AIRFLOW_HOME"
token=$(curl -fsS -H 'content-type: application/json' -d "{\"username\": \"admin\", \"password\": \"$password\"}" "$url/auth/token/cli" |
  sed 's/.*"access_token":"//; s/".*//')
export AIRFLOW_CLI_TOKEN=$token
ctl() { "$venv/bin/airflowctl" "$@"; }
said() { # pattern, words
  local pattern=$1 out
  shift
  out=$(ctl "$@" 2>&1) || { printf 'airflowctl %s:\n%s\n' "$*" "$out"; exit 1; }
  grep -qE -- "$pattern" <<<"$out" || { printf 'airflowctl %s does not say %s:\n%s\n' "$*" "$pattern" "$out"; exit 1; }
}
# With a password, as people do it: what it keeps goes to a file in debug mode, for here is no keyring.
unset AIRFLOW_CLI_TOKEN
said 'Login successful' auth login --api-url "$url" --username admin --password "$password"
said authenticated auth list-envs
said '^ey' auth token --api-url "$url" --username admin --password "$password"
if ctl auth login --api-url "$url" --username admin --password wrong >/dev/null 2>&1; then echo "a wrong password logs in"; exit 1; fi
said 'Login successful' auth login --api-url "$url" --api-token "$token" --skip-keyring
said '[0-9]+\.[0-9]+' version --remote
said clients dags list -o json
said clients dags get clients -o json
said clients dags get-details clients -o json
said '"is_paused": "True"' dags update clients --is-paused -o json
said 'unpause successful' dags unpause clients -o json
said 'pause successful' dags pause clients -o json
said . dags unpause clients -o json
said . dags unpause daily -o json
said 03:00:00 dags next-execution daily -o json
said clients dags list-version clients -o json
said clients dags get-version clients 1 -o json
said . dags list-warning -o json
said 'broken.json' dags list-import-errors -o json
said 'broken.json' dags get-import-error 1 -o json
# It cannot read a --conf itself: `invalid dict value`, whatever the value is.
said '"dag_run_id": "ctl"' dags trigger clients --dag-run-id ctl --note hello -o json
for _ in $(seq 100); do
  ctl dagrun get clients ctl -o json 2>&1 | grep -q '"state": "success"' && break
  sleep 0.2
done
said '"state": "success".*"note": "hello"' dagrun get clients ctl -o json
said '"dag_run_id": "ctl"' dagrun list --dag-id clients --state success --limit 5 -o json
said return_value xcom list clients ctl last -o json
said '1, 2' xcom get clients ctl last return_value -o json
said default_pool pools list -o json
said default_pool pools get default_pool -o json
said SchedulerJob jobs list -o json
said . variables list -o json
said . plugins list -o json
said . providers list -o json
said '"id": "1"' backfill create --dag-id daily --from-date 2026-02-01T00:00:00+00:00 --to-date 2026-02-02T00:00:00+00:00 \
  --max-active-runs 1 --reprocess-behavior none --no-run-backwards -o json
said '"id": "1"' backfill list daily -o json
said . backfill get 1 -o json
echo "airflowctl: done"
