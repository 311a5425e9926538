#!/usr/bin/env bash
# Tortures the real daemon: faults at every n-th system call, writes that are cut short at every length, kill -9 under
# load, disks that fill up or turn read-only.
#
#   tests/torture.sh [--all] [--every K] [--kills N] [--only faults|short|kills|disks] [--keep]
#
# --every K   tries every K-th place of a fault, beginning anywhere (default: 8)
# --kills N   kills the daemon N times under load (default: 25)
# --all       every place, and 100 kills: a quarter of an hour
# After each of them the daemon is started again without faults, and then: the journal verifies, no logical date was
# run twice by schedule, no instance ran twice at once, no attempt ran that the journal does not know, nothing that
# was acknowledged is missing, and no process is left. Needs bash, flock, setsid; strace for the faults, root for the
# disks: what is skipped is said, and why.
set -euo pipefail

SELF=$(realpath "$0")
ROOT=$(dirname "$(dirname "$SELF")")
MINI_DAG=${MINI_DAG:-${CARGO_TARGET_DIR:-$ROOT/target}/debug/mini-dag}
export MINI_DAG
EVERY=8 KILLS=25 ONLY=all KEEP=no

say() { printf '%s\n' "$*"; }
fail() {
  printf 'FAILED %s: %s\n' "${CASE:-torture}" "$*" >&2
  [ -z "${DAEMON-}" ] || kill -KILL "$DAEMON" 2>/dev/null || true
  exit 1
}
skip() { printf '!! SKIPPED: %s\n' "$*" >&2; SKIPPED=$((SKIPPED + 1)); }

# until WHAT SECONDS COMMAND…: runs a command again and again until it succeeds.
until_so() {
  local what=$1 end=$((SECONDS + $2))
  shift 2
  until "$@"; do
    ((SECONDS < end)) || fail "waited in vain for $what$(log_tail)"
    pause
  done
}
pause() { read -rt 0.05 <> <(:) || true; }
log_tail() { printf '\n--- the end of %s\n' "$PWD/daemon.log"; tail -n 15 daemon.log 2>/dev/null || true; }

alive() { kill -0 "$1" 2>/dev/null; }
gone() { ! alive "$1"; }
told() { grep -qF -- "$1" daemon.log; }
# Lines of the segments as they are, about an event in runs of a DAG; for looking while the daemon runs.
# A run that a snapshot restores as a success is one, too.
count() {
  local event="\"ev\":\"$1\",\"run\":\"$2/"
  [ "$1" != run_success ] || event="$event\|\"ev\":\"run_restored\",\"run\":\"$2/.*\"state\":\"success\",\"queued"
  cat state/journal/*.jsonl 2>/dev/null | grep -c "$event" || true
}
at_least() { (($(count "$1" "$2") >= $3)); }
events() { "$MINI_DAG" journal cat --state state 2>/dev/null; }
# Every process that a task of this state directory has started.
processes() {
  local file
  for file in /proc/[0-9]*/environ; do
    if { tr '\0' '\n' <"$file"; } 2>/dev/null | grep -qxF "MINI_DAG_STATE=$PWD/state"; then
      file=${file%/environ}
      [ "$(sed 's/.*) \(.\).*/\1/' "$file/stat" 2>/dev/null)" = Z ] || say "${file#/proc/}"
    fi
  done
}
none_left() { [ -z "$(processes)" ]; }

