#!/usr/bin/env bash
# The program for ARM, on a machine that is none: builds it, and runs it and its tests under qemu-user. Where that cannot
# be, it says so and does nothing.
#   tests/qemu.sh [TARGET…]       aarch64-unknown-linux-musl and arm-unknown-linux-musleabihf, as a Pi Zero's ARM1176;
#                                 armv7-unknown-linux-musleabihf, as a Pi 2's Cortex-A7, if it is named
#   TESTS="--lib --test samples"  these tests instead of all; none if it is empty
#   PROGRAM=target/…/mini-dag     with one target: this program instead of one that is built
set -euo pipefail
cd "$(dirname "$0")/.."
skip() { printf '\n!!!! SKIPPED: the program for ARM was not run: %s\n\n' "$1"; exit 0; }
# What only an emulated kernel could show. (`--skip` takes what a name contains.)
skipped=(
  # qemu-user knows no subreapers, so whoever has left a task's tree is not found:
  a_background_process_that_holds_the_output what_a_child_still_prints a_leftover_without_any_trace
  a_tree_that_ignores_sigterm what_a_task_leaves_in_a_session_of_its_own
  # The memory is the emulator's:
  slow_and_silent_clients_cost_little_memory
)
# Much faster under the emulator, and overflow is still looked for.
export CARGO_PROFILE_DEV_OPT_LEVEL=1
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(aarch64-unknown-linux-musl arm-unknown-linux-musleabihf)

# In a user namespace of its own, so that what this registers with the kernel is gone with it (Linux 6.7 and newer).
if [ -z "${MINI_DAG_UNSHARED:-}" ]; then
  for tool in qemu-aarch64-static qemu-arm-static; do
    command -v $tool >/dev/null || skip "there is no $tool (Debian: qemu-user-static)"
  done
  unshare --user --map-root-user --mount sh -c 'mount -t binfmt_misc none /proc/sys/fs/binfmt_misc' 2>/dev/null ||
    skip "this kernel has no binfmt_misc for a user namespace"
  for target in "${targets[@]}"; do
    if [ -z "${PROGRAM:-}" ]; then
      systemd/build.sh "$target" build --bins --examples && continue
      [ $? = 3 ] && skip "what builds $target cannot be had" || exit 1
    fi
  done
  MINI_DAG_UNSHARED=1 exec unshare --user --map-root-user --mount "$0" "${targets[@]}"
fi

root=$(mktemp -d)
daemon=
finish() {
  [ -z "$daemon" ] || kill -KILL "$daemon" 2>/dev/null || true
  rm -rf "$root"
}
trap finish EXIT
# An ARM program starts others of its kind, itself among them: they need the same processor.
processor() { printf '#!/bin/sh\nexec qemu-arm-static -cpu %s "$@"\n' "$1" >"$root/arm"; }
processor arm1176
printf '#!/bin/sh\nexec qemu-aarch64-static "$@"\n' >"$root/aarch64"
chmod +x "$root/arm" "$root/aarch64"
tests/binfmt.sh arm "$root/arm"
tests/binfmt.sh aarch64 "$root/aarch64"

failed() { echo "FAILED: $1"; exit 1; }
until_so() {
  local what=$1 end=$((SECONDS + 60)); shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || failed "waited in vain: $what"
    sleep 0.1
  done
}

