//! `mini-dag run`: one run of one DAG, now, in the foreground.
//!
//! The same scheduler and the same processes as the daemon's, with one DAG and one run, and the runs that its
//! tasks trigger; its logs are kept apart from the daemon's, the latest [`RUNS_KEPT_MAX`] runs of each DAG.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use clap::ArgMatches;
use rustix::fs::lstat;
use smol::LocalExecutor;

use super::progress::Progress;
use super::{Context, Failure, dry_run, params, terminal};
use crate::api;
use crate::daemon::config::{self, Config};
use crate::daemon::driver::{Driver, Notice, Notices};
use crate::daemon::launch::Launcher;
use crate::daemon::{clock, layout, signals};
use crate::dag::diagnostic::printable;
use crate::dag::{DEFAULT_POOL, Dag, Diagnostic, TaskIndex, Value, suggest};
use crate::exec;
use crate::scheduler::{
    ClockTrust, Command, Event, Fact, Limits, Run, RunFact, RunFacts, RunNumber, RunState, RunType,
    Scheduler, Trigger, data_interval,
};
use crate::timetable::Timestamp;

/// Foreground runs of a DAG whose logs are kept.
const RUNS_KEPT_MAX: usize = 10;
const KILL_GRACE: Duration = Duration::from_secs(10);

pub(super) fn run(context: &Context, matches: &ArgMatches) -> Result<(), Failure> {
    let dag = match matches.get_one::<String>("dag") {
        Some(name) => context.find(name, matches)?,
        None => example(context)?,
    };
    let dag = selected(dag, matches)?;
    let params = params::params(&dag.dag_id, &dag.params, matches)?;
    let logical_date = params::logical_date(matches)?;
    let parallelism = matches
        .get_one::<u32>("parallelism")
        .copied()
        .unwrap_or_else(config::cpus);
    let state = super::state_directory(matches.get_one("state"))?;
    let root = state.join("foreground");
    let logical_date = logical_date
        .unwrap_or_else(|| clock::now().wall)
        .truncated_to_secs();
    let data_interval = data_interval(&dag, logical_date, logical_date);
    if matches.get_flag("dry-run") {
        let run = RunFacts {
            run_id: format!("manual__{logical_date}").into(),
            run_type: RunType::Manual,
            logical_date,
            data_interval,
            params,
            clock: ClockTrust::default(),
            occasion: None,
        };
        let launcher = launcher(context, usable(context)?, root)?;
        return dry_run::show(&launcher, &dag, run);
    }
    let run_id = claim_run_id(&root, &dag, logical_date)?;
    // One run, and not those that the schedule would add.
    let dag = Arc::new(Dag {
        schedule: None,
        ..(*dag).clone()
    });

    exec::prepare().map_err(|error| Diagnostic::new(format!("cannot start processes: {error}")))?;
    let config = usable(context)?;
    let limits = Limits {
        pools: config.pools().with(DEFAULT_POOL, parallelism),
        kill_grace: KILL_GRACE,
    };
    let launcher = launcher(context, config, root.clone())?;
    let executor = Rc::new(LocalExecutor::new());
    let (mut driver, notices) = Driver::new(Scheduler::new(limits), launcher, executor.clone())
        .map_err(|error| Diagnostic::new(format!("cannot wait for anything: {error}")))?;
    driver.set_hooks_of_all(config.hooks.clone());
    let trigger = Trigger {
        dag_id: dag.dag_id.to_string(),
        run_id: Some(run_id.clone()),
        run_type: RunType::Manual,
        logical_date: Some(logical_date),
        data_interval,
        params,
    };
    let logs = layout::run_logs(&root, &dag.dag_id, &run_id);
    let as_json = matches.get_flag("json");
    let progress = Progress::new(
        (&dag.dag_id, &run_id),
        dag.tasks().iter().map(|task| task.task_id.to_string()),
        logs,
        context.library.zones.local(),
        as_json,
    );
    let held = signals::hold()
        .map_err(|error| Diagnostic::new(format!("cannot hear signals: {error}")))?;
    let listen = signals::listen(held, driver.sender());
    executor
        .spawn(async move {
            if let Err(error) = listen.await {
                log::warn!("signals are not heard: {error}");
            }
        })
        .detach();
    let dags = with_triggered(context, matches, dag);
    for triggered in &dags[1..] {
        let runs = layout::run_logs(&root, &triggered.dag_id, "");
        forget_old_runs(runs.parent().unwrap_or(&root));
    }
    smol::block_on(executor.run(follow(driver, notices, dags, trigger, progress, as_json)))
}

/// The daemon's config: what runs here finds the same pools, environment, secrets and hooks as there.
fn usable(context: &Context) -> Result<&Config, Failure> {
    let config = context.config.as_ref();
    config.map_err(|errors| Failure::Diagnostics(errors.clone()))
}

