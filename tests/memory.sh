#!/usr/bin/env bash
# What the program takes of a Pi's memory, without a Pi: the real program on a kernel of Debian's for ARM, in an emulator
# with a Pi's kind of processor and 512 MiB. Pages are counted as on a Pi; how long things take says nothing.
#   tests/memory.sh arm64|armhf PROGRAM
# Needs what `unpack.sh` and `emulate.sh` need; says so if something is missing. Nothing is installed.
set -euo pipefail
arch=${1:?usage: tests/memory.sh arm64|armhf PROGRAM} program=$(realpath "${2:?usage: tests/memory.sh arm64|armhf PROGRAM}")
skip() { printf '\n!!!! SKIPPED: nothing was measured: %s\n\n' "$1"; exit 0; }
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"$(dirname "$0")/unpack.sh" "$arch" "$place/unpacked" busybox-static bash-static || skip "there are no tools for $arch"

root=$place/root
mkdir -p "$root"/{bin,dev,etc,proc,root,sys,tmp,dags}
cp "$place/unpacked/bin/busybox" "$root/bin/busybox"
cp "$place/unpacked/bin/bash-static" "$root/bin/bash"
cp "$program" "$root/bin/mini-dag"
echo 'root:x:0:0::/root:/bin/sh' >"$root/etc/passwd"
for n in $(seq 100); do
  echo '{"schedule": "0 6 * * *", "tasks": [{"task_id": "a", "bash": "true"}, {"task_id": "b", "bash": "true", "after": ["a"]}]}' \
    >"$root/dags/nightly_$n.json"
done
echo '{"tasks": [{"task_id": "ask", "http": {"url": "http://127.0.0.1:9/"}}, {"task_id": "wait", "argv": ["sleep", "100000"]}]}' \
  >"$root/dags/slow.json"
cat >"$root/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmp /tmp
ip link set lo up
sleep 1000 | nc -l -p 9 >/dev/null & # takes a connection, and answers nothing
measure() { # WHAT PID
  awk -v what="$1" '/^(Rss|Pss|Anonymous):/ { a[$1] = $2 }
    END { printf "MEMORY %s: RSS %d KB, PSS %d KB, its own %d KB\n", what, a["Rss:"], a["Pss:"], a["Anonymous:"] }' \
    "/proc/$2/smaps_rollup"
}
process() { grep -l -- "$1" /proc/[0-9]*/cmdline 2>/dev/null | head -1 | tr -dc 0-9; }
uname -mr; mini-dag --version; free -k
echo '{"parallelism": 2}' >/tmp/mini-dag.json
mini-dag daemon --state /tmp/state --dags /dags --config /tmp/mini-dag.json 2>/tmp/daemon.log &
daemon=$!
until mini-dag status --state /tmp/state >/tmp/status 2>&1; do
  kill -0 $daemon || { cat /tmp/daemon.log; echo o >/proc/sysrq-trigger; }
  sleep 1
done
sleep 10
measure "idle, 101 DAGs" $daemon
mini-dag trigger slow --state /tmp/state
until [ -n "$(process '[_]_worker')" ] && [ -n "$(process '10000[0]')" ]; do sleep 1; done
sleep 5
measure "two tasks running" $daemon
measure "the worker of an http task" "$(process '[_]_worker')"
mini-dag cancel slow latest --state /tmp/state
for n in 1 2 3 4 5 6 7 8 9 10; do mini-dag trigger nightly_$n --state /tmp/state >/dev/null; done
sleep 30
measure "idle, after eleven runs" $daemon
tail -3 /tmp/daemon.log
echo 'MEMORY done'
echo o >/proc/sysrq-trigger
sleep 100
INIT
chmod +x "$root/init"
"$(dirname "$0")/emulate.sh" "$arch" "$root" 512 580 | tee "$place/out" ||
  [ "${PIPESTATUS[0]}" != 3 ] || skip "nothing could be emulated"
grep -q '^MEMORY done' "$place/out" || { echo "memory.sh: the measurement did not end"; exit 1; }