# Starts a daemon, perhaps under the words given (strace), and sets DAEMON to its number.
begin() {
  : >daemon.log
  "$@" "$MINI_DAG" daemon --listen none --dags dags --state "$PWD/state" >/dev/null 2>daemon.log &
  STARTED=$! DAEMON=$!
  if (($#)); then
    DAEMON=
    local end=$((SECONDS + 10))
    # strace first has children of its own, to try things out.
    until [ -n "$DAEMON" ] || gone "$STARTED" || ((SECONDS >= end)); do
      for child in $(cat "/proc/$STARTED/task/$STARTED/children" 2>/dev/null || true); do
        [ "$(readlink "/proc/$child/exe" 2>/dev/null || true)" != "$(realpath "$MINI_DAG")" ] || DAEMON=$child
      done
    done
    [ -n "$DAEMON" ] || DAEMON=$STARTED
  fi
}
# SIGTERM, and a clean end.
finish() {
  kill -TERM "$DAEMON" 2>/dev/null || true
  until_so "the daemon's end" 20 gone "$STARTED"
  local code=0
  wait "$STARTED" || code=$?
  ((code == 0)) || fail "the daemon ended with $code$(log_tail)"
}

# A task that notes each attempt that begins and ends, and whether it was alone.
task() {
  cat <<EOF
{"task_id": "$1", "retries": 1, "retry_delay": 0, "bash": "cd $PWD; exec 9>>locks/\$MINI_DAG_DAG_ID.\${MINI_DAG_RUN_ID//[:+]/_}.$1; flock -n 9 || [ \$? != 1 ] || echo \$MINI_DAG_RUN_ID $1 >>doubled; echo \$MINI_DAG_DAG_ID \$MINI_DAG_RUN_ID $1 \$MINI_DAG_TRY_NUMBER >>began; ${2:-:}; echo \$MINI_DAG_DAG_ID \$MINI_DAG_RUN_ID $1 \$MINI_DAG_TRY_NUMBER >>ended"}
EOF
}
place() {
  mkdir -p "$1/dags" "$1/locks"
  cd "$1"
  : >began >ended >acknowledged
}
dag_often() {
  say "{\"schedule\": {\"every\": \"1s\"}, \"start_date\": \"2026-01-01\", \"tasks\": [$(task a), $(task b)]}" >"dags/$1.json"
}
dag_chain() {
  say "{\"schedule\": \"@once\", \"start_date\": \"2026-01-01\", \"order\": [\"a >> b >> c\"],
    \"tasks\": [$(task a), $(task b 'setsid sleep 0.2 & wait'), $(task c)]}" >dags/chain.json
}

# What must hold when no daemon runs.
check() {
  local found
  found=$("$MINI_DAG" journal verify --state state 2>&1) || fail "the journal does not verify: $found"
  events >events
  found=$(grep '"ev":"run_created"' events | grep '"type":"scheduled"' |
    sed 's/.*"run":"\([^/]*\).*"logical_date":"\([^"]*\)".*/\1 \2/' | sort | uniq -d || true)
  [ -z "$found" ] || fail "run twice by schedule: $found"
  [ ! -e doubled ] || fail "at once with itself: $(cat doubled)"
  found=$(sort began | uniq -d)
  [ -z "$found" ] || fail "the same try began twice: $found"
  found=$(sort ended | uniq -d)
  [ -z "$found" ] || fail "the same try ended twice: $found"
  # What ran and what succeeded, as the journal knows it.
  awk -F'"' '
    function value(key,   i) { for (i = 2; i < NF; i += 2) if ($i == key) return $(i + 2); return "" }
    function try_of() { return match($0, /"try":[0-9]+/) ? substr($0, RSTART + 6, RLENGTH - 6) : 1 }
    { ev = value("ev"); run = value("run"); split(run, part, "/") }
    ev == "run_created" || ev == "run_restored" { id[run] = value("run_id") }
    # What came before a snapshot that had to take the place of its own lines is not told line by line.
    ev == "run_restored" { print part[1], id[run], "" > "journal.restored" }
    ev == "start"   { print part[1], id[run], value("task"), try_of() > "journal.starts" }
    ev == "success" { print part[1], id[run], value("task"), try_of() > "journal.successes" }
  ' events
  touch journal.starts journal.successes journal.restored
  found=$(sort journal.starts | uniq -d)
  [ -z "$found" ] || fail "the journal has a start twice: $found"
  found=$(comm -13 <(sort -u journal.starts) <(sort -u began) | grep -vFf journal.restored | head -3 || true)
  [ -z "$found" ] || fail "began, and the journal does not know: $found"
  found=$(comm -23 <(sort -u journal.successes) <(sort -u ended) | head -3)
  [ -z "$found" ] || fail "a success that never was: $found"
  found=$(grep -o '"run_id":"[^"]*"' events | sort -u | comm -13 - <(sed 's/.*/"run_id":"&"/' acknowledged | sort -u) | head -3)
  [ -z "$found" ] || fail "acknowledged, and lost: $found"
  until_so "the end of all processes" 5 none_left
}

# The daemon is started without faults, and gets everything done.
heals() {
  local before
  begin
  until_so "the daemon's start" 20 told "DAGs, state in"
  before=$(count run_success often)
  until_so "the chain" 20 at_least run_success chain 1
  until_so "the next run" 20 at_least run_success often $((before + 1))
  finish
  check
  (($(events | grep -c '"ev":"run_success","run":"chain/') <= 1)) || fail "the chain has succeeded twice"
}

### (a) faults at the n-th system call #################################################################################

journal_paths() {
  local n
  for n in 1 2 3 4 5 6 7 8 9; do printf -- '-P %s/state/journal/000000000%s.%s ' "$PWD" $n jsonl "$PWD" $n tmp; done
  printf -- '-P %s/state/journal -P %s/state/journal/ballast -P %s/state/lock -P %s/state' "$PWD" "$PWD" "$PWD" "$PWD"
}
session_is_over() {
  gone "$DAEMON" || ((SECONDS >= SESSION_END)) || { at_least run_success chain 1 && at_least run_success often 2; }
}
# One short session under strace's words; SPENT is the processor time of the daemon in ticks.
session() {
  # shellcheck disable=SC2046
  begin strace -f -qq -o strace.log $(journal_paths) "$@"
  SESSION_END=$((SECONDS + 5))
  until session_is_over; do pause; done
  SPENT=$(sed 's/.*) //' "/proc/$DAEMON/stat" 2>/dev/null | awk '{print $12 + $13}' || true)
}
goes_on_or_says_why() { told "nothing new is started" || at_least run_success often 2; }
# one_case SYSCALL FAULT N
one_case() {
  local call=$1 fault=$2 n=$3 code=0
  CASE="$call $fault when=$n"
  place "$WORK/$call.$fault.$n"
  dag_often often
  dag_chain
  session -e "trace=$call" -e "inject=$call:$fault:when=$n"
  case $fault in
  signal=SIGKILL)
    kill -KILL "$DAEMON" 2>/dev/null || true
    wait "$STARTED" 2>/dev/null || true
    ;;
  *)
    ((${SPENT:-0} < 150)) || { kill -KILL "$DAEMON"; fail "the daemon spins: $SPENT ticks"; }
    if gone "$DAEMON"; then
      wait "$STARTED" || code=$?
      # What cannot be opened at all is an error that is told; what has begun never ends by itself.
      ! told "DAGs, state in" || fail "the daemon ended by itself with $code$(log_tail)"
      grep -q '^error: ' daemon.log || fail "it did not start and did not say why ($code)$(log_tail)"
      say "$CASE: did not start: $(grep -m1 '^error: ' daemon.log)" >>"$WORK/refused"
    else
      case $n in *+) until_so "work, or a word in the log on why there is none" 30 goes_on_or_says_why ;; esac
      finish
    fi
    ;;
  esac
  grep -q 'INJECTED\|SIGKILL' strace.log || say "$CASE" >>"$WORK/missed"
  heals
  cd "$WORK"
  [ "$KEEP" = yes ] || rm -rf "$WORK/$call.$fault.$n"
  printf .
}