fn launcher(context: &Context, config: &Config, root: PathBuf) -> Result<Launcher, Failure> {
    let mut launcher = Launcher::new(root, context.library.zone())
        .map_err(|error| Diagnostic::new(format!("cannot start processes: {error}")))?;
    launcher.equip(context.library.zone(), config);
    Ok(launcher)
}

/// A DAG, and after it those that its tasks trigger, and theirs, as far as they are found: each without its
/// schedule.
fn with_triggered(context: &Context, matches: &ArgMatches, dag: Arc<Dag>) -> Vec<Arc<Dag>> {
    let mut dags = vec![dag];
    let mut at = 0;
    while let Some(dag) = dags.get(at).cloned() {
        at += 1;
        for task in dag.tasks() {
            let Some(trigger) = task.operator.trigger() else {
                continue;
            };
            let is_new = dags.iter().all(|known| known.dag_id != trigger.dag_id);
            // One that is not found fails the task, which says so.
            if let (true, Ok(found)) = (is_new, context.find(&trigger.dag_id, matches)) {
                dags.push(Arc::new(Dag {
                    schedule: None,
                    ..(*found).clone()
                }));
            }
        }
    }
    dags
}

/// The DAG, or what `--task` and `--from` leave of it.
fn selected(dag: Arc<Dag>, matches: &ArgMatches) -> Result<Arc<Dag>, Failure> {
    let named = |option: &str| -> Result<Vec<TaskIndex>, Failure> {
        let names = matches.get_many::<String>(option).into_iter().flatten();
        let find = |name: &String| {
            dag.find(name).ok_or_else(|| {
                let ids = dag.tasks().iter().map(|task| &*task.task_id);
                let help = suggest::help(name, ids.clone())
                    .unwrap_or_else(|| format!("its tasks are {}", few(ids)));
                let message = format!("DAG `{}` has no task `{}`", dag.dag_id, printable(name));
                Failure::from(Diagnostic::new(message).help(help))
            })
        };
        names.map(find).collect()
    };
    let mut tasks = dag.from_here(&named("from")?);
    tasks.extend(named("task")?);
    if tasks.is_empty() {
        return Ok(dag);
    }
    Ok(Arc::new(dag.only(&tasks)))
}

/// The first of them, for a help.
fn few<'i>(ids: impl Iterator<Item = &'i str>) -> String {
    let ids: Vec<&str> = ids.take(10).collect();
    ids.join(", ")
}

/// Runs the loop until the run is over, and says how it went.
async fn follow(
    mut driver: Driver,
    notices: Notices,
    dags: Vec<Arc<Dag>>,
    trigger: Trigger,
    mut progress: Progress,
    as_json: bool,
) -> Result<(), Failure> {
    let mut records = VecDeque::new();
    let own_dag = dags[0].clone();
    for dag in dags {
        let unpause = Command::Pause {
            dag_id: dag.dag_id.to_string(),
            is_paused: false,
        };
        driver.step(Event::DagLoaded(dag), &mut records);
        driver.step(Event::Command(0, unpause), &mut records);
    }
    // The first run that there is; those that its tasks trigger come after it.
    let own = driver.scheduler().state().next_run();
    let trigger = Event::Command(0, Command::Trigger(trigger));
    for (_, answer) in driver.step(trigger, &mut records) {
        answer.map_err(|refusal| Diagnostic::new(refusal.to_string()))?;
    }
    progress.begin(clock::now().monotonic);
    let mut stops = 0;
    let mut ended = None;
    let mut others = Vec::new();
    loop {
        for record in records.drain(..) {
            let Fact::Run(number, fact) = &record.fact else {
                continue;
            };
            let is_end = matches!(fact, RunFact::Ended { .. });
            let run = driver.scheduler().state().run(*number);
            if *number == own {
                progress.record(&record, &own_dag, clock::now().monotonic);
                // Others may end later, and it is not kept for ever.
                ended = run.filter(|_| is_end).cloned().or(ended);
            } else if let Some(run) = run.filter(|_| is_end) {
                let (dag_id, run_id) = (&run.dag.dag_id, &run.facts.run_id);
                others.push(format!(
                    "triggered: {dag_id}  {run_id}  {}",
                    run.state.name()
                ));
            }
        }
        let is_live = |(_, run): (RunNumber, &Run)| !run.state.is_finished();
        let are_over = !driver.scheduler().state().runs().any(is_live);
        // Hooks have their timeouts: this does not wait for ever.
        if let Some(run) = ended
            .as_ref()
            .filter(|_| are_over && driver.hooks().are_idle())
        {
            let ended = end(run, &mut progress, as_json);
            for line in &others {
                terminal::note(&format!("{line}\n"));
            }
            if let Some((_, last)) = driver.hooks().failures() {
                terminal::note(&format!("warning: hook {}\n", printable(last)));
            }
            return ended;
        }
        progress.draw(clock::now().monotonic);
        let deadlines = [progress.next_draw(), driver.scheduler().next_deadline()];
        let notice = notices
            .next(deadlines.into_iter().flatten().min(), None)
            .await;
        match &notice {
            Notice::Printed(id, line) if id.run == own => progress.printed(id.task, line),
            Notice::Stop => {
                stops += 1;
                progress.stopping(stops == 1);
                if stops == 1 {
                    let runs = driver.scheduler().state().runs();
                    let live = runs.filter(|(_, run)| !run.state.is_finished());
                    let cancel = live.map(|(_, run)| Command::Cancel {
                        dag_id: run.dag.dag_id.to_string(),
                        run_id: run.facts.run_id.to_string(),
                    });
                    for cancel in cancel.collect::<Vec<_>>() {
                        driver.step(Event::Command(0, cancel), &mut records);
                    }
                } else {
                    driver.kill_all();
                }
            }
            Notice::Printed(..)
            | Notice::Due
            | Notice::HookEnded(_)
            | Notice::HooksLate
            | Notice::Found(..)
            | Notice::Exited(..)
            | Notice::Synced(_)
            | Notice::Swept(_)
            | Notice::Reload
            | Notice::Replace(_)
            | Notice::FilesChanged
            | Notice::ClockSet
            | Notice::ClockSynchronised => {}
        }
        if let Some(event) = driver.event(notice) {
            driver.step(event, &mut records);
        }
    }
}

