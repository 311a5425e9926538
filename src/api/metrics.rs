//! `/metrics`: Prometheus' text format. Names are conventional and labels are few and fixed: no DAG, run or task
//! is a label, so that a host with a thousand DAGs has no more series than one with ten.

use std::fmt::{Display, Write as _};
use std::fs;

use crate::daemon::clock;
use crate::daemon::service::{BUCKETS_MS, Histogram, Meters, Service};
use crate::scheduler::{RunState, TaskState};

/// All that is counted and measured.
pub(super) fn render(service: &Service) -> String {
    let mut page = Page(String::with_capacity(8 << 10));
    daemon(&mut page, service);
    now(&mut page, service);
    pools(&mut page, service);
    counted(&mut page, service.meters());
    page.0
}

/// The program and its process.
fn daemon(page: &mut Page, service: &Service) {
    page.gauge(
        "mini_dag_build_info",
        "The version of the program.",
        &[(&[("version", env!("CARGO_PKG_VERSION"))], 1)],
    );
    let up = clock::now()
        .monotonic
        .since(service.started().monotonic)
        .as_secs();
    page.gauge(
        "mini_dag_uptime_seconds",
        "Since the daemon started.",
        &[(&[], up)],
    );
    let healthy = u64::from(service.trouble().is_none());
    page.gauge(
        "mini_dag_healthy",
        "1 while new tasks may start, 0 while nothing can be recorded.",
        &[(&[], healthy)],
    );

    let bytes = directory_bytes(service);
    page.gauge(
        "mini_dag_journal_size_bytes",
        "Of the journal's files.",
        &[(&[], bytes)],
    );
    if let Some(bytes) = resident_bytes() {
        page.gauge(
            "process_resident_memory_bytes",
            "Of the daemon.",
            &[(&[], bytes)],
        );
    }
    let started = service.started().wall.secs();
    page.gauge(
        "process_start_time_seconds",
        "Since the epoch.",
        &[(&[], started)],
    );
}

/// What there is at this moment.
fn now(page: &mut Page, service: &Service) {
    let state = service.state();
    let (paused, active): (Vec<_>, Vec<_>) = state
        .dags()
        .filter(|known| !known.is_removed)
        .partition(|known| known.is_paused);
    page.gauge(
        "mini_dag_dags",
        "DAGs, by whether they are paused.",
        &[
            (&[("paused", "false")], active.len() as u64),
            (&[("paused", "true")], paused.len() as u64),
        ],
    );
    let errors = service.catalog().errors.len() as u64;
    page.gauge(
        "mini_dag_import_errors",
        "What is wrong with DAG files.",
        &[(&[], errors)],
    );

    let states = [RunState::Queued, RunState::Running];
    let runs =
        states.map(|wanted| state.runs().filter(|(_, run)| run.state == wanted).count() as u64);
    page.gauge(
        "mini_dag_dag_runs",
        "Runs that are not over, by state.",
        &[
            (&[("state", states[0].name())], runs[0]),
            (&[("state", states[1].name())], runs[1]),
        ],
    );
    let live = || state.runs().filter(|(_, run)| !run.state.is_finished());
    let count = |wanted: TaskState| {
        let tasks = live().flat_map(|(_, run)| run.tasks());
        tasks.filter(|task| task.state == wanted).count() as u64
    };
    page.head(
        "mini_dag_task_instances",
        "gauge",
        "Task instances of these runs, by state.",
    );
    for wanted in [
        TaskState::None,
        TaskState::Running,
        TaskState::Success,
        TaskState::Failed,
        TaskState::UpForRetry,
        TaskState::UpstreamFailed,
        TaskState::Skipped,
    ] {
        page.line(
            "mini_dag_task_instances",
            &[("state", wanted.name())],
            count(wanted),
        );
    }
}

fn pools(page: &mut Page, service: &Service) {
    let pools = service.scheduler().pools();
    page.head("mini_dag_pool_slots", "gauge", "Slots of each pool.");
    for (name, pool) in &pools {
        page.line("mini_dag_pool_slots", &[("pool", name)], pool.slots);
    }
    page.head(
        "mini_dag_pool_running",
        "gauge",
        "Slots of each pool that are taken.",
    );
    for (name, pool) in &pools {
        page.line("mini_dag_pool_running", &[("pool", name)], pool.running);
    }
    page.head(
        "mini_dag_pool_waiting",
        "gauge",
        "Slots of each pool that are waited for.",
    );
    for (name, pool) in &pools {
        page.line("mini_dag_pool_waiting", &[("pool", name)], pool.waiting);
    }
}

