//! The daemon's config file: JSON, with the keys of [`CONFIG_KEYS`].
//!
//! All its errors come at once, each with its place, as those of DAG files do. Relative paths in it are
//! relative to the directory that it is in, wherever the daemon was started.

use std::env;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::catalog::{Library, text_of};
use super::{hygiene, layout};
use crate::dag::check::{env_name, pool_name};
use crate::dag::json::{Item, Kind};
use crate::dag::keys::CONFIG_KEYS;
use crate::dag::load::{config_hook, zone_of};
use crate::dag::report::{self, Report};
use crate::dag::shape::{self, Scope, check_file};
use crate::dag::{DAG_FILE_BYTES_MAX, Diagnostic, Hooks, POOLS_MAX, Pools};
use crate::scheduler::{ClockDemand, ClockRule, Limits};
use crate::timetable::Zone;

/// What a config file says; what it does not say is the default.
#[derive(Clone, Debug)]
pub struct Config {
    /// Directories and files of DAGs; none if it does not say.
    pub dags: Vec<PathBuf>,
    /// Where journal and logs are.
    pub state: Option<PathBuf>,
    /// Attempts that may run at once. At least 1.
    pub parallelism: Option<u32>,
    /// Named pools and their slots.
    pub pools: Vec<(String, u32)>,
    /// The zone of DAGs that name none.
    pub timezone: Option<Zone>,
    /// Added to every task's environment.
    pub env: Vec<(String, String)>,
    /// What is done about the runs of all DAGs.
    pub hooks: Hooks,
    /// The directory of secrets; the usual one if it does not say.
    pub secrets: Option<PathBuf>,
    /// How much of the past is kept.
    pub retention: Retention,
    /// What is written, and nobody waits for, is synced after this time at the latest.
    pub sync_interval: Duration,
    /// From SIGTERM to SIGKILL.
    pub kill_grace: Duration,
    /// Where the web page and the HTTP API are.
    pub listen: Option<Listen>,
    /// Names of this host, besides those that it knows itself, with or without a port.
    pub host_names: Vec<String>,
    /// How far schedules need a synchronised clock.
    pub clock: ClockRule,
}

/// Where the web page and the HTTP API are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Only at the control socket.
    Nowhere,
    /// At this address.
    At(SocketAddr),
}

impl Listen {
    /// `none`, an address with a port, `localhost` with a port, or a port on 127.0.0.1.
    pub fn parse(text: &str) -> Result<Self, String> {
        let local = |port: &str| Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().ok()?)));
        let address = match text {
            "none" => return Ok(Self::Nowhere),
            _ => match text.strip_prefix("localhost:").or(Some(text)) {
                Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => local(port),
                _ => text.parse().ok(),
            },
        };
        let wrong = || format!("`{}` is not an address with a port", text.escape_debug());
        address.map(Self::At).ok_or_else(wrong)
    }
}

impl Default for Listen {
    fn default() -> Self {
        Self::At(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)))
    }
}

/// How much of the past is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The logs of this many of the latest finished runs of each DAG. At least 1.
    pub runs: usize,
    /// Nothing older.
    pub age: Duration,
    /// Logs and journal together; at least 1.
    pub bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            dags: Vec::new(),
            state: None,
            parallelism: None,
            pools: Vec::new(),
            timezone: None,
            env: Vec::new(),
            hooks: Hooks::default(),
            secrets: None,
            retention: Retention::default(),
            sync_interval: Duration::from_secs(1),
            kill_grace: Duration::from_secs(10),
            listen: None,
            host_names: Vec::new(),
            clock: ClockRule::default(),
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            runs: 100,
            age: Duration::from_secs(90 * 24 * 60 * 60),
            bytes: 1 << 30,
        }
    }
}

impl Retention {
    /// What the journal's history may take of it: a quarter, but no more than 64 MiB, which are some
    /// 300,000 task instances.
    pub fn journal_bytes(&self) -> u64 {
        (self.bytes / 4).min(64 << 20)
    }

    /// What task logs may take: the rest.
    pub fn logs_bytes(&self) -> u64 {
        self.bytes - self.journal_bytes()
    }
}

/// Tasks that may run at once unless a number is given: as many as there are CPUs.
pub fn cpus() -> u32 {
    let cpus = std::thread::available_parallelism().map_or(1, NonZero::get);
    u32::try_from(cpus).unwrap_or(u32::MAX)
}

/// The config file of the system's service.
const SYSTEM: &str = "/etc/mini-dag/mini-dag.json";

