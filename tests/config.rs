//! The config file: its errors as a person sees them (`tests/golden/config/x.json` and `x.out`, which
//! `UPDATE=1` writes), and what the daemon makes of it.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test starts the program as its users do, and has failed if it cannot go on"
)]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use mini_dag::Functions;
use mini_dag::daemon::catalog::Library;
use mini_dag::daemon::config::Config;
use mini_dag::daemon::zones::Zones;
use mini_dag::dag::diagnostic;
use mini_dag::dag::keys::{CONFIG_KEYS, Shape};

const PATIENCE: Duration = Duration::from_secs(60);

/// What a config file gives: its errors, or what was understood.
fn outcome(name: &str, text: &str) -> String {
    let library = Library {
        functions: Functions::new(),
        zones: Zones::of_host(),
        timezone: None,
        pools: None,
        lines: mini_dag::timetable::Lines::default(),
    };
    match Config::parse(name, text, Path::new("/etc/mini-dag"), &library) {
        Err(errors) => diagnostic::render(&errors, false),
        Ok(config) => format!(
            "dags={:?} state={:?}\nparallelism={:?} pools={:?} zone={:?}\nenv={:?} secrets={:?} hooks={:?}\n{:?} journal={} logs={}\nsync={:?} grace={:?} clock={:?} wait={:?}\n",
            config.dags,
            config.state,
            config.parallelism,
            config.pools,
            config
                .timezone
                .as_ref()
                .map(mini_dag::timetable::Zone::name),
            config.env,
            config.secrets,
            config.hooks,
            config.retention,
            config.retention.journal_bytes(),
            config.retention.logs_bytes(),
            config.sync_interval,
            config.kill_grace,
            config.clock.demand,
            config.clock.wait,
        ),
    }
}

