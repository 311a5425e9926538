#!/usr/bin/env bash
# What happens to services, done to the package's: README's commands first, then what goes wrong, an upgrade, removal, and
# the tarball. Runs as root in a booted Debian that `systemd.sh` made for it, and beside what that put here.
set -euo pipefail
cd "$(dirname "$0")"
export HOME=/root
finish() {
  [ $? = 0 ] || journalctl -u mini-dag --no-pager -n 60 || true
}
trap finish EXIT
failed() { echo "FAILED: $1"; exit 1; }
done_with() { echo "ok: $1 ($SECONDS s)"; }
quietly() { said=$("$@" 2>&1) || failed "$*: $said"; }
# Waits for what must become true; in an emulator all of it takes long.
until_so() {
  local what=$1 end=$((SECONDS + 300)); shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || failed "waited in vain: $what"
    sleep 0.1
  done
}
is_up() { systemctl is-system-running | grep -qE 'running|degraded'; }
until_so "systemd is up" is_up
has_started() { systemctl is-active --quiet mini-dag; }
main_pid() { systemctl show -p MainPID --value mini-dag; }
put() { cat >"/etc/mini-dag/dags/$1.json"; }
# How many journal lines about an event there are of a DAG. Without a flag: root finds the service by its config.
count() { mini-dag journal cat | grep "\"ev\":\"$1\"" | grep -c "\"run\":\"$2/" || true; }
has_count() { [ "$(count "$1" "$2")" = "$3" ]; }
done_with "$(. /etc/os-release; echo "$PRETTY_NAME"), $(uname -rm), systemd $(systemctl --version | awk 'NR == 1 { print $2 }')"

