//! Every error of a DAG file, as a person sees it: `tests/golden/x.json` is loaded, and what comes of it must be
//! `tests/golden/x.out`. `UPDATE=1 cargo test --test golden` writes the `.out` files; the diff is the review.

use std::fmt::Write as _;
use std::path::Path;

use mini_dag::dag::{
    Dag, Functions, HookKind, Hooks, Known, Outcome, Pools, TaskIndex, diagnostic, load,
};
use mini_dag::timetable::Zone;

#[test]
fn every_golden_file_gives_what_is_beside_it() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let update = std::env::var_os("UPDATE").is_some();
    let mut names: Vec<String> = std::fs::read_dir(&directory)
        .expect("the golden directory is there")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .filter(|name| Path::new(name).extension().is_some_and(|end| end == "json"))
        .collect();
    names.sort();
    assert!(names.len() > 30, "{names:?}");
    let mut wrong = String::new();
    for name in names {
        let text = std::fs::read_to_string(directory.join(&name)).expect("a readable file");
        let got = outcome(&name, &text);
        let out = directory.join(name.replace(".json", ".out"));
        if update {
            std::fs::write(&out, got).expect("a writable file");
        } else if std::fs::read_to_string(&out).ok().as_deref() != Some(&got) {
            _ = write!(wrong, "\n=== {name} gives\n{got}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The errors of a file, or what was understood.
fn outcome(name: &str, text: &str) -> String {
    let functions = Functions::new()
        .with("get_pictures", |_| Ok(Outcome::Done))
        .with("statistics", |_| Ok(Outcome::Done));
    let zones = [
        ("Asia/Seoul", "KST-9"),
        ("Europe/Berlin", "CET-1CEST,M3.5.0,M10.5.0/3"),
    ];
    let pools = Pools::new(4).with("camera", 1).with("uplink", 3);
    let known = Known {
        functions: &functions,
        pools: Some(&pools),
        zone: &|name| {
            let (_, posix) = zones.iter().find(|(known, _)| *known == name)?;
            Zone::from_posix(posix).ok()
        },
        zone_names: &|| zones.map(|(name, _)| name.to_owned()).into(),
        lines: &mini_dag::timetable::Lines::default(),
    };
    match load(name, text, &known) {
        Ok(dag) => describe(&dag),
        Err(errors) => diagnostic::render(&errors, false),
    }
}

fn describe_hooks(out: &mut String, before: &str, hooks: &Hooks) {
    for kind in [HookKind::Success, HookKind::Failure, HookKind::Retry] {
        if let Some(hook) = hooks.get(kind) {
            _ = writeln!(out, "{before}{}: {hook:?}", kind.name());
        }
    }
}

fn describe(dag: &Dag) -> String {
    let names = |indices: &[TaskIndex]| -> Vec<String> {
        indices
            .iter()
            .map(|index| dag.task(*index).task_id.to_string())
            .collect()
    };
    let mut out = format!(
        "dag {}: {:?} {:?} tags={:?} source={:?}\n  {:?} zone={:?} {:?} from {:?} to {:?}\n  {:?} {:?} runs={} tasks={:?} \
         timeout={:?} paused={}\n",
        dag.dag_id,
        dag.description,
        dag.doc,
        dag.tags,
        dag.source,
        dag.schedule.as_ref().map(ToString::to_string),
        dag.timezone.as_ref().map(Zone::name),
        dag.timetable,
        dag.start_date,
        dag.end_date.map(|date| date.to_string()),
        dag.catchup,
        dag.overlap,
        dag.max_active_runs,
        dag.max_active_tasks,
        dag.run_timeout,
        dag.is_paused_upon_creation,
    );
    for (name, param) in &dag.params {
        let default = param.default.as_ref().map(ToString::to_string);
        let (default, schema) = (default.unwrap_or_default(), param.schema());
        _ = writeln!(out, "  param {name}={default} {schema}");
    }
    for (name, value) in &dag.env {
        _ = writeln!(out, "  env {name}={value}");
    }
    for (variable, secret) in &dag.secrets {
        _ = writeln!(out, "  secret {variable}={secret}");
    }
    describe_hooks(&mut out, "  ", &dag.hooks);
    describe_hooks(&mut out, "  tasks: ", &dag.task_hooks);
    _ = writeln!(out, "  order {}", names(&dag.topological_order()).join(" "));
    for task in dag.tasks() {
        _ = writeln!(out, "task {}: {:#?}", task.task_id, task.operator);
        _ = writeln!(
            out,
            "  after={:?} before={:?} rule={} retries={} delay={:?} exponential={} longest={:?} timeout={:?}",
            names(&task.upstream),
            names(&task.downstream),
            task.trigger_rule,
            task.retries,
            task.retry_delay,
            task.retry_exponential_backoff,
            task.max_retry_delay,
            task.timeout,
        );
        let env: Vec<String> = task
            .env
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        _ = writeln!(
            out,
            "  env={env:?} cwd={:?} poke={:?} past={}/{} pool={}/{} priority={} {} weight={} skip={:?} output={} doc={:?}",
            task.cwd.as_ref().map(ToString::to_string),
            task.poke,
            task.depends_on_past,
            task.wait_for_downstream,
            task.pool,
            task.pool_slots,
            task.priority,
            task.weight_rule.name(),
            task.weight,
            task.skip_on_exit_code,
            task.output_bytes_max,
            task.doc,
        );
        _ = writeln!(
            out,
            "  memory={:?} cpu={:?} nice={} secrets={:?}",
            task.memory_bytes_max, task.cpu_time_max, task.nice, task.secrets,
        );
        describe_hooks(&mut out, "  ", &task.hooks);
    }
    out
}