/// The config file unless one is named: `$MINI_DAG_CONFIG`; else, if it exists,
/// `/etc/mini-dag/mini-dag.json` under systemd and `./mini-dag.json` elsewhere. `None` without any.
pub fn default_path() -> Option<PathBuf> {
    if let Some(path) = env::var_os("MINI_DAG_CONFIG").filter(|value| !value.is_empty()) {
        return Some(path.into());
    }
    let path = if layout::is_unit() {
        SYSTEM
    } else {
        "mini-dag.json"
    };
    Some(PathBuf::from(path)).filter(|path| path.exists())
}

/// The config file of the daemon that is asked unless another one is named: [`default_path`]; else that of the
/// system's service, for who may read it, unless the environment names a state directory or a daemon of this
/// user's own has ever run.
pub fn asked_path() -> Option<PathBuf> {
    default_path().or_else(|| {
        let is_elsewhere = layout::is_state_named()
            || layout::default_state().is_some_and(|own| own.join("journal").exists());
        let system = env::var_os("MINI_DAG_SYSTEM_CONFIG").map_or(SYSTEM.into(), PathBuf::from);
        (!is_elsewhere && File::open(&system).is_ok()).then_some(system)
    })
}

impl Config {
    /// The pools there are.
    pub fn pools(&self) -> Pools {
        let pools = Pools::new(self.parallelism.unwrap_or_else(cpus));
        let named = self.pools.iter();
        named.fold(pools, |pools, (pool, slots)| pools.with(pool, *slots))
    }

    /// What bounds the scheduler.
    pub fn limits(&self) -> Limits {
        Limits {
            pools: self.pools(),
            kill_grace: self.kill_grace,
        }
    }

    /// Reads a file. It says which programs run as this user, so others must not have written it.
    pub fn read(path: &Path, library: &Library) -> Result<Self, Vec<Diagnostic>> {
        let name = path.display().to_string();
        let directory = match path.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => path,
        };
        // A link is followed wherever it leads: to a config that some tool keeps elsewhere.
        let bytes =
            hygiene::read(path, None).map_err(|unread| vec![Diagnostic::new(unread.of(&name))])?;
        Self::parse(&name, text_of(&name, &bytes)?, directory, library)
    }

    /// Reads the text of a file in `directory`; `name` is what errors call it.
    pub fn parse(
        name: &str,
        text: &str,
        directory: &Path,
        library: &Library,
    ) -> Result<Self, Vec<Diagnostic>> {
        if text.len() > DAG_FILE_BYTES_MAX {
            let message = format!("`{name}` is longer than {DAG_FILE_BYTES_MAX} bytes");
            return Err(vec![Diagnostic::new(message)]);
        }
        let (document, mut report) = report::read(name, text)?;
        let root = document.root();
        let example = r#"{"dags": ["dags"], "parallelism": 2}"#;
        check_file(
            root,
            CONFIG_KEYS,
            Scope::Config,
            ("config", example),
            &mut report,
        );
        // What is not of its key's shape was reported by the check, and is passed over here.
        let mut config = Self::default();
        for (key, value) in root.members() {
            match &*key.text() {
                "dags" => {
                    let paths = value.elements();
                    config.dags = paths
                        .filter_map(|item| path_of(item, directory, &mut report))
                        .collect();
                }
                "state" => config.state = path_of(value, directory, &mut report),
                "parallelism" => config.parallelism = integer(value),
                "pools" => config.pools = pools_of(value, &mut report),
                "timezone" => {
                    let zone = library.with_known(|known| zone_of(value, known, &mut report));
                    config.timezone = zone;
                }
                "env" => config.env = env_of(value, &mut report),
                name @ ("on_success" | "on_failure" | "on_retry") => {
                    config_hook(&mut config.hooks, name, value, &mut report);
                }
                "secrets" => config.secrets = path_of(value, directory, &mut report),
                "retention" => config.retention = retention(value),
                "sync_interval" => set(&mut config.sync_interval, duration(value)),
                "kill_grace" => set(&mut config.kill_grace, duration(value)),
                "listen" => config.listen = listen_of(value, &mut report),
                "host_names" => {
                    let names = value.elements().filter(|name| name.kind() == Kind::String);
                    config.host_names = names.map(|name| name.text().into_owned()).collect();
                }
                "clock" => config.clock.demand = demand(value),
                "clock_wait" => set(&mut config.clock.wait, duration(value)),
                _ => {}
            }
        }
        report.finish().map(|()| config)
    }
}

/// Where a daemon's config comes from, each time that it is read.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The file; without one, [`default_path`] is asked each time.
    pub path: Option<PathBuf>,
    /// The directories and files of DAGs that the command line names; they win over the file.
    pub dags: Vec<PathBuf>,
    /// The state directory that it names, likewise.
    pub state: Option<PathBuf>,
    /// Where it says that the web page is, likewise.
    pub listen: Option<Listen>,
}