# As a person with sudo does it, who has this README.
useradd --create-home --shell /bin/bash pi
echo 'pi ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/pi
pi() { su - pi -c "$1"; }
# The fenced block of README that follows a line.
block() { awk -v after="$1" '$0 == after { on = 1 } on && /^```/ { if (within) exit; within = 1; next } within' README.md; }
block '`weather.json`:' >/home/pi/weather.json
cp mini-dag_*.deb /home/pi/
mapfile -t commands < <(block '### On a Pi, as a service' | sed "s/_arm64/_$(dpkg --print-architecture)/")
[ ${#commands[@]} = 3 ] || failed "README has ${#commands[@]} commands"
quietly pi "${commands[0]}"
! systemctl is-enabled --quiet mini-dag || failed "installing enabled the service"
! has_started || failed "installing started the service"
done_with "installing enables and starts nothing"
quietly pi "${commands[1]}"
quietly pi "${commands[2]}"
has_started && systemctl is-enabled --quiet mini-dag || failed "README's commands start nothing"
pi 'sudo mini-dag status' | grep -q weather || failed "README's DAG is not there"
pi 'sudo mini-dag trigger weather --param place=attic --wait' >/dev/null || failed "README's DAG failed"
pi 'sudo mini-dag logs weather latest' | grep -q 'average in the attic: 18.8' || failed "README's DAG printed something else"
! pi 'mini-dag status' >/dev/null 2>&1 || failed "anybody may use the control socket"
quietly pi 'sudo adduser $USER mini-dag'
pi 'mini-dag status' | grep -q weather || failed "a member of the group mini-dag needs sudo"
[ -s /var/lib/mini-dag/admin_password ] || failed "there is no password for the page"
page() { exec 3<>/dev/tcp/127.0.0.1/8080; printf 'GET / HTTP/1.0\r\nHost: 127.0.0.1:8080\r\n\r\n' >&3; cat <&3; }
(page) | grep -q '<title>mini-dag' || failed "there is no page"
said=$(journalctl --quiet --no-pager -u mini-dag -p warning)
[ -z "$said" ] || failed "there are warnings of what went well: $said"
rm /etc/mini-dag/dags/weather.json
done_with "README's commands: a DAG runs, a member of the group sees it, the page is there"

put hello <<'J'
{"tasks": [{"task_id": "greet", "bash": "id -un; echo hello"}]}
J
# Four tasks that end when they are told to, two of them with another exit code.
put four <<'J'
{"max_active_tasks": 4, "defaults": {"timeout": "1h"}, "tasks": [
  {"task_id": "a", "bash": "until [ -e go ]; do sleep 0.1; done"},
  {"task_id": "b", "bash": "until [ -e go ]; do sleep 0.1; done"},
  {"task_id": "c", "bash": "until [ -e go ]; do sleep 0.1; done; exit 7"},
  {"task_id": "d", "bash": "until [ -e go ]; do sleep 0.1; done; exit 99"}]}
J
put deaf <<'J'
{"tasks": [{"task_id": "deaf", "bash": "trap '' TERM; while :; do sleep 0.1; done"}]}
J
drop_ins=/etc/systemd/system/mini-dag.service.d
mkdir -p $drop_ins
printf '[Service]\nWatchdogSec=8s\nRestartSec=100ms\n' >$drop_ins/quick.conf
sed -i 's/^{/{"parallelism": 8, "kill_grace": "3s",/' /etc/mini-dag/mini-dag.json
systemctl daemon-reload
systemctl restart mini-dag
mini-dag trigger hello --wait >/dev/null
mini-dag logs hello latest | grep -q mini-dag || failed "tasks do not run as the user mini-dag"
done_with "it runs a DAG as its own user"

go() { touch /var/lib/mini-dag/go; }
stay() { rm -f /var/lib/mini-dag/go; }
start_four() { # starts, started before
  mini-dag trigger four >/dev/null
  until_so "four tasks run" has_count start four "$1"
}
start_four 4
before=$(main_pid)
systemctl reload mini-dag
has_started && [ "$(main_pid)" = "$before" ] || failed "reload replaced the daemon"
go; until_so "the run ends" has_count run_failed four 1
[ "$(count success four)$(count failed four)$(count skipped four)" = 211 ] || failed "reload lost the end of a task"
done_with "systemctl reload loses no task"

stay; start_four 8
kill -STOP "$before"
replaced() { has_started && [ "$(main_pid)" != "$before" ] && [ "$(main_pid)" != 0 ]; }
until_so "the watchdog replaces it" replaced
until_so "each is interrupted once" has_count interrupted four 4
until_so "and runs again" has_count start four 12
go; until_so "the run ends" has_count run_failed four 2
done_with "a daemon that hangs is replaced"

stay; start_four 16
before=$(main_pid)
kill -KILL "$before"
until_so "systemd starts it again" replaced
until_so "each is interrupted once" has_count interrupted four 8
until_so "and runs again" has_count start four 20
go; until_so "the run ends" has_count run_failed four 3
[ "$(count interrupted four)" = 8 ] || failed "an attempt was interrupted twice"
done_with "after kill -9 each task is interrupted once, and runs again"

mini-dag trigger deaf >/dev/null
until_so "the deaf task runs" has_count start deaf 1
systemctl stop mini-dag
! journalctl -u mini-dag | grep -q "State 'stop-.*timed out" || failed "systemd had to kill the daemon"
! pgrep -u mini-dag >/dev/null || failed "stopping left processes behind"
has_count interrupted deaf 1 || failed "the deaf task was not recorded as interrupted"
done_with "stopping ends a task that ignores SIGTERM"
rm /etc/mini-dag/dags/deaf.json

put secret <<'J'
{"tasks": [{"task_id": "use", "bash": "true", "secrets": {"TOKEN": "nowhere"}}]}
J
systemctl start mini-dag
! mini-dag trigger secret --wait >/dev/null || failed "a task without its secret succeeded"
mini-dag logs secret latest | grep -q nowhere || failed "nobody said which secret is missing"
has_started || failed "a missing secret ended the daemon"
done_with "a missing credential fails the task that needs it, and nothing else"

stay
put hungry <<'J'
{"max_active_tasks": 2, "tasks": [
  {"task_id": "eat", "bash": "head -c 200M /dev/zero | tail -c 150M | wc -c", "limits": {"memory": "32MiB"}},
  {"task_id": "modest", "bash": "until [ -e go ]; do sleep 0.1; done"}]}
J
if grep -qw memory /sys/fs/cgroup/cgroup.controllers; then
  until_so "the DAG is loaded" mini-dag status hungry
  mini-dag trigger hungry >/dev/null
  until_so "memory ends" has_count failed hungry 1
  mini-dag journal cat | grep -q '"run":"hungry/.*out of memory, limit 32 MiB' || failed "nobody said that memory was the reason"
  has_count start hungry 2 && has_count success hungry 0 || failed "the other task did not run beside it"
  go; until_so "the run ends" has_count run_failed hungry 1
  has_count success hungry 1 && has_count start hungry 2 || failed "the limit hit another task"
  done_with "a memory limit ends its task alone: $(mini-dag journal cat | grep -o 'killed: out of memory[^"]*')"
elif systemd-detect-virt --quiet --container; then
  printf '\n!!!! SKIPPED: a limit of memory was not tried: this host gives the memory controller to cgroup v1\n\n'
else
  failed "this kernel has no memory controller"
fi

systemctl stop mini-dag
mini-dag status 2>/dev/null | grep -q hello || failed "the journal is not read when the service is down"
cp lockdown.conf $drop_ins/
systemctl daemon-reload
systemctl start mini-dag
mini-dag trigger hello --wait >/dev/null || failed "nothing runs in lockdown"
rm $drop_ins/lockdown.conf
systemctl daemon-reload
systemctl stop mini-dag
done_with "it works with the drop-in lockdown"

mount --bind /var/lib/mini-dag /var/lib/mini-dag
mount -o remount,bind,ro /var/lib/mini-dag
systemctl start mini-dag || failed "it does not start on a read-only disk"
says_read_only() { mini-dag status | grep -qi 'read-only'; }
until_so "status says that the disk is read-only" says_read_only
systemctl stop mini-dag
umount /var/lib/mini-dag
systemctl start mini-dag
until_so "it works again" mini-dag trigger hello --wait
done_with "a read-only state directory is said, and does not end it"

stay; start_four 24
before=$(main_pid)
tasks() { pgrep -u mini-dag -f 'until \[ -e go' | sort | tr '\n' ' '; }
running=$(tasks)
quietly apt-get -qq install ./next.deb
has_started && [ "$(main_pid)" = "$before" ] || failed "the upgrade replaced the process"
[ "$(tasks)" = "$running" ] || failed "the upgrade ended tasks: $running, now $(tasks)"
go; until_so "the run ends" has_count run_failed four 4
has_count interrupted four 8 && has_count start four 24 || failed "the upgrade interrupted a task"
done_with "an upgrade goes under running tasks"

MINI_DAG=/usr/bin/mini-dag ./cgroup.sh

cp /etc/mini-dag/dags/{hello,four}.json .
quietly apt-get -qq remove mini-dag
! pgrep -u mini-dag >/dev/null || failed "removing left the daemon running"
[ -d /var/lib/mini-dag/journal ] && [ -e /etc/mini-dag/dags/four.json ] || failed "removing took the state"
quietly apt-get -qq purge mini-dag
[ ! -e /var/lib/mini-dag ] && [ ! -e /etc/mini-dag ] || failed "purging left something"
done_with "removing keeps the state, purging deletes it"

if [ -e tarball.tar.gz ]; then
  tar -xzf tarball.tar.gz
  install=$(echo mini-dag-*/install.sh)
  quietly "$install"
  ! systemctl is-enabled --quiet mini-dag && ! has_started || failed "install.sh enabled or started the service"
  mv {hello,four}.json /etc/mini-dag/dags/
  sed -i 's/^{/{"parallelism": 8,/' /etc/mini-dag/mini-dag.json
  quietly systemctl enable --now mini-dag
  hash -r
  mini-dag trigger hello --wait >/dev/null || failed "nothing runs that install.sh installed"
  start_four 4
  before=$(main_pid) running=$(tasks)
  quietly "$install"
  has_started && [ "$(main_pid)" = "$before" ] && [ "$(tasks)" = "$running" ] || failed "installing again ended something"
  go; until_so "the run ends" has_count run_failed four 1
  has_count interrupted four 0 || failed "installing again interrupted a task"
  quietly "$install" --remove
  [ ! -e /usr/local/bin/mini-dag ] && [ -d /var/lib/mini-dag/journal ] || failed "install.sh --remove"
  ! pgrep -u mini-dag >/dev/null || failed "install.sh --remove left the daemon running"
  done_with "the tarball: install.sh installs, installs again under running tasks, and removes"
fi
echo "systemd: all is well"