faults() {
  local calls call n total first fault
  command -v strace >/dev/null || { skip "faults at system calls: there is no strace"; return; }
  strace -qq -e trace=none true 2>/dev/null || { skip "faults at system calls: strace may not trace"; return; }
  calls="write fdatasync fsync openat rename mkdir ftruncate unlink"
  place "$WORK/count"
  dag_often often
  dag_chain
  session -e "trace=${calls// /,}"
  finish
  for call in $calls; do
    # Two more than were counted: no two sessions are alike.
    total=$(grep -c " $call(" strace.log || true)
    ((total > 0)) || continue
    total=$((total + 2))
    first=$((RANDOM % EVERY + 1))
    say "$call: 1 to $total, every $EVERY from $first" >&2
    for ((n = first; n <= total; n += EVERY)); do
      for fault in signal=SIGKILL error=EIO error=ENOSPC; do
        say "$call $fault $n"
        [ $fault = signal=SIGKILL ] || say "$call $fault $n+"
      done
    done
  done >"$WORK/cases"
  cd "$WORK"
  say "== $(wc -l <cases) sessions with a fault"
  export WORK KEEP
  xargs -a cases -P 12 -L 1 "$SELF" --case 2> >(grep -v " Killed  *" >&2) || fail "a session with a fault; see above"
  say
  if [ -s missed ]; then say "(in $(wc -l <missed) sessions the fault came too late to happen)"; fi
  if [ -s refused ]; then say "(in $(wc -l <refused) sessions the daemon said why it cannot start)"; sort refused | head -5; fi
}

### (b) writes that are cut short #####################################################################################

