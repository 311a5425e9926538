#!/usr/bin/env bash
# The package on a real systemd: boots a Debian in a container, installs the .deb in it, and does to the service what
# happens to services. Needs root, systemd-nspawn and debootstrap; without them it says so and does nothing.
#   tests/systemd.sh PACKAGE.deb [TARBALL.tar.gz]
set -euo pipefail
cd "$(dirname "$0")/.."
skip() { echo "SKIPPED tests/systemd.sh: $1"; exit 0; }
[ "$(id -u)" = 0 ] || skip "it needs root"
for tool in systemd-nspawn debootstrap nsenter dpkg-deb; do
  command -v "$tool" >/dev/null || skip "there is no $tool (Debian: systemd-container debootstrap util-linux dpkg)"
done
package=$(realpath "${1:?usage: tests/systemd.sh PACKAGE.deb [TARBALL.tar.gz]}")
tarball=${2:+$(realpath "$2")}

# In a mount namespace of its own, with cgroup v2 alone, whatever this host has.
if [ -z "${MINI_DAG_UNSHARED:-}" ]; then
  MINI_DAG_UNSHARED=1 exec unshare --mount --propagation private "$0" "$@"
fi
if [ "$(stat -fc %T /sys/fs/cgroup)" != cgroup2fs ]; then
  umount -l /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup || skip "cgroup v2 cannot be mounted"
fi

place="${CARGO_TARGET_DIR:-$PWD/target}/nspawn"
mkdir -p "$place"
if [ ! -e "$place/base.tar" ]; then
  rm -rf "$place/base"
  debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,procps bookworm "$place/base" >"$place/debootstrap.log" 2>&1 ||
    skip "debootstrap failed: $(tail -1 "$place/debootstrap.log")"
  tar -C "$place/base" -cf "$place/base.tar" .
  rm -rf "$place/base"
fi
root=$(mktemp -d "$place/root.XXXXXX")
tar -C "$root" -xf "$place/base.tar"
cp "$package" "$root/root/first.deb"
# The same package once more, as the next version.
dpkg-deb -R "$package" "$place/next.$$"
sed -i 's/^Version: .*/&.1/' "$place/next.$$/DEBIAN/control"
dpkg-deb --root-owner-group -b "$place/next.$$" "$root/root/next.deb" >/dev/null
rm -rf "$place/next.$$"

SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn --register=no --keep-unit --machine="mini-dag-$$" -b -D "$root" \
  --console=pipe </dev/null >"$place/console.log" 2>&1 &
nspawn=$!
init=
finish() {
  local code=$?
  if [ $code != 0 ] && [ -n "$init" ]; then
    inside journalctl -u mini-dag --no-pager -n 60 || true
  fi
  [ -z "$init" ] || kill -KILL "$init" 2>/dev/null || true
  wait "$nspawn" 2>/dev/null || true
  rm -rf "$root"
}
trap finish EXIT

failed() { echo "FAILED: $1"; exit 1; }
# Waits for what must become true; half a minute is more than any of it takes.
until_so() {
  local what=$1 end=$((SECONDS + 60)); shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || failed "waited in vain: $what"
    sleep 0.1
  done
}
has_init() { init=$(pgrep -P "$nspawn" -f 'systemd$|/sbin/init' | head -1); [ -n "$init" ]; }
until_so "the container starts" has_init
inside() { nsenter -a -t "$init" -- "$@"; }
is_up() { inside systemctl is-system-running | grep -qE 'running|degraded'; }
until_so "systemd is up" is_up
has_started() { inside systemctl is-active --quiet mini-dag; }
main_pid() { inside systemctl show -p MainPID --value mini-dag; }
# Without a flag: root finds the service by its config.
dag() { inside mini-dag "$@"; }
put() { cat >"$root/etc/mini-dag/dags/$1.json"; }
# How many journal lines about an event there are of a DAG.
count() { dag journal cat | grep "\"ev\":\"$1\"" | grep -c "\"run\":\"$2/" || true; }
has_count() { [ "$(count "$1" "$2")" = "$3" ]; }
done_with() { echo "ok: $1"; }

inside dpkg -i /root/first.deb >/dev/null
! inside systemctl is-enabled --quiet mini-dag || failed "installing enabled the service"
! has_started || failed "installing started the service"
done_with "installing enables and starts nothing"

