//! Whole-program figures, as README shows them: `cargo bench --bench run`.
//!
//! `mini-dag run` of 1,000 independent tasks and of a chain of 100, against the same programs started by
//! a bare loop in this process and by `make` where there is one. Medians of five rounds, all taken in
//! turns, so that the ratios hold on a noisy machine; times are those of whole processes. And what the scheduler
//! alone takes for a task while others wait; `cargo bench --bench run -- queue` is that and nothing else.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a benchmark reads the clock, starts processes by hand and prints"
)]

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mini_dag::dag::{Dag, Pools};
use mini_dag::exec::{Launch, base_env, prepare, spawn};
use mini_dag::scheduler::{
    self, Action, Attempt, AttemptId, Event, Exit, Limits, Monotonic, Now, RunType, Scheduler,
    Trigger,
};
use mini_dag::timetable::Timestamp;
use smol::LocalExecutor;

const PARALLEL: usize = 2;
const ROUNDS: usize = 5;

struct Work {
    name: &'static str,
    tasks: usize,
    parallel: usize,
    program: &'static [&'static str],
    is_chain: bool,
}

const WORKS: [Work; 3] = [
    Work {
        name: "1,000 × `true`, 2 at a time",
        tasks: 1000,
        parallel: PARALLEL,
        program: &["true"],
        is_chain: false,
    },
    Work {
        name: "1,000 × `echo`, 2 at a time",
        tasks: 1000,
        parallel: PARALLEL,
        program: &["echo", "x"],
        is_chain: false,
    },
    Work {
        name: "a chain of 100 × `true`",
        tasks: 100,
        parallel: 1,
        program: &["true"],
        is_chain: true,
    },
];

