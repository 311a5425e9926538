#!/usr/bin/env bash
# A daemon in a cgroup that is its own, as systemd's Delegate= gives it: each attempt gets a leaf, what escapes by
# every other means is killed, and a limit of memory holds where the kernel has the controller. Needs root and a
# writable cgroup v2; says so if there is none. `MINI_DAG` names another program than the one that is built here.
set -euo pipefail
cd "$(dirname "$0")/.."
skip() { printf '\n!!!! SKIPPED: %s\n\n' "$1"; }
fail() { echo "cgroup: $1"; cat "$place/daemon.log"; exit 1; }
mount=$(awk '{ for (i = 7; i < NF; i++) if ($i == "-" && $(i + 1) == "cgroup2") { print $5; exit } }' /proc/self/mountinfo)
[ -n "$mount" ] || { skip "there is no cgroup v2"; exit 0; }
cgroup=$mount/mini-dag-test-$$
mkdir "$cgroup" 2>/dev/null || { skip "no cgroup can be made below $mount"; exit 0; }
place=$(mktemp -d)
daemon=
cleanup() {
  [ -z "$daemon" ] || kill -9 "$daemon" 2>/dev/null || true
  for _ in $(seq 100); do
    echo 1 >"$cgroup/cgroup.kill" 2>/dev/null || true
    rmdir "$cgroup"/*/ "$cgroup" 2>/dev/null && break
    sleep 0.05
  done
  rm -rf "$place"
}
trap cleanup EXIT
grep -qw memory "$mount/cgroup.controllers" && echo +memory >"$mount/cgroup.subtree_control" 2>/dev/null || true
grep -qw memory "$cgroup/cgroup.controllers" && has_memory=1 || has_memory=
[ -n "${MINI_DAG:-}" ] || cargo build -q --bin mini-dag

mkdir "$place/dags"
cat >"$place/dags/where.json" <<JSON
{"tasks": [
  {"task_id": "where", "timeout": "20s", "bash": "until grep mini-dag.attempt- /proc/self/cgroup; do :; done"},
  {"task_id": "escape", "bash": "env -i setsid sh -c 'setsid sleep 1000 >/dev/null 2>&1 </dev/null & echo \$! >$place/pid' </dev/null >/dev/null 2>&1; cat $place/pid"},
  {"task_id": "beside", "bash": "until [ -e $place/go ]; do sleep 0.05; done"},
  {"task_id": "eats", "bash": "head -c 200M /dev/zero | tail -c 150M | wc -c", "timeout": "60s", "limits": {"memory": "32MiB"}}]}
JSON
program=${MINI_DAG:-$PWD/target/debug/mini-dag}
sh -c 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"' start "$cgroup" \
  env MINI_DAG_LISTEN=none "$program" daemon --state "$place/state" --dags "$place/dags" 2>"$place/daemon.log" &
daemon=$!
client() { "$program" "$@" --state "$place/state"; }
until grep -qs ' ready: ' "$place/daemon.log"; do sleep 0.1; kill -0 $daemon || fail "the daemon has ended"; done
client trigger where >/dev/null
# While another task runs: then an orphan without a mark could be anybody's, and only the cgroup tells.
for _ in $(seq 200); do
  client status where latest --json | grep -q '"task_id":"escape"[^}]*"state":"success"\|"state":"success"[^}]*"task_id":"escape"' && break
  sleep 0.1
done
[ -s "$place/pid" ] || fail "the task that escapes has not run"
escaped=$(cat "$place/pid")
for _ in $(seq 100); do kill -0 "$escaped" 2>/dev/null || break; sleep 0.1; done
! kill -0 "$escaped" 2>/dev/null || fail "process $escaped has escaped"
grep -q mini-dag.daemon "/proc/$daemon/cgroup" || fail "the daemon is in no leaf of its own"
touch "$place/go"
for _ in $(seq 200); do client status where latest | grep -w running >/dev/null || break; sleep 0.1; done
client logs where latest where | grep -q mini-dag.attempt- || fail "a task is in no cgroup of its own"
[ "$(find "$cgroup" -mindepth 1 -maxdepth 1 -type d | wc -l)" = 1 ] || fail "cgroups of attempts are left behind"
if [ -n "$has_memory" ]; then
  client logs where latest eats | grep -q 'killed: out of memory, limit 32 MiB' || fail "the limit of memory does not hold"
  echo "cgroup: a leaf for each attempt, nothing escapes, a limit of memory holds"
else
  client status | tr -s ' \n' ' ' | grep -q 'limits are not enforced' || fail "status does not say that memory is not limited"
  echo "cgroup: a leaf for each attempt, nothing escapes; status says that memory is not limited"
  skip "the kernel has no memory controller in cgroup v2 here: limits of memory were not tried"
fi
kill $daemon
wait $daemon || fail "the daemon ended with $?"
daemon=