# What a person does with it in the first minutes.
session() {
  local program=$1 place=$2
  mkdir -p "$place/dags" "$place/www"
  export HOME=$place MINI_DAG_STATE=$place/state MINI_DAG_LISTEN=none
  [[ "$(ldd "$program" 2>&1 || true)" =~ "not a dynamic"|"statically" ]] || failed "it is not static"
  "$program" --version
  if [ "$target" = arm-unknown-linux-musleabihf ] && command -v readelf >/dev/null; then
    diff - <(readelf -A "$program" | awk '/CPU_arch:|FP_arch|VFP_args/ { $1 = $1; print }') \
      <<<$'Tag_CPU_arch: v6\nTag_FP_arch: VFPv2\nTag_ABI_VFP_args: VFP registers' || failed "it says it is not for ARMv6"
  fi
  cp dags/*.json "$place/dags/"
  # The sample fetches, and a compiled-in function counts.
  echo '[{"date":"Sun, 01 Jan 2023 00:00:00 GMT","user":"b"},{"date":"Sun, 01 Jan 2023 00:00:00 GMT","user":"b"}]' >"$place/www/events"
  local port=$((20000 + $$ % 20000))
  python3 -m http.server --bind 127.0.0.1 --directory "$place/www" "$port" >/dev/null 2>&1 &
  local server=$!
  until_so "the server" curl -fs "http://127.0.0.1:$port/events"
  "$program" run "$place/dags/unscheduled.json" --param "api=http://127.0.0.1:$port/events" --param "dir=$place" ||
    failed "the sample"
  kill "$server"
  diff - "$place/stats.csv" <<<$'date,user,0\n2023-01-01 00:00:00+00:00,b,2' || failed "the sample counted otherwise"
  # 32 bits of seconds end in 2038.
  [ "$("$program" next '0 6 * * *' --timezone UTC --from 2039-12-31 -n 1 --json | grep -o '2039-12-31T06:00:00' | head -1)" ] ||
    failed "2039 is not told"
  if [[ $(head -c 5 "$program" | od -An -tu1 -j4 -N1) -eq 1 ]]; then # of 32 bits
    local calls
    calls=$(qemu-arm-static -cpu $cpu -strace "$program" next @daily -n 1 2>&1 >/dev/null | grep -oE '(clock_gettime|gettimeofday)[a-z0-9]*\(')
    [ "$(sort -u <<<"$calls")" = "clock_gettime64(" ] || failed "it reads the clock in 32 bits: $calls"
  fi

  rm "$place"/dags/*
  cat >"$place/dags/four.json" <<J
{"max_active_tasks": 4, "tasks": [
  {"task_id": "a", "bash": "until [ -e $place/go ]; do sleep 0.1; done; echo done"},
  {"task_id": "b", "bash": "until [ -e $place/go ]; do sleep 0.1; done; exit 7"},
  {"task_id": "c", "bash": "until [ -e $place/go ]; do sleep 0.1; done; exit 99"}]}
J
  echo '{"parallelism": 4}' >"$place/mini-dag.json"
  (cd "$place" && exec "$program" daemon --config mini-dag.json --dags dags) 2>"$place/daemon.log" &
  daemon=$!
  until_so "the daemon" "$program" status
  "$program" trigger four
  three_run() { [ "$("$program" journal cat | grep -c '"ev":"start"')" = 3 ]; }
  until_so "three tasks run" three_run
  "$program" reload --exec || failed "it does not become itself"
  touch "$place/go"
  has_ended() { "$program" journal cat | grep -q '"ev":"run_failed"'; }
  until_so "the run ends" has_ended
  "$program" runs four
  "$program" logs four latest | grep -q done || failed "the log is lost"
  ! "$program" journal cat | grep -q '"ev":"interrupted"' || failed "a task was interrupted"
  "$program" journal verify
  kill -TERM "$daemon"
  wait "$daemon" || failed "it ended with $?: $(cat "$place/daemon.log")"
  daemon=
}

for target in "${targets[@]}"; do
  echo "== $target"
  cpu=arm1176
  [ "$target" != armv7-unknown-linux-musleabihf ] || cpu=cortex-a7
  processor $cpu
  program=${PROGRAM:-${CARGO_TARGET_DIR:-$PWD/target}/$target/debug/mini-dag}
  (session "$(realpath "$program")" "$root/$target")
  tests=${TESTS---tests}
  # Without root, which this namespace has only the name of: they would try to become somebody else.
  # shellcheck disable=SC2086 # words
  [ -z "$tests" ] || unshare --user --map-user=1000 --map-group=1000 \
    systemd/build.sh "$target" test --no-fail-fast $tests -- "${skipped[@]/#/--skip=}"
done
echo "qemu: all is well"
for target in aarch64-unknown-linux-musl arm-unknown-linux-musleabihf; do
  [[ " ${targets[*]} " == *" $target "* ]] || printf '\n!!!! NOT RUN: the program for %s, which was not asked for\n' "$target"
done
[ -n "${TESTS-all}" ] || printf '\n!!!! NOT RUN: tests for ARM, only a session with the program\n'