/// What has happened since the start.
fn counted(page: &mut Page, meters: &Meters) {
    page.head(
        "mini_dag_runs_created_total",
        "counter",
        "Runs that were created, by who asked.",
    );
    for (run_type, count) in Meters::RUN_TYPES.iter().zip(meters.runs_created) {
        page.line(
            "mini_dag_runs_created_total",
            &[("run_type", run_type.name())],
            count,
        );
    }
    page.head(
        "mini_dag_attempts_total",
        "counter",
        "Attempts at tasks, by how they ended.",
    );
    for (end, count) in Meters::ENDS.iter().zip(meters.attempts) {
        page.line("mini_dag_attempts_total", &[("state", end)], count);
    }
    page.histogram(
        "mini_dag_schedule_lateness_seconds",
        "From the moment that a run was due to its creation.",
        &[("", &meters.lateness)],
    );
    page.histogram(
        "mini_dag_queue_time_seconds",
        "From the moment that a task could begin to its first attempt.",
        &[("", &meters.queue_time)],
    );
    page.histogram(
        "mini_dag_run_duration_seconds",
        "Of runs, by how they ended.",
        &[
            ("success", &meters.run_duration[0]),
            ("failed", &meters.run_duration[1]),
        ],
    );
    page.histogram(
        "mini_dag_attempt_duration_seconds",
        "Of attempts at tasks.",
        &[("", &meters.attempt_duration)],
    );

    page.head(
        "mini_dag_journal_records_total",
        "counter",
        "Records that were written to the journal.",
    );
    page.line("mini_dag_journal_records_total", &[], meters.records);
    page.head(
        "mini_dag_journal_syncs_total",
        "counter",
        "Times that the journal was synced.",
    );
    page.line("mini_dag_journal_syncs_total", &[], meters.syncs);
}

type Labels<'l> = &'l [(&'l str, &'l str)];

struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn line(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        self.0.push_str(name);
        for (at, (label, value)) in labels.iter().enumerate() {
            let value = value
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            let _ = write!(
                self.0,
                "{}{label}=\"{value}\"",
                if at == 0 { "{" } else { "," }
            );
        }
        let _ = writeln!(
            self.0,
            "{} {value}",
            if labels.is_empty() { "" } else { "}" }
        );
    }

    fn gauge<T: Display + Copy>(&mut self, name: &str, help: &str, values: &[(Labels<'_>, T)]) {
        self.head(name, "gauge", help);
        for (labels, value) in values {
            self.line(name, labels, *value);
        }
    }

    /// `of`: the values of the label `state`, or nothing.
    fn histogram(&mut self, name: &str, help: &str, of: &[(&str, &Histogram)]) {
        self.head(name, "histogram", help);
        for (state, histogram) in of {
            let labels: Vec<_> = Some(("state", *state))
                .filter(|(_, state)| !state.is_empty())
                .into_iter()
                .collect();
            let mut count = 0;
            for (at, own) in histogram.counts.iter().enumerate() {
                count += own;
                let bound = match BUCKETS_MS.get(at) {
                    Some(millis) => format!("{}.{:03}", millis / 1000, millis % 1000),
                    None => "+Inf".to_owned(),
                };
                let labels = [&labels[..], &[("le", &bound)]].concat();
                self.line(&format!("{name}_bucket"), &labels, count);
            }
            let sum = format!(
                "{}.{:03}",
                histogram.sum.as_secs(),
                histogram.sum.subsec_millis()
            );
            self.line(&format!("{name}_sum"), &labels, sum);
            self.line(&format!("{name}_count"), &labels, count);
        }
    }
}

fn directory_bytes(service: &Service) -> u64 {
    let files = fs::read_dir(service.places().state.join("journal"));
    let files = files.into_iter().flatten().filter_map(Result::ok);
    files
        .filter_map(|file| Some(file.metadata().ok()?.len()))
        .sum()
}

/// The resident set, as the kernel counts it.
fn resident_bytes() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}