put hello <<'J'
{"tasks": [{"task_id": "greet", "bash": "id -un; echo hello"}]}
J
# Four tasks that end when they are told to, two of them with another exit code.
put four <<'J'
{"max_active_tasks": 4, "defaults": {"timeout": "5m"}, "tasks": [
  {"task_id": "a", "bash": "until [ -e go ]; do sleep 0.1; done"},
  {"task_id": "b", "bash": "until [ -e go ]; do sleep 0.1; done"},
  {"task_id": "c", "bash": "until [ -e go ]; do sleep 0.1; done; exit 7"},
  {"task_id": "d", "bash": "until [ -e go ]; do sleep 0.1; done; exit 99"}]}
J
put deaf <<'J'
{"tasks": [{"task_id": "deaf", "bash": "trap '' TERM; while :; do sleep 0.1; done"}]}
J
mkdir -p "$root/etc/systemd/system/mini-dag.service.d"
printf '[Service]\nWatchdogSec=3s\nRestartSec=100ms\n' >"$root/etc/systemd/system/mini-dag.service.d/quick.conf"
sed -i 's/^{/{"parallelism": 8, "kill_grace": "3s",/' "$root/etc/mini-dag/mini-dag.json"
inside systemctl daemon-reload
inside systemctl start mini-dag
dag trigger hello --wait >/dev/null
dag logs hello latest | grep -q mini-dag || failed "tasks do not run as the user mini-dag"
done_with "it starts, and runs a DAG as its own user"

go() { touch "$root/var/lib/mini-dag/go"; }
stay() { rm -f "$root/var/lib/mini-dag/go"; }
start_four() { # starts, started before
  dag trigger four >/dev/null
  until_so "four tasks run" has_count start four "$1"
}
start_four 4
before=$(main_pid)
inside systemctl reload mini-dag
has_started && [ "$(main_pid)" = "$before" ] || failed "reload replaced the daemon"
go; until_so "the run ends" has_count run_failed four 1
[ "$(count success four)$(count failed four)$(count skipped four)" = 211 ] || failed "reload lost the end of a task"
done_with "systemctl reload loses no task"

stay; start_four 8
inside kill -STOP "$before"
replaced() { has_started && [ "$(main_pid)" != "$before" ] && [ "$(main_pid)" != 0 ]; }
until_so "the watchdog replaces it" replaced
until_so "each is interrupted once" has_count interrupted four 4
until_so "and runs again" has_count start four 12
go; until_so "the run ends" has_count run_failed four 2
done_with "a daemon that hangs is replaced"

stay; start_four 16
before=$(main_pid)
inside kill -KILL "$before"
until_so "systemd starts it again" replaced
until_so "each is interrupted once" has_count interrupted four 8
until_so "and runs again" has_count start four 20
go; until_so "the run ends" has_count run_failed four 3
[ "$(count interrupted four)" = 8 ] || failed "an attempt was interrupted twice"
done_with "after kill -9 each task is interrupted once, and runs again"

dag trigger deaf >/dev/null
until_so "the deaf task runs" has_count start deaf 1
began=$SECONDS
inside systemctl stop mini-dag
[ $((SECONDS - began)) -le 10 ] || failed "stopping took $((SECONDS - began)) s"
! inside pgrep -u mini-dag >/dev/null || failed "stopping left processes behind"
has_count interrupted deaf 1 || failed "the deaf task was not recorded as interrupted"
done_with "stopping ends a task that ignores SIGTERM"
rm "$root/etc/mini-dag/dags/deaf.json"

put secret <<'J'
{"tasks": [{"task_id": "use", "bash": "true", "secrets": {"TOKEN": "nowhere"}}]}
J
inside systemctl start mini-dag
! dag trigger secret --wait >/dev/null || failed "a task without its secret succeeded"
dag logs secret latest | grep -q nowhere || failed "nobody said which secret is missing"
has_started || failed "a missing secret ended the daemon"
done_with "a missing credential fails the task that needs it, and nothing else"

if grep -qw memory /sys/fs/cgroup/cgroup.controllers; then
  put hungry <<'J'
{"tasks": [{"task_id": "eat", "bash": "tail -c 200M /dev/zero | wc -c", "limits": {"memory": "32MiB"}},
           {"task_id": "modest", "bash": "sleep 1"}]}
