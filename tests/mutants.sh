#!/usr/bin/env bash
# Breaks one rule of the scheduler or the journal at a time, in a copy, and expects the simulation, a story or
# a test of the journal to notice each.
# With an argument, only those whose name matches it. A mutant that survives, or a line below that no longer stands in the source, fails the script.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR="$PWD/target/mutants"
# Always the same place, so that cargo builds only what a mutant changes.
copy="$CARGO_TARGET_DIR/copy"
rm -rf "$copy"
mkdir -p "$copy"
cp -r Cargo.toml Cargo.lock clippy.toml src dags tests "$copy"

# name | file | what stands there | what the mutant has
mutants=$(cat <<'EOF'
a slot is not returned|scheduler/settle.rs|self.attempts.len() >= self.limits.pools.parallelism() as usize|self.attempts.len() > self.limits.pools.parallelism() as usize
a slot is lost for ever|scheduler/attempt.rs|self.give_back(&dag, id.task);|
an edge is ignored|scheduler/run.rs|for downstream in &task.downstream {|for downstream in task.downstream.iter().skip(1) {
an edge is forgotten when touching|scheduler/settle.rs|self.touched.extend(downstream.iter().map(\|task\| (number, *task)));|self.touched.extend(downstream.iter().skip(1).map(\|task\| (number, *task)));
a retry too many|scheduler/attempt.rs|instance.try_number <= instance.max_tries && run.stopped.is_none()|instance.try_number <= instance.max_tries + 1 && run.stopped.is_none()
an interruption gives a retry|scheduler/run.rs|task.max_tries += u32::from(*state == Ended::Interrupted);|task.max_tries += 2 * u32::from(*state == Ended::Interrupted);
a final state is overwritten|scheduler/attempt.rs|is_none_or(\|live\| live.try_number != id.try_number)|is_none()
a run starts although too many are active|scheduler/settle.rs|known.active_runs < known.dag.max_active_runs;|known.active_runs <= known.dag.max_active_runs;
a DAG has too many running tasks|scheduler/settle.rs|self.running_tasks(dag_id) >= max|self.running_tasks(dag_id) > max
a delay is not waited for|scheduler/settle.rs|!self.timers.is_set(Timer::Retry(number, index))|true
a kill does not follow|scheduler/attempt.rs|self.timers.set(Timer::Attempt(run, task), kill_at);|let _ = kill_at;
a skipped upstream counts as a success|scheduler/run.rs|TaskState::Skipped => Some(&mut counts.skipped),|TaskState::Skipped => Some(&mut counts.success),
a failed leaf is forgotten|scheduler/run.rs|self.failed_leaves += u32::from(is_failed(state));|self.failed_leaves += 0;
a cleared task stays in the queue|scheduler/settle.rs|Decision::Wait => return self.withdraw(number, index),|Decision::Wait => return,
a run leaves no mark|scheduler/state.rs|dag.schedule_until(interval.1);|
a fire is skipped without a record|scheduler/schedule.rs|Overlap::Skip => self.record(turn, dag_id, Fact::Skipped { until: next }),|Overlap::Skip => return,
a fire too many is skipped|scheduler/schedule.rs|let until = wanted.and_then(\|fire\| timetable.previous_before(fire));|let until = wanted;
a fire too many is made up for|scheduler/schedule.rs|for _ in 1..count {|for _ in 0..count {
everything is made up for|scheduler/schedule.rs|Catchup::Latest => timetable.latest_at_or_before(now),|Catchup::Latest => Some(next),
what came while it was waited for is missed|scheduler/schedule.rs|come.or(plan.next)|come
one fire cancels two runs|scheduler/schedule.rs|min_by_key(\|(number, run)\| (run.stopped.is_none(), *number))|filter(\|(_, run)\| run.stopped.is_none()).min_by_key(\|(number, _)\| *number)
a DAG has missed what was due before it was seen|scheduler/schedule.rs|.map_or(origin, \|until\| until.max(origin));|.unwrap_or(origin);
a data interval begins before what was run|scheduler/schedule.rs|begin.max(until).min(fire)|begin.min(until).max(begin)
a run starts that was stopped while it waited|scheduler/settle.rs|has_room && !is_stopped(*number)|has_room
a snapshot forgets that a run was stopped|scheduler/run.rs|if let Some(reason) = image.stopped {|if let Some(reason) = image.stopped.filter(\|_\| false) {
a snapshot forgets the retries|scheduler/run.rs|instance.max_tries = task.max_tries;|
a snapshot forgets in which order runs ended|scheduler/state.rs|live.chain(dag.finished.iter())|live.chain(dag.finished.iter().rev())
a DAG is paused by a later version|scheduler/state.rs|dag.is_paused = *is_paused; }|let _ = is_paused; }
a journal goes on after a part of a snapshot|journal/open.rs|&& is_sound && is_whole;|&& is_sound;
something is answered before it is synced|journal/writer.rs|pub fn synced(&self) -> Position { self.synced.position }|pub fn synced(&self) -> Position { self.written.position }
something starts that cannot be recorded|scheduler/mod.rs|self.is_recording && !self.is_shutting_down|!self.is_shutting_down
a reload changes a running run|scheduler/state.rs|known.dag = dag;|for run in self.runs.values_mut().filter(\|run\| run.dag.dag_id == dag.dag_id) { run.dag = dag.clone(); } known.dag = dag;
a removed DAG is due|scheduler/mod.rs|self.fires.forget(dag_id);|
a pool has a slot too many|scheduler/queue.rs|claim.slots <= free|claim.slots <= free + 1
a slot of a pool is not given back|scheduler/settle.rs|give(&mut self.used, &claim.pool, claim.slots);|give(&mut self.used, &claim.pool, claim.slots - 1);
a restart forgets what pools are used|scheduler/mod.rs|for index in running { self.take(&dag, index); }|let _ = running;
a pool that is gone has slots|scheduler/settle.rs|self.limits.pools.slots(pool).unwrap_or(0)|self.limits.pools.slots(pool).unwrap_or(1)
a shut DAG shows its head|scheduler/queue.rs|if before != after && !lanes.is_shut {|if before != after {
a weight leaves out what comes after|scheduler/settle.rs|Reverse(run.dag.task(index).weight)|Reverse(i64::from(run.dag.task(index).priority))
a task counts twice in a weight|dag/weight.rs|further.fold(0, \|bits, more\| bits \| more);|further.fold(0, \|bits, more\| bits + more);
a poke is on record again and again|scheduler/poke.rs|live.is_recorded.then_some(Ended::Rescheduled)|Some(Ended::Rescheduled)
a poke comes too early|scheduler/poke.rs|self.timers.set(next, after_pause(now.monotonic, poke));|let _ = next;
a poke never gives up|scheduler/poke.rs|self.timers.set(give_up, now.after(poke.timeout));|let _ = (poke, give_up);
a restart forgets when a poke gives up|scheduler/poke.rs|let left = poke.timeout.saturating_sub(gone);|let left = poke.timeout;
a snapshot forgets when it was poked first|scheduler/run.rs|instance.poking_since = task.poking_since;|
a retry of a poke begins its timeout anew|scheduler/run.rs|task.poking_since.get_or_insert(at);|task.poking_since = Some(at);
a stopped poke is not on record|scheduler/attempt.rs|self.put_on_record(turn, number, index);|
two pokes at a time|scheduler/settle.rs|&& !self.attempts.contains_key(&(number, index))|
a clock that cannot be right is believed|scheduler/clock.rs|(demand != ClockDemand::Ignore).then_some(Hold::Doubt(doubt))|(demand == ClockDemand::Require).then_some(Hold::Doubt(doubt))
a clock before the program was built may be right|scheduler/clock.rs|if wall < built {|if wall.after(SLACK) < Timestamp::MIN {
a clock twenty years ahead may be right|scheduler/clock.rs|wall >= built.after(years)|wall >= built.after(years * 9)
what was shown before the restart is forgotten|scheduler/clock.rs|!is_vouched_for && wall < *at|!is_vouched_for && wall > *at
what was shown before stops a synchronised clock|scheduler/clock.rs|self.was_believed \|\| report.is_synchronised;|self.was_believed;
what was shown before stops a clock that was believed|scheduler/clock.rs|self.was_believed \|\| report.is_synchronised;|report.is_synchronised;
the schedule waits again for NTP|scheduler/clock.rs|ClockDemand::Require \| ClockDemand::Prefer if self.was_believed => None,|
the schedule waits for NTP for ever|scheduler/clock.rs|.filter(\|_\| deadline > now.monotonic)|.filter(\|_\| deadline >= Monotonic(0))
a DAG is seen by a clock that is not believed|scheduler/schedule.rs|&& known.first_seen.is_none() && !self.verdict.is_held()|&& known.first_seen.is_none()
a run is created by a clock that is not believed|scheduler/schedule.rs|!self.may_start() \|\| self.verdict.is_held()|!self.may_start()
nothing wakes when the clock is believed again|scheduler/mod.rs|if before.is_held() != self.verdict.is_held() {|if !before.is_held() && self.verdict.is_held() {
a clock that was set wakes nobody|scheduler/mod.rs|// Whatever is waited for lies elsewhere now. self.wake_all();|
a mark far ahead holds a DAG back|scheduler/schedule.rs|if lies_far_ahead(known.scheduled_until) {|if false {
a first sight far ahead holds a DAG back|scheduler/schedule.rs|if lies_far_ahead(known.first_seen) {|if false {
a clock that goes back a little is not waited for|scheduler/schedule.rs|Duration::from_secs(3 * 60 * 60)|Duration::from_secs(60 * 60)
what was run is run again after a step back|scheduler/schedule.rs|wanted == Some(next) && known.ran.has(dates.0, dates.1)|false && known.ran.has(dates.0, dates.1)
a snapshot forgets what was run|scheduler/state.rs|dag.ran = ran.clone();|let _ = ran;
a run does not say by which clock it was created|scheduler/schedule.rs|clock: self.verdict.trust,|clock: super::ClockTrust::default(),
a continuous DAG waits until the clock is there again|scheduler/schedule.rs|let due = if is_continuous && next > turn.now.wall.after(CONTINUOUS_PAUSE) {|let due = if false {
a DAG starts more than its pace allows|scheduler/pace.rs|if self.left >= START {|if self.left >= START \|\| true {
a hook of defaults is forgotten|scheduler/hooks.rs|own.get(kind).or(inherited.get(kind))|own.get(kind).or(inherited.get(kind).filter(\|_\| false))
a retry calls nobody but its task|scheduler/hooks.rs|filter(\|_\| kind == HookKind::Retry)|filter(\|_\| kind == HookKind::Retry && false)
a skipped task calls for success|scheduler/hooks.rs|Ended::Success => HookKind::Success,|Ended::Success \| Ended::Skipped => HookKind::Success,
a mark does not let what was not run run|scheduler/correct.rs|Mark::Success \| Mark::Skipped => follows(run, &marked),|Mark::Success \| Mark::Skipped => Vec::new(),
a marked task is tried again|scheduler/correct.rs|self.withdraw(number, *index); self.timers.cancel(Timer::GiveUp(number, *index)); if self.attempts|if self.attempts
a deleted run keeps its place|scheduler/state.rs|dag.finished.retain(\|finished\| *finished != number);|
a snapshot forgets a note|scheduler/run.rs|run.note = image.note.clone();|
a snapshot forgets the note on a task that has not begun|scheduler/run.rs|has_begun \|\| instance.note.is_some()|has_begun
nobody waits for the past|scheduler/past.rs|matches!(state, TaskState::Success \| TaskState::Skipped)|matches!(state, TaskState::Success \| TaskState::Skipped \| TaskState::Failed)
the past is not waited for downstream|scheduler/past.rs|filter(\|_\| task.wait_for_downstream)|filter(\|_\| false)
what is cleared does not ask the past again|scheduler/command.rs|self.record_run(turn, number, RunFact::Cleared(tasks.clone())); self.touch_all_following(number);|self.record_run(turn, number, RunFact::Cleared(tasks.clone()));
a run that is waited for finds no room|scheduler/settle.rs|!is_stopped(**number) && self.state.is_awaited(**number);|!is_stopped(**number) && false && self.state.is_awaited(**number);
a run that others ask for is forgotten|scheduler/kept.rs|oldest_first.find(\|number\| !needed.contains(number))|oldest_first.find(\|_\| true)
old runs stay in memory|scheduler/kept.rs|counted.len() <= RUNS_KEPT_MAX|counted.len() <= RUNS_KEPT_MAX + 1
a run that fails skips who waits for it|scheduler/choice.rs|Operator::Trigger(_) \| Operator::Empty => [None, None],|Operator::Trigger(_) \| Operator::Empty => [own, None],
a branch skips where the ways meet|scheduler/choice.rs|direct.filter(\|task\| !is_kept[task.get()]).collect()|{ let _ = &is_kept; direct.filter(\|task\| !ids.contains(&dag.task(*task).task_id)).collect() }
what is left out asks its trigger rule|scheduler/run.rs|if self.is_left_out(index) {|if false {
a snapshot forgets a choice|scheduler/run.rs|run.leave(index, task.xcom.clone(), task.choice.clone());|run.leave(index, task.xcom.clone(), None);
a cleared task leaves what it left|scheduler/run.rs|self.set(index, TaskState::None); self.leave(index, None, None);|self.set(index, TaskState::None);
the last success is forgotten|scheduler/kept.rs|needed.extend(last);|let _ = last;
nobody wakes who waits for a DAG|scheduler/settle.rs|if success { self.waking.extend(|if false { self.waking.extend(
the end of a run wakes nobody|scheduler/settle.rs|self.waking.push_back(dag_id); } pub(super) fn start_runs|} pub(super) fn start_runs
a backfill has a run too many|scheduler/backfill.rs|active >= facts.max_active_runs|active > facts.max_active_runs
a backfill starts a run too many|scheduler/backfill.rs|Some(backfill) => backfill.facts.max_active_runs,|Some(backfill) => backfill.facts.max_active_runs + 1,
a paused backfill goes on|scheduler/backfill.rs|if backfill.is_paused \|\| active|if active
a run of a paused backfill starts|scheduler/backfill.rs|Some(backfill) if backfill.is_paused => 0,|Some(backfill) if backfill.is_paused => 1,
what is left of a backfill never starts|scheduler/backfill.rs|None => known.dag.max_active_runs,|None => 0,
a backfill does not advance|scheduler/backfill.rs|Some(cursor) => cursor.max(fire),|Some(cursor) => cursor.min(fire),
a backfill from the newest does not advance|scheduler/backfill.rs|cursor.min(fire),|cursor.max(fire),
a backfill does not ask history|scheduler/backfill.rs|.or(past.map(\|past\| past.state))|.or(past.map(\|past\| past.state).filter(\|_\| false))
a backfill ends before its runs|scheduler/backfill.rs|is_at_the_end && active == 0|is_at_the_end
a restored backfill forgets its live runs|scheduler/state.rs|if !run.state.is_finished() { backfill.recount|if false { backfill.recount
a restored backfill counts its runs twice|scheduler/state.rs|if !run.state.is_finished() { backfill.recount|if true { backfill.recount
a schedule runs what a backfill has run|scheduler/schedule.rs|known.runs.contains_key(&run_id) \|\| known.runs.values().any(has_date)|known.runs.contains_key(&run_id) \|\| known.runs.values().any(has_date) && false
a name is given twice when the schedule changes|scheduler/dag_state.rs|let is_named = self.dag.timetable == TimetableKind::Interval && self.ran.ends_at(until);|let is_named = false;
a continuous DAG does not see its start|scheduler/schedule.rs|timetable.start.map_or(soon, \|start\| start.max(soon))|{ let _ = soon; next }
a continuous DAG gives a name twice|scheduler/schedule.rs|Some(known.ran.free_from(next))|Some(next)
a continuous DAG does not see what waits to start|scheduler/schedule.rs|known.active_runs > 0 \|\| !known.queued.is_empty()|known.active_runs > 0
an occasion takes a name that was given|scheduler/occasion.rs|let free = known.ran.free_from(fire);|let free = fire;
a restart forgets a clear|scheduler/mod.rs|filter(\|_\| instance.is_cleared)|filter(\|_\| instance.is_cleared && false)
a snapshot forgets a clear|scheduler/run.rs|instance.is_cleared = task.is_cleared;|
a date is filled twice|scheduler/backfill.rs|is_new && is_wanted|is_wanted
a circle of waits is not opened|scheduler/settle.rs|&& !self.untangle(turn)|
a wait closes a circle|scheduler/child.rs|self.state.check_wait(turn.now, (number, index), &trigger.dag_id)?;|
the past is no part of a circle|scheduler/tangle.rs|awaited.extend(self.previous_that_holds(number, run, wish));|
a retry that waits for the past wakes nobody|scheduler/settle.rs|self.waking.push_back(run.dag.dag_id.clone()); self.tangle.suspect();|self.tangle.suspect();
a new version leaves alone what looks back|scheduler/settle.rs|filter(\|_\| self.state.is_looking_back(known))|filter(\|_\| known.dag.looks_back)
what an absent DAG waits for is forgotten|scheduler/past.rs|self.is_orphan(run) \|\| self.is_to_be_heard(run)|self.is_to_be_heard(run)
what is kept cannot be brought back|scheduler/state.rs|if dag.finished.contains(number) && run.state.is_finished() {|if false {
an attempt triggers two runs|scheduler/child.rs|if child.facts.parent() == Some(&parent) {|if false {
nobody hears of the run that it has triggered|scheduler/settle.rs|self.tell_parent(turn, number);|
a task ends well although its run has failed|scheduler/child.rs|Some(RunState::Success) => (0, None),|Some(RunState::Success \| RunState::Failed) => (0, None),
a paused DAG triggers|scheduler/child.rs|is_paused && !lane(run).is_backfill;|false && is_paused;
a timeout wins over a mark|scheduler/attempt.rs|StopCause::Shutdown \| StopCause::TimedOut|StopCause::Shutdown
all schedules are in UTC|scheduler/schedule.rs|let zone = dag.timezone.clone().unwrap_or_else(Zone::utc);|let zone = Zone::utc();
EOF
)
# A line as four texts; a `\|` is a bar of the source.
split() { IFS=$'\t' read -r name file from to <<<"$(sed 's/\\|/\x01/g; s/|/\t/g; s/\x01/|/g' <<<"$1")"; }
# Breaks the rule in a file. White space is rustfmt's: it may stand, or not, between any two characters.
mutate() {
  FROM=$from TO=$to perl -0pi -e '
    my $from = join("\\s*", map { quotemeta } grep { /\S/ } split(//, $ENV{FROM}));
    s/$from/$ENV{TO}/ or exit 3' "$1"
}
fallen=0
while IFS= read -r line; do
  split "$line"
  cp "src/$file" "$copy/tried.rs"
  mutate "$copy/tried.rs" || { echo "mutants: \`$from\` no longer stands in src/$file"; fallen=$((fallen + 1)); }
done <<<"$mutants"
[ "$fallen" = 0 ] || exit 1

survivors=0
while IFS= read -r line; do
  split "$line"
  [[ $name =~ ${1:-.} ]] || continue
  begun=$SECONDS
  mutate "$copy/src/$file"
  tests=(--test stories --test simulation)
  [[ $file != journal/* ]] || tests+=(--test journal)
  if ! (cd "$copy" && cargo test -q --no-run "${tests[@]}" 2>"$copy/log"); then
    echo "mutants: \`$name\` does not compile:"
    tail -20 "$copy/log"
    cp "src/$file" "$copy/src/$file"
    survivors=$((survivors + 1))
    continue
  fi
  # What never ends has been noticed, too.
  rc=0
  (cd "$copy" && timeout 300 cargo test -q "${tests[@]}" >"$copy/log" 2>&1) || rc=$?
  by=$(grep -m1 -oE 'seed [0-9]+ failed after [0-9]+ steps|[a-z_:]+ --- FAILED' "$copy/log" || true)
  case $rc in
    0) echo "SURVIVED: $name"; survivors=$((survivors + 1)) ;;
    124) echo "caught: $name (never ends)" ;;
    *) echo "caught: $name ($by, $((SECONDS - begun)) s)" ;;
  esac
  cp "src/$file" "$copy/src/$file"
done <<<"$mutants"
echo "mutants: $SECONDS s"
exit $((survivors > 0))