fn end(run: &Run, progress: &mut Progress, as_json: bool) -> Result<(), Failure> {
    progress.end(run.state.name(), clock::now().monotonic);
    if as_json {
        let mut answer = api::dag_run(run);
        if let Value::Object(members) = &mut answer {
            let tasks = run
                .dag
                .indices()
                .map(|index| api::task_instance(run, index, None))
                .collect();
            members.insert("task_instances".to_owned(), Value::Array(tasks));
            members.insert(
                "logs".to_owned(),
                Value::String(progress.logs().display().to_string()),
            );
        }
        terminal::print(&format!("{answer}\n"))?;
    }
    if run.state == RunState::Success {
        Ok(())
    } else {
        Err(Failure::Silent)
    }
}

fn example(context: &Context) -> Result<Arc<Dag>, Failure> {
    let Some((name, text)) = &context.example else {
        let diagnostic = Diagnostic::new("no DAG is named, and this program has no example");
        return Err(Failure::Usage(diagnostic.into()));
    };
    let library = &context.library;
    library
        .parse(name, text, &library.zone())
        .map(Arc::new)
        .map_err(Failure::Diagnostics)
}

/// A run id that no other foreground run has: its directory is made here, and older runs make room.
fn claim_run_id(root: &Path, dag: &Dag, logical_date: Timestamp) -> Result<String, Failure> {
    let runs = layout::run_logs(root, &dag.dag_id, "");
    let runs = runs.parent().unwrap_or(root);
    let cannot = |path: &Path, error: &std::io::Error| {
        let message = format!("cannot create `{}`: {error}", path.display());
        Diagnostic::new(message).help("name another state directory with --state".to_owned())
    };
    make_private(runs).map_err(|error| cannot(runs, &error))?;
    forget_old_runs(runs);
    let name = format!("manual__{logical_date}");
    for n in 1_u32.. {
        let run_id = if n == 1 {
            name.clone()
        } else {
            format!("{name}_{n}")
        };
        let path = layout::run_logs(root, &dag.dag_id, &run_id);
        match fs::create_dir(&path) {
            Ok(()) => return Ok(run_id),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(cannot(&path, &error).into()),
        }
    }
    unreachable!("a directory holds fewer runs than there are numbers")
}

/// Task output may hold what only its owner should read.
fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

/// Keeps the latest runs' logs. What cannot be removed stays, and is tried again at the next run.
fn forget_old_runs(runs: &Path) {
    let Ok(entries) = fs::read_dir(runs) else {
        return;
    };
    let mut kept: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"run_id="))
        .filter_map(|entry| {
            // Not std's, which ends in 2038 on 32-bit ARM.
            let stat = lstat(entry.path()).ok()?;
            Some(((stat.st_mtime, stat.st_mtime_nsec), entry.path()))
        })
        .collect();
    kept.sort();
    let surplus = (kept.len() + 1).saturating_sub(RUNS_KEPT_MAX);
    for (_, path) in &kept[..surplus] {
        let _ = fs::remove_dir_all(path);
    }
}