# A limit on the length of files lets a write do so many bytes, truly, and fails the next one. A command is one write, so
# with ever higher limits it is cut at every length, up to the length of all of it.
short() {
  local cut=1 step=1 segment bytes told=0 whole=0 limits commands=0
  ((EVERY == 1)) || step=5
  command -v prlimit >/dev/null || { skip "writes that are cut short: there is no prlimit"; return; }
  CASE="short write"
  place "$WORK/short"
  say '{"tasks": [{"task_id": "a", "empty": true}]}' >dags/asked.json
  say "== a write cut short at every length"
  begin
  until_so "the daemon's start" 20 told "DAGs, state in"
  finish
  # The ballast is there now. Who would be told of a file that is too long has to be able to go on.
  trap '' XFSZ
  begin
  trap - XFSZ
  until_so "the daemon's start" 20 told "DAGs, state in"
  until ((whole == 3)); do
    # So that a new segment has room for all that this one could not take.
    ask_for_a_run
    for segment in state/journal/*.jsonl; do :; done
    bytes=$(stat -c %s "$segment")
    limits=$((bytes + cut))
    prlimit --pid "$DAEMON" --fsize=$limits:
    ask_for_a_run
    prlimit --pid "$DAEMON" --fsize=unlimited:
    if (($(stat -c %s "$segment") == limits)) && [ -n "$(tail -c 1 "$segment")" ]; then
      told=$((told + 1)) whole=0
    else
      # The end of a line, or of all.
      whole=$((whole + 1))
    fi
    cut=$((cut + step)) commands=$((commands + 2))
  done
  ((told * step > 300)) || fail "only $told writes were cut short"
  ! told_of_trouble || fail "a write that is cut short is no reason to stop$(log_tail)"
  finish
  check
  (($(sort -u acknowledged | wc -l) == commands)) || fail "of $commands commands, some were not acknowledged"
  say "cut short at $told lengths between 1 and $cut bytes"
  cd "$WORK"
}
ask_for_a_run() {
  local run
  run=$("$MINI_DAG" trigger asked --state state --json) || fail "a command was refused$(log_tail)"
  say "$run" | grep -o 'manual__[^`" ]*' | head -1 >>acknowledged
}
told_of_trouble() { told "nothing new is started"; }

### (c) kill -9 under load #############################################################################################

kills() {
  local n dag before acknowledged
  CASE="kill -9"
  place "$WORK/kills"
  for ((dag = 0; dag < 20; dag++)); do dag_often "load$dag"; done
  say "{\"max_active_runs\": 100, \"tasks\": [$(task a)]}" >dags/asked.json
  say "== $KILLS × kill -9 under load"
  for ((n = 1; n <= KILLS; n++)); do
    begin
    until_so "the daemon's start" 20 told "DAGs, state in"
    (
      # Somebody asks for runs, and notes those that are acknowledged.
      while run=$("$MINI_DAG" trigger asked --state state 2>/dev/null); do
        say "$run" | grep -o 'manual__[^ `"]*' | head -1 >>acknowledged
      done
    ) &
    acknowledged=$!
    before=$(wc -l <began)
    # Killed at some moment of the work: after a random number of attempts.
    until_so "work" 20 more_began $((before + 1 + RANDOM % 40))
    kill -KILL "$DAEMON"
    wait "$DAEMON" 2>/dev/null || true
    wait "$acknowledged" 2>/dev/null || true
    ((n % 10 > 0)) || printf .
  done
  say
  begin
  until_so "the daemon's start" 20 told "DAGs, state in"
  until_so "runs that were asked for" 60 all_asked_are_over
  finish
  check
  say "$(wc -l <began) attempts, $(wc -l <acknowledged) acknowledged commands, $(wc -l <events) lines of journal"
  (($(wc -l <acknowledged) >= KILLS / 2)) || fail "too few commands were acknowledged for this to say anything"
  cd "$WORK"
}
all_ended() { (($(wc -l <began) == $(wc -l <ended))); }
more_began() { (($(wc -l <began) >= $1)); }
# By number: what a snapshot restores has been told before.
runs_asked() { cat state/journal/*.jsonl | grep "$1" | grep -o '"run":"asked/[0-9]*"' | sort -u; }
all_asked_are_over() {
  [ -z "$(comm -23 <(runs_asked '"ev":"run_created"') <(runs_asked '"ev":"run_success"\|"ev":"run_failed"'))" ]
}

### (d) disks ##########################################################################################################

disks() {
  [ "$(id -u)" = 0 ] || { skip "disks that fill up: needs root"; return; }
  unshare -m true 2>/dev/null || { skip "disks that fill up: may not mount"; return; }
  say "== disks: full, without inodes, read-only"
  export WORK KEEP
  # Each waits for the journal to try again, half a minute later: together.
  printf '%s\n' full inodes read-only | xargs -P 3 -n 1 unshare -m "$SELF" --disk || fail "a disk; see above"
}
one_disk() {
  local kind=$1 before
  CASE="disk $kind"
  place "$WORK/$kind"
  dag_often often
  say "{\"schedule\": \"@once\", \"start_date\": \"2026-01-01\", \"tasks\": [$(task a 'until [ -e go ]; do sleep 0.05; done')]}" >dags/chain.json
  mkdir state
  case $kind in
  full) mount -t tmpfs -o size=512k none state ;;
  inodes) mount -t tmpfs -o nr_inodes=64 none state ;;
  read-only) mount -t tmpfs none state ;;
  esac
  case $kind in
  full)
    begin
    until_so "the daemon's start" 20 told "DAGs, state in"
    until_so "a run" 20 at_least run_success often 1
    break_disk
    until_so "degradation" 30 told "nothing new is started"
    touch go
    until_so "the end of what ran" 20 grep -q '^chain' ended
    # What was started just before may be slow to say so.
    until_so "the end of all that began" 20 all_ended
    before=$(wc -l <began)
    ;;
  inodes)
    # What is open can still be written, so it begins without them.
    touch go
    break_disk
    begin
    until_so "degradation" 30 told "nothing new is started"
    before=0
    ;;
  read-only)
    begin
    until_so "a run" 20 at_least run_success often 1
    # No mount turns read-only while a file is open for writing; a dead daemon has none.
    touch go
    until_so "the task that ran" 20 at_least run_success chain 1
    kill -KILL "$DAEMON"
    wait "$DAEMON" 2>/dev/null || true
    until_so "the end of its tasks" 5 killed
    break_disk
    before=$(wc -l <began)
    begin
    until_so "degradation" 30 told "nothing new is started"
    ;;
  esac
  # Fires pass, and nothing begins.
  local end=$((SECONDS + 3))
  until ((SECONDS >= end)); do pause; done
  (($(wc -l <began) == before)) || fail "new attempts begin while nothing can be recorded"
  alive "$DAEMON" || fail "the daemon has ended by itself$(log_tail)"
  mend_disk
  # The journal tries again after 30 s, then 60 s: there is no way but to wait.
  until_so "healing" 130 told "records can be written again"
  before=$(count run_success often)
  until_so "runs after healing" 20 at_least run_success often $((before + 2))
  until_so "the task that ran" 20 at_least run_success chain 1
  if [ "$kind" = inodes ]; then
    break_disk
    before=$(count run_success often)
    until_so "runs without new files" 20 at_least run_success often $((before + 2))
    mend_disk
  fi
  finish
  check
  say "$kind: degraded ($(grep -m1 -o 'nothing new is started: .*' daemon.log)) and healed"
}
killed() { processes | xargs -r kill -KILL 2>/dev/null || true; none_left; }
break_disk() {
  case $CASE in
  *full) cat /dev/zero >state/filler 2>/dev/null || true ;;
  *inodes) n=0; while : 2>/dev/null >"state/filler$n"; do n=$((n + 1)); done ;;
  *read-only) mount -o remount,ro state ;;
  esac
}
mend_disk() {
  case $CASE in
  *full | *inodes) rm -f state/filler* ;;
  *read-only) mount -o remount,rw state ;;
  esac
}

########################################################################################################################

case ${1-} in
--case) one_case "$2" "$3" "$4"; exit ;;
--disk) one_disk "$2"; exit ;;
esac
while (($#)); do
  case $1 in
  --all) EVERY=1 KILLS=100; shift ;;
  --every) EVERY=$2; shift 2 ;;
  --kills) KILLS=$2; shift 2 ;;
  --only) ONLY=$2; shift 2 ;;
  --keep) KEEP=yes; shift ;;
  *) say "usage: tests/torture.sh [--all] [--every K] [--kills N] [--only faults|short|kills|disks] [--keep]" >&2; exit 2 ;;
  esac
done
[ -x "$MINI_DAG" ] || (cd "$ROOT" && cargo build)
SKIPPED=0
WORK=$(mktemp -d)
tidy() {
  local code=$?
  if [ "$KEEP" = no ] && ((code == 0)); then rm -rf "$WORK"; else say "everything is kept in $WORK"; fi
}
trap tidy EXIT
for part in faults short kills disks; do
  [ "$ONLY" != all ] && [ "$ONLY" != "$part" ] || $part
done
if ((SKIPPED > 0)); then say "!! $SKIPPED parts were SKIPPED, see above"; fi
say "torture: all is well ($SECONDS s)"
