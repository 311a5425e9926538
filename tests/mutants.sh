#!/usr/bin/env bash
# Breaks one rule of the scheduler at a time, in a copy, and expects the simulation to notice each.
# A mutant that survives, or a line below that no longer stands in the source, fails the script.
set -euo pipefail
cd "$(dirname "$0")/.."
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r Cargo.toml Cargo.lock clippy.toml src dags tests "$copy"
export CARGO_TARGET_DIR="$PWD/target/mutants"

# name | file | what stands there | what the mutant has
mutants=$(cat <<'EOF'
a slot is not returned|scheduler/mod.rs|self.attempts.len() >= self.limits.parallelism as usize|self.attempts.len() > self.limits.parallelism as usize
a slot is lost for ever|scheduler/mod.rs|let Some(live) = self.attempts.remove(&key) else|let Some(live) = self.attempts.get_mut(&key).map(\|a\| { a.try_number = 0; LiveAttempt { try_number: 0, stage: Stage::Running, stopped: a.stopped, started: a.started } }) else
an edge is ignored|scheduler/run.rs|for downstream in &task.downstream {|for downstream in task.downstream.iter().skip(1) {
an edge is forgotten when touching|scheduler/mod.rs|self.touched.extend(downstream.iter().map(\|task\| (number, *task)));|self.touched.extend(downstream.iter().skip(1).map(\|task\| (number, *task)));
a retry too many|scheduler/mod.rs|instance.try_number <= instance.max_tries && run.stopped.is_none()|instance.try_number <= instance.max_tries + 1 && run.stopped.is_none()
an interruption gives a retry|scheduler/run.rs|task.max_tries += u32::from(*state == Ended::Interrupted);|task.max_tries += 2 * u32::from(*state == Ended::Interrupted);
a final state is overwritten|scheduler/mod.rs|is_none_or(\|live\| live.try_number != id.try_number)|is_none()
a run starts although too many are active|scheduler/mod.rs|let has_room = known.active_runs < known.dag.max_active_runs;|let has_room = known.active_runs <= known.dag.max_active_runs;
a DAG has too many running tasks|scheduler/mod.rs|known.running_tasks >= max|known.running_tasks > max
a delay is not waited for|scheduler/mod.rs|TaskState::UpForRetry => !self.timers.is_set(Timer::Retry(number, index)),|TaskState::UpForRetry => false,
a kill does not follow|scheduler/mod.rs|self.timers.set(Timer::Attempt(run, task), kill_at);|let _ = kill_at;
a skipped upstream counts as a success|scheduler/run.rs|TaskState::Skipped => Some(&mut counts.skipped),|TaskState::Skipped => Some(&mut counts.success),
a failed leaf is forgotten|scheduler/run.rs|self.failed_leaves += u32::from(is_failed(state));|self.failed_leaves += 0;
a cleared task stays in the queue|scheduler/mod.rs|Decision::Wait => return self.withdraw(number, index),|Decision::Wait => return,
EOF
)
survivors=0
while IFS= read -r line; do
  # A `\|` is a bar of the source.
  IFS=$'\t' read -r name file from to <<<"$(sed 's/\\|/\x01/g; s/|/\t/g; s/\x01/|/g' <<<"$line")"
  cp "src/$file" "$copy/src/$file"
  # White space is rustfmt's: it may stand, or not, between any two characters.
  FROM=$from TO=$to perl -0pi -e '
    my $from = join("\\s*", map { quotemeta } grep { /\S/ } split(//, $ENV{FROM}));
    s/$from/$ENV{TO}/ or exit 3' "$copy/src/$file" ||
    { echo "mutants: \`$from\` no longer stands in src/$file"; exit 1; }
  if ! (cd "$copy" && cargo build -q --test simulation 2>"$copy/log"); then
    echo "mutants: \`$name\` does not compile:"; tail -20 "$copy/log"; exit 1
  fi
  if (cd "$copy" && cargo test -q --test simulation every_world >"$copy/log" 2>&1); then
    echo "SURVIVED: $name"; survivors=$((survivors + 1))
  else
    echo "caught: $name ($(grep -m1 -oE 'seed [0-9]+ failed after [0-9]+ steps' "$copy/log" || true))"
  fi
  cp "src/$file" "$copy/src/$file"
done <<<"$mutants"
exit $((survivors > 0))