#[test]
fn every_golden_config_gives_what_is_beside_it() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/config");
    let entries = fs::read_dir(&directory).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names
        .filter_map(|name| Some(name.strip_suffix(".json")?.to_owned()))
        .collect();
    names.sort();
    assert!(names.len() > 5, "{names:?}");
    let mut wrong = String::new();
    for name in names {
        let text = fs::read_to_string(directory.join(format!("{name}.json"))).unwrap();
        let got = outcome(&format!("{name}.json"), &text);
        let out = directory.join(format!("{name}.out"));
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&out, got).unwrap();
        } else if fs::read_to_string(&out).ok().as_deref() != Some(&got) {
            _ = write!(wrong, "\n=== {name} gives\n{got}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// A default that is written out says the same as nothing, and no key is passed over in silence.
#[test]
fn every_config_key_does_what_the_table_says() {
    let nothing = outcome("x", "{}");
    let check = |text: &str| assert_eq!(outcome("x", text), nothing, "{text}");
    for key in CONFIG_KEYS
        .iter()
        .filter(|key| mini_dag::json::parse(key.default).is_ok())
    {
        check(&format!("{{\"{}\": {}}}", key.name, key.default));
        if let Shape::Object(keys) = key.shape {
            for inner in keys {
                let (outer, name, default) = (key.name, inner.name, inner.default);
                check(&format!("{{\"{outer}\": {{\"{name}\": {default}}}}}"));
            }
        }
    }
    let everything = include_str!("golden/config/everything.json");
    for key in CONFIG_KEYS {
        let name = format!("\"{}\":", key.name);
        assert!(everything.contains(&name), "{name}");
    }
}

/// A directory of one test, and the daemon that works in it; both are gone when the test is over.
struct Place {
    path: PathBuf,
    daemon: Option<Child>,
}

impl Place {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("config-{name}-{}", std::process::id()));
        fs::create_dir_all(path.join("dags")).unwrap();
        Self { path, daemon: None }
    }

    fn file(&self, name: &str, text: &str) {
        // As an editor does it: nobody sees half of it.
        let path = self.path.join(name);
        fs::write(path.with_extension("new"), text).unwrap();
        fs::rename(path.with_extension("new"), path).unwrap();
    }

    fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mini-dag"));
        command
            .args(args.split_whitespace())
            .current_dir(&self.path);
        command
            .env_clear()
            .env("HOME", &self.path)
            .env("TZ", "UTC")
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("MINI_DAG_STATE", self.path.join("state"))
            .env("MINI_DAG_LISTEN", "none")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &str) -> Output {
        self.command(args).output().unwrap()
    }

    fn start(&mut self, args: &str) {
        let log = File::create(self.path.join("stderr")).unwrap();
        let child = self
            .command(args)
            .stderr(log)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.daemon = Some(child);
        // The socket gets its name when somebody listens on it.
        self.wait_for("the daemon", |place| {
            place.path.join("state/control.sock").exists()
        });
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path.join("stderr")).unwrap_or_default()
    }

    fn wait_for(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !is_so(self) {
            assert!(
                began.elapsed() < PATIENCE,
                "{what} never came:\n{}",
                self.log()
            );
            smol::block_on(smol::Timer::after(Duration::from_millis(5)));
        }
    }

    /// Triggers a run, waits for it, and returns what its tasks printed.
    fn prints(&self, dag_id: &str) -> String {
        let done = self.run(&format!("trigger {dag_id} --wait --state state"));
        assert!(
            done.status.success(),
            "{}{}",
            text(&done.stderr),
            self.log()
        );
        text(
            &self
                .run(&format!("logs {dag_id} latest t --state state"))
                .stdout,
        )
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const SHOW: &str = r#"{"tasks": [{"task_id": "t", "bash": "echo $A $B {{ logical_date }}", "env": {"B": "task"}}]}"#;

#[test]
fn a_daemon_keeps_the_logs_of_the_latest_runs() {
    let mut place = Place::new("runs");
    place.file("mini-dag.json", r#"{"retention": {"runs": 3}}"#);
    place.file(
        "dags/often.json",
        r#"{"schedule": {"every": "1s"}, "tasks": [{"task_id": "t", "bash": "echo x"}]}"#,
    );
    place.start("daemon");
    let logs = place.path.join("state/logs/dag_id=often");
    let names = || -> Vec<String> {
        let entries = fs::read_dir(&logs).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries
            .map(|e| e.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    place.wait_for("the first run's log", |_| !names().is_empty());
    let first = names()[0].clone();
    let ended = |place: &Place| {
        let cat = text(&place.run("journal cat").stdout);
        cat.matches("\"run_success\"").count()
    };
    place.wait_for("six runs", |place| ended(place) >= 6);
    assert!(place.run("pause often").status.success());
    place.wait_for("three logs", |_| names().len() == 3);
    assert!(!names().contains(&first));
}

#[test]
fn reload_takes_what_can_change_and_keeps_the_last_good_config() {
    let mut place = Place::new("reload");
    place.file("dags/show.json", SHOW);
    place.file(
        "my.json",
        r#"{"env": {"A": "one", "B": "config"}, "timezone": "UTC"}"#,
    );
    place.start("daemon --config my.json");
    let told = place.prints("show");
    assert!(
        told.starts_with("one task ") && told.contains("+00:00"),
        "{told}"
    );

    place.file(
        "my.json",
        r#"{"env": {"A": "two"}, "timezone": "Asia/Seoul", "state": "elsewhere"}"#,
    );
    assert!(place.run("reload").status.success());
    let told = place.prints("show");
    assert!(
        told.starts_with("two task ") && told.contains("+09:00"),
        "{told}"
    );
    assert!(
        place
            .log()
            .contains("`state` is not changed before a restart"),
        "{}",
        place.log()
    );

    place.file("my.json", r#"{"env": {"A": "three"}, "paralelism": 1}"#);
    let refused = place.run("reload");
    assert_eq!(refused.status.code(), Some(1));
    let told = text(&refused.stderr);
    assert!(told.contains("did you mean `parallelism`?"), "{told}");
    assert!(told.contains("the last good config is used"), "{told}");
    assert!(place.prints("show").starts_with("two task "));

    fs::remove_file(place.path.join("my.json")).unwrap();
    assert_eq!(place.run("reload").status.code(), Some(1));
    assert!(place.prints("show").starts_with("two task "));

    fs::create_dir(place.path.join("more")).unwrap();
    place.file("more/other.json", SHOW);
    place.file("my.json", r#"{"dags": ["more"]}"#);
    assert!(place.run("reload").status.success());
    assert!(place.prints("other").starts_with("task "));
    // And the new directory is watched.
    place.file("more/third.json", SHOW);
    place.wait_for("the third DAG", |place| {
        text(&place.run("status").stdout).contains("third")
    });
}

#[test]
fn more_slots_start_what_waits_for_one() {
    let mut place = Place::new("slots");
    place.file("my.json", r#"{"parallelism": 1}"#);
    // Each waits for the other: with one slot, neither ends.
    place.file(
        "dags/meet.json",
        r#"{"env": {"here": "{{ params.here }}"}, "params": {"here": ""}, "tasks": [
            {"task_id": "a", "bash": "touch $here/a; while [ ! -e $here/b ]; do sleep 0.02; done"},
            {"task_id": "b", "bash": "touch $here/b; while [ ! -e $here/a ]; do sleep 0.02; done"}]}"#,
    );
    place.start("daemon --config my.json");
    let here = place.path.display().to_string();
    assert!(
        place
            .run(&format!("trigger meet --param here={here}"))
            .status
            .success()
    );
    place.wait_for("one task", |place| {
        place.path.join("a").exists() || place.path.join("b").exists()
    });
    assert!(!(place.path.join("a").exists() && place.path.join("b").exists()));
    place.file("my.json", r#"{"parallelism": 2}"#);
    assert!(place.run("reload").status.success());
    place.wait_for("the run's end", |place| {
        text(&place.run("journal cat").stdout).contains("\"run_success\"")
    });
}

#[test]
fn flags_win_over_the_file_and_a_bad_file_is_no_start() {
    let mut place = Place::new("flags");
    place.file("dags/show.json", SHOW);
    place.file(
        "mini-dag.json",
        r#"{"dags": ["nowhere"], "state": "other"}"#,
    );
    let state = place.path.join("state").display().to_string();
    place.start(&format!("daemon --dags dags --state {state}"));
    assert!(place.prints("show").starts_with("task "));
    assert!(!place.path.join("other").exists());

    let complains = |args: &str, piece: &str| {
        let output = place.run(args);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(piece), "{told}");
    };
    complains(
        "daemon --config none.json",
        "cannot read `none.json`: No such file",
    );
    place.file("mini-dag.json", "{\"kill_grace\": \"soon\"}");
    complains("daemon", " --> mini-dag.json:1:17\n");
    let open = place.path.join("open.json");
    fs::write(&open, "{}").unwrap();
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    fs::set_permissions(&open, everybody).unwrap();
    complains(
        "daemon --config open.json",
        "`open.json` is refused: everybody may write to it",
    );
}

/// They asked the usual directory, and said that no daemon runs.
#[test]
fn commands_ask_the_daemon_whose_state_the_config_file_names() {
    let place = Place::new("client");
    let there = place.path.join("there").display().to_string();
    let says = |args: &str, piece: &str| {
        let output = place.run(args);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args}: {told}");
        assert!(told.contains(piece), "{args}: {told}");
    };
    let usual = place.path.join("state").display().to_string();
    says("status", &format!("no daemon runs on `{usual}`"));
    place.file("mini-dag.json", r#"{"state": "there"}"#);
    for args in [
        "status",
        "runs d",
        "logs d",
        "trigger d",
        "pause d",
        "reload",
    ] {
        says(args, "no daemon runs on `./there`");
        says(&format!("{args} --state here"), "no daemon runs on `here`");
    }
    says("journal verify", "there is no journal at `./there/journal`");
    fs::create_dir(place.path.join("elsewhere")).unwrap();
    let elsewhere = place.path.join("elsewhere");
    let config = place.path.join("mini-dag.json").display().to_string();
    let mut status = place.command("status");
    let output = status.current_dir(elsewhere).env("MINI_DAG_CONFIG", config);
    let told = text(&output.output().unwrap().stderr);
    assert!(
        told.contains(&format!("no daemon runs on `{there}`")),
        "{told}"
    );
    // What cannot be read could have said anything.
    place.file("mini-dag.json", "{");
    says("status", "`--state` does without it");
    says("status --state here", "no daemon runs on `here`");
}

#[test]
fn a_journal_that_a_daemon_writes_is_not_repaired() {
    let mut place = Place::new("repair");
    place.file("dags/show.json", SHOW);
    place.start("daemon");
    for command in ["journal repair", "journal compact"] {
        let refused = place.run(command);
        let told = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{command}: {told}");
        assert!(
            told.contains("another mini-dag is using") && told.contains("stop it first"),
            "{told}"
        );
    }
    let mut daemon = place.daemon.take().unwrap();
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert!(place.run("journal compact").status.success());
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let cat = text(&place.run("journal cat").stdout);
    let last = cat
        .lines()
        .rfind(|line| line.contains("\"ev\":\"segment\""))
        .unwrap();
    assert!(
        last.contains(&format!("\"boot\":\"{}\"", boot_id.trim())),
        "{last}"
    );
}
