//! What supervision costs: `cargo bench --bench exec`.
//!
//! 1,000 runs of `/bin/true`, two at a time, through `mini_dag::exec`, against a bare loop of std's spawn and
//! wait in the same program; best and median of five rounds each, taken in turns. `RUNS=n` changes the number.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a benchmark reads the clock, starts processes by hand and prints"
)]

use std::collections::VecDeque;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mini_dag::exec::{Exit, Launch, Limits, Secrets, Stdin, base_env, prepare, spawn};
use rustix::time::{ClockId, clock_gettime};
use smol::LocalExecutor;

const PARALLEL: usize = 2;
const ROUNDS: usize = 5;

fn bare(runs: usize) {
    let mut running = VecDeque::new();
    for _ in 0..runs {
        if running.len() == PARALLEL {
            let mut oldest: std::process::Child = running.pop_front().unwrap();
            assert!(oldest.wait().unwrap().success());
        }
        let mut command = Command::new("/bin/true");
        command.env_clear().envs(base_env()).process_group(0);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        running.push_back(command.spawn().unwrap());
    }
    for mut child in running {
        assert!(child.wait().unwrap().success());
    }
}

fn supervised(runs: usize) {
    let launch = Launch {
        argv: vec!["/bin/true".into()],
        env: base_env(),
        cwd: None,
        stdin: Stdin::Null,
        log: PathBuf::from("/nonexistent/never-printed.log"),
        output_bytes_max: 1024,
        limits: Limits::default(),
        cgroups: None,
        secrets: Secrets::default(),
    };
    let executor = LocalExecutor::new();
    smol::block_on(executor.run(async {
        let lane = async |runs: usize| {
            for _ in 0..runs {
                let ending = spawn(&launch).unwrap().wait(|_| ()).await;
                assert_eq!(ending.exit, Exit::Code(0));
            }
        };
        smol::future::zip(lane(runs / 2), lane(runs - runs / 2)).await;
    }));
}

/// Wall time, and CPU time of this process alone, without its children.
fn timed(work: impl FnOnce()) -> (Duration, Duration) {
    let own_cpu = || {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(
            time.tv_sec.unsigned_abs(),
            u32::try_from(time.tv_nsec).unwrap(),
        )
    };
    let (start, cpu) = (Instant::now(), own_cpu());
    work();
    (start.elapsed(), own_cpu().saturating_sub(cpu))
}

fn main() {
    prepare().unwrap();
    let runs = std::env::var("RUNS").map_or(1000, |runs| runs.parse().unwrap());
    let mut bare_times = Vec::new();
    let mut supervised_times = Vec::new();
    for _ in 0..ROUNDS {
        bare_times.push(timed(|| bare(runs)));
        supervised_times.push(timed(|| supervised(runs)));
    }
    bare_times.sort_unstable();
    supervised_times.sort_unstable();
    let rate = |time: Duration| runs as f64 / time.as_secs_f64();
    for (what, times) in [
        ("std spawn and wait", &bare_times),
        ("mini_dag::exec", &supervised_times),
    ] {
        let (best, median) = (times[0], times[ROUNDS / 2]);
        let cpu = times.iter().map(|time| time.1).min().unwrap_or_default();
        println!(
            "{what:20} best {:5.0}/s  median {:5.0}/s  least own CPU {:3.0} us each",
            rate(best.0),
            rate(median.0),
            cpu.as_secs_f64() * 1e6 / runs as f64
        );
    }
    let (bare, supervised) = (bare_times[ROUNDS / 2].0, supervised_times[ROUNDS / 2].0);
    println!("ratio of the medians {:.2}", rate(supervised) / rate(bare));
}