impl Origin {
    /// Of the daemon that is asked unless another one is named.
    pub fn asked() -> Self {
        Self {
            path: asked_path(),
            ..Self::default()
        }
    }

    /// The config, complete but for a state directory that nobody names.
    pub fn read(&mut self, library: &Library) -> Result<Config, Vec<Diagnostic>> {
        // A file that was there once does not go without notice.
        self.path = self.path.take().or_else(default_path);
        let mut config = match &self.path {
            Some(path) => Config::read(path, library)?,
            None => Config::default(),
        };
        if !self.dags.is_empty() {
            config.dags.clone_from(&self.dags);
        }
        if config.dags.is_empty() {
            config.dags.push(layout::default_dags());
        }
        config.listen = self.listen.or(config.listen);
        if config.listen.is_none()
            && let Ok(named) = env::var("MINI_DAG_LISTEN")
        {
            let wrong = |why| vec![Diagnostic::new(format!("MINI_DAG_LISTEN: {why}"))];
            config.listen = Some(Listen::parse(&named).map_err(wrong)?);
        }
        let state = self.state.clone().or(config.state);
        config.state = state.or_else(layout::default_state);
        Ok(config)
    }
}

fn retention(item: Item<'_>) -> Retention {
    let mut retention = Retention::default();
    for (key, value) in item.members() {
        match &*key.text() {
            "runs" => set(&mut retention.runs, integer(value)),
            "age" => set(&mut retention.age, duration(value)),
            "bytes" => set(&mut retention.bytes, shape::size_bytes(value)),
            _ => {}
        }
    }
    retention
}

/// One of the words of the key; the check has complained of any other.
fn demand(item: Item<'_>) -> ClockDemand {
    match &*item.text() {
        "require" => ClockDemand::Require,
        "ignore" => ClockDemand::Ignore,
        _ => ClockDemand::Prefer,
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn integer<T: TryFrom<i64>>(item: Item<'_>) -> Option<T> {
    shape::integer(item).and_then(|number| number.try_into().ok())
}

fn duration(item: Item<'_>) -> Option<Duration> {
    let is_written = matches!(item.kind(), Kind::String | Kind::Number);
    is_written.then(|| shape::duration(item).ok()).flatten()
}

/// A text that the kernel will read: it cannot be given a NUL.
fn text(item: Item<'_>, report: &mut Report<'_>) -> Option<String> {
    if item.kind() != Kind::String {
        return None;
    }
    let text = item.text().into_owned();
    if text.contains('\0') {
        report.error(item.span(), "no program can be given this", || {
            Diagnostic::new("a NUL character in a text")
        });
    }
    Some(text)
}

fn listen_of(item: Item<'_>, report: &mut Report<'_>) -> Option<Listen> {
    let given = text(item, report)?;
    let listen = Listen::parse(&given);
    if let Err(why) = &listen {
        report.error(
            item.span(),
            "such as 127.0.0.1:8080, [::1]:8080 or none",
            || Diagnostic::new(why.clone()),
        );
    }
    listen.ok()
}

fn path_of(item: Item<'_>, directory: &Path, report: &mut Report<'_>) -> Option<PathBuf> {
    let path = text(item, report)?;
    if path.is_empty() {
        report.error(item.span(), "", || Diagnostic::new("a path is empty"));
    } else if path.starts_with('~') {
        report.error(item.span(), "no shell reads this", || {
            Diagnostic::new("a path begins with `~`").help("write it in full".to_owned())
        });
    }
    Some(directory.join(path))
}

fn pools_of(item: Item<'_>, report: &mut Report<'_>) -> Vec<(String, u32)> {
    let mut pools = Vec::new();
    for (name, slots) in item.members() {
        let pool = name.text().into_owned();
        pool_name(&pool, name.span(), report);
        if pools.len() == POOLS_MAX {
            report.error(name.span(), "", || {
                Diagnostic::new(format!("a config has at most {POOLS_MAX} pools"))
            });
            return pools;
        }
        pools.extend(integer(slots).map(|slots| (pool, slots)));
    }
    pools
}

fn env_of(item: Item<'_>, report: &mut Report<'_>) -> Vec<(String, String)> {
    let mut env = Vec::new();
    for (name, value) in item.members() {
        let key = name.text().into_owned();
        env_name(&key, Some(name.span()), report);
        if let Some(value) = text(value, report) {
            env.push((key, value));
        }
    }
    env
}