J
  until_so "the DAG is loaded" dag show hungry --dags /etc/mini-dag/dags
  ! dag trigger hungry --wait >"$place/hungry.log" || failed "32 MiB were enough"
  dag journal cat | grep -q '"run":"hungry/.*out of memory, limit 32' || failed "nobody said that memory was the reason"
  [ "$(count success hungry)" = 1 ] || failed "the limit hit another task"
  done_with "a memory limit ends its task alone"
else
  echo "SKIPPED a memory limit in a delegated cgroup: this host's memory controller belongs to cgroup v1"
fi

inside systemctl stop mini-dag
dag status | grep -q hello || failed "the journal is not read when the service is down"
inside mkdir -p /etc/systemd/system/mini-dag.service.d
cp systemd/lockdown.conf "$root/etc/systemd/system/mini-dag.service.d/"
inside systemctl daemon-reload
inside systemctl start mini-dag
dag trigger hello --wait >/dev/null || failed "nothing runs in lockdown"
rm "$root/etc/systemd/system/mini-dag.service.d/lockdown.conf"
inside systemctl daemon-reload
inside systemctl stop mini-dag
done_with "it works with the drop-in lockdown"

nsenter -t "$init" -m -- mount --bind /var/lib/mini-dag /var/lib/mini-dag
nsenter -t "$init" -m -- mount -o remount,bind,ro /var/lib/mini-dag
inside systemctl start mini-dag || failed "it does not start on a read-only disk"
says_read_only() { dag status | grep -qi 'read-only'; }
until_so "status says that the disk is read-only" says_read_only
inside systemctl stop mini-dag
nsenter -t "$init" -m -- umount /var/lib/mini-dag
inside systemctl start mini-dag
until_so "it works again" dag trigger hello --wait
done_with "a read-only state directory is said, and does not end it"

stay; start_four 24
before=$(main_pid)
tasks() { inside pgrep -u mini-dag -f 'until \[ -e go' | sort | tr '\n' ' '; }
running=$(tasks)
inside dpkg -i /root/next.deb >/dev/null
has_started && [ "$(main_pid)" = "$before" ] || failed "the upgrade replaced the process"
[ "$(tasks)" = "$running" ] || failed "the upgrade ended tasks: $running, now $(tasks)"
go; until_so "the run ends" has_count run_failed four 4
has_count interrupted four 8 && has_count start four 24 || failed "the upgrade interrupted a task"
done_with "an upgrade goes under running tasks"

cp "$root"/etc/mini-dag/dags/{hello,four}.json "$root/root/"
inside dpkg -r mini-dag >/dev/null
! inside pgrep -u mini-dag >/dev/null || failed "removing left the daemon running"
[ -d "$root/var/lib/mini-dag/journal" ] && [ -e "$root/etc/mini-dag/dags/four.json" ] || failed "removing took the state"
inside dpkg -P mini-dag >/dev/null
[ ! -e "$root/var/lib/mini-dag" ] && [ ! -e "$root/etc/mini-dag" ] || failed "purging left something"
done_with "removing keeps the state, purging deletes it"

if [ -n "$tarball" ]; then
  tar -C "$root/root" -xzf "$tarball"
  install=/root/$(basename "$tarball" .tar.gz)/install.sh
  inside "$install" >/dev/null
  ! inside systemctl is-enabled --quiet mini-dag && ! has_started || failed "install.sh enabled or started the service"
  mv "$root"/root/{hello,four}.json "$root/etc/mini-dag/dags/"
  sed -i 's/^{/{"parallelism": 8,/' "$root/etc/mini-dag/mini-dag.json"
  inside systemctl enable --now mini-dag
  dag trigger hello --wait >/dev/null || failed "nothing runs that install.sh installed"
  start_four 4
  before=$(main_pid) running=$(tasks)
  inside "$install" >/dev/null
  has_started && [ "$(main_pid)" = "$before" ] && [ "$(tasks)" = "$running" ] || failed "installing again ended something"
  go; until_so "the run ends" has_count run_failed four 1
  has_count interrupted four 0 || failed "installing again interrupted a task"
  inside "$install" --remove >/dev/null 2>&1
  [ ! -e "$root/usr/local/bin/mini-dag" ] && [ -d "$root/var/lib/mini-dag/journal" ] || failed "install.sh --remove"
  ! inside pgrep -u mini-dag >/dev/null || failed "install.sh --remove left the daemon running"
  done_with "the tarball: install.sh installs, installs again under running tasks, and removes"
fi
echo "systemd: all is well"