fn main() {
    println!(
        "| tasks that wait | an end and a start, in the scheduler alone | before one task that joins them all |\n\
         | --- | --- | --- |"
    );
    for waiting in [100, 1_000, 9_999] {
        let times = [false, true].map(|is_joined| {
            let times = (0..ROUNDS).map(|_| queue(waiting, is_joined)).collect();
            median(times).as_secs_f64() * 1e6
        });
        println!("| {waiting} | {:.1} µs | {:.1} µs |", times[0], times[1]);
    }
    println!();
    if std::env::args().any(|word| word == "queue") {
        return;
    }
    prepare().unwrap();
    let folder = std::env::temp_dir().join(format!("mini-dag-bench-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let binary = env!("CARGO_BIN_EXE_mini-dag");
    println!(
        "| work | bare spawn and wait | make -j | mini-dag run | of the bare rate | peak memory |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for work in &WORKS {
        let (dag, makefile) = (folder.join("work.json"), folder.join("Makefile"));
        fs::write(&dag, dag_of(work)).unwrap();
        fs::write(&makefile, makefile_of(work)).unwrap();
        let parallel = work.parallel.to_string();
        let ours: Vec<&str> = vec![
            binary,
            "run",
            path(&dag),
            "--parallelism",
            &parallel,
            "--state",
            path(&folder),
        ];
        let make = vec!["make", "-s", "-j", &parallel, "-f", path(&makefile)];
        let (mut bare_s, mut make_s, mut ours_s, mut peak) = (vec![], vec![], vec![], 0);
        for _ in 0..ROUNDS {
            bare_s.push(bare(work));
            make_s.extend(timed(&make, &folder).map(|(took, _)| took));
            let (took, memory) = timed(&ours, &folder).expect("mini-dag runs");
            ours_s.push(took);
            peak = peak.max(memory);
        }
        let (bare_s, ours_s) = (median(bare_s), median(ours_s));
        let rate = |took: Duration| format!("{:.0}/s", work.tasks as f64 / took.as_secs_f64());
        let make = if make_s.is_empty() {
            "not here".to_owned()
        } else {
            rate(median(make_s))
        };
        println!(
            "| {} | {} | {make} | {} | {:.2} | {:.1} MiB |",
            work.name,
            rate(bare_s),
            rate(ours_s),
            bare_s.as_secs_f64() / ours_s.as_secs_f64(),
            peak as f64 / f64::from(1 << 20),
        );
    }
    let bytes = fs::metadata(binary).unwrap().len();
    println!(
        "\nThe program has {:.2} MiB.",
        bytes as f64 / f64::from(1 << 20)
    );
    fs::remove_dir_all(&folder).unwrap();
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn dag_of(work: &Work) -> String {
    let program = format!("{:?}", work.program);
    let task = |n: usize| {
        let after = if work.is_chain && n > 0 {
            format!(r#", "after": ["t{}"]"#, n - 1)
        } else {
            String::new()
        };
        format!(r#"{{"task_id": "t{n}", "argv": {program}{after}}}"#)
    };
    let tasks: Vec<_> = (0..work.tasks).map(task).collect();
    format!(r#"{{"tasks": [{}]}}"#, tasks.join(",\n"))
}

fn makefile_of(work: &Work) -> String {
    let mut text = String::from("all:");
    for n in 0..work.tasks {
        write!(text, " t{n}").unwrap();
    }
    for n in 0..work.tasks {
        let after = if work.is_chain && n > 0 {
            format!("t{}", n - 1)
        } else {
            String::new()
        };
        write!(text, "\nt{n}: {after}\n\t@{}\n", work.program.join(" ")).unwrap();
    }
    text
}

/// Starts the program as often as the work does, with nothing around it.
fn bare(work: &Work) -> Duration {
    let program = Path::new("/bin").join(work.program[0]);
    let began = Instant::now();
    let mut running = VecDeque::new();
    for _ in 0..work.tasks {
        if running.len() == work.parallel {
            let mut oldest: std::process::Child = running.pop_front().unwrap();
            oldest.wait().unwrap();
        }
        let mut command = Command::new(&program);
        command
            .args(&work.program[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        running.push_back(command.spawn().unwrap());
    }
    for mut child in running {
        child.wait().unwrap();
    }
    began.elapsed()
}

/// The wall time and the peak memory of a whole process, or `None` if there is no such program.
fn timed(argv: &[&str], folder: &Path) -> Option<(Duration, u64)> {
    let launch = Launch {
        argv: argv.iter().map(Into::into).collect(),
        env: base_env(),
        cwd: None,
        stdin: mini_dag::exec::Stdin::Null,
        log: PathBuf::from(folder).join("output.log"),
        output_bytes_max: 1 << 20,
        limits: mini_dag::exec::Limits::default(),
        cgroups: None,
        secrets: mini_dag::exec::Secrets::default(),
    };
    let executor = LocalExecutor::new();
    let began = Instant::now();
    let running = spawn(&launch).ok()?;
    let ending = smol::block_on(executor.run(running.wait(|_| ())));
    assert_eq!(ending.exit, mini_dag::exec::Exit::Code(0), "{argv:?}");
    Some((began.elapsed(), ending.memory_peak_bytes))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// What the scheduler takes for a task that ends and one that starts in its place, with so many waiting: alone,
/// without processes and without a journal. Half of them are measured, so that the queue stays long. All may come
/// before one task, which asks its trigger rule at each end.
fn queue(waiting: usize, is_joined: bool) -> Duration {
    let dag = Dag::new("d");
    let tasks = (0..waiting).map(|n| dag.argv(&format!("t{n}"), ["true"]));
    let tasks: Vec<_> = tasks.collect();
    if is_joined {
        _ = tasks >> dag.argv("join", ["true"]);
    }
    let now = Now {
        wall: Timestamp::from_secs(0),
        monotonic: Monotonic(0),
    };
    let limits = Limits {
        pools: Pools::new(2),
        kill_grace: Duration::from_secs(10),
    };
    let trigger = Trigger {
        dag_id: "d".into(),
        run_id: None,
        run_type: RunType::Manual,
        logical_date: None,
        data_interval: None,
        params: BTreeMap::new(),
    };
    let mut scheduler = Scheduler::new(limits);
    let mut actions = Vec::new();
    let loaded = Event::DagLoaded(Arc::new(dag.finish().unwrap()));
    scheduler.step(now, loaded, &mut actions);
    let asked = Event::Command(0, scheduler::Command::Trigger(trigger));
    scheduler.step(now, asked, &mut actions);
    let mut live = VecDeque::new();
    let began = |actions: &mut Vec<Action>, live: &mut VecDeque<AttemptId>| {
        let started = actions.drain(..).filter_map(|action| match action {
            Action::Spawn(spawn) => Some(spawn.attempt),
            Action::Record(_)
            | Action::Signal(..)
            | Action::Hook(_)
            | Action::Look(_)
            | Action::Reply(..) => None,
        });
        live.extend(started);
    };
    began(&mut actions, &mut live);
    let ended = || Attempt::unseen(Exit::Code(0), Duration::ZERO);
    let clock = Instant::now();
    for _ in 0..waiting / 2 {
        let id = live.pop_front().unwrap();
        scheduler.step(now, Event::Exited(id, ended()), &mut actions);
        began(&mut actions, &mut live);
    }
    clock.elapsed() / u32::try_from(waiting / 2).unwrap()
}
