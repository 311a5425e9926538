//! From a decision to a process: renders a task's templates and puts its environment together.
//!
//! A task gets, the later over the earlier: the clean base environment, the config's `env`, the DAG's
//! `env`, the task's `env`, their secrets, and the `MINI_DAG_*` variables. Without a `cwd` it works in the
//! home directory, as under cron.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::clock;
use super::config::Config;
use super::hooks::told;
use super::layout;
use super::secrets::Vault;
use crate::dag::map_of;
use crate::dag::{Context, Dag, Http, HttpBody, Operator, RunFacts, Task, Template, Value};
use crate::exec::worker::{self, Body, Call, HttpRequest, Work};
use crate::exec::{
    self, Cgroups, Handed, Launch, Limits, Running, SECRETS_BYTES_MAX, Secrets, Stdin, base_env,
};
use crate::scheduler::{self, AttemptId, HookCall, HookLevel, HookOccasion, Spawn};
use crate::timetable::Zone;

/// Where `mini-dag`, called by a task, finds the daemon; and by which a daemon that was killed is
/// survived by processes that the next one can find.
const STATE: &str = "MINI_DAG_STATE";

/// Of what a hook prints, this much is kept.
const HOOK_OUTPUT_BYTES_MAX: u64 = 64 << 10;

/// What all launches have in common.
#[derive(Debug)]
pub struct Launcher {
    root: PathBuf,
    local: Zone,
    base_env: Vec<(OsString, OsString)>,
    /// The config's.
    env: Vec<(OsString, OsString)>,
    home: PathBuf,
    shell: &'static str,
    vault: Vault,
    /// Or why there are none.
    cgroups: Result<Cgroups, String>,
}

impl Launcher {
    /// What all processes of this program have in their environment, and no others.
    pub fn mark(root: &Path) -> io::Result<String> {
        let root = std::path::absolute(root)?;
        Ok(format!("{STATE}={}", root.display()))
    }

    /// Logs go below `root`; `local` is the zone of DAGs that name none.
    pub fn new(root: PathBuf, local: Zone) -> io::Result<Self> {
        let root = std::path::absolute(root)?;
        let base_env = base_env();
        let has_bash = Path::new("/bin/bash").exists();
        let shell = if has_bash { "/bin/bash" } else { "/bin/sh" };
        Ok(Self {
            root,
            local,
            home: home_of(&base_env).unwrap_or_else(|| "/".into()),
            base_env,
            env: Vec::new(),
            shell,
            vault: Vault::new(None),
            cgroups: Err("tasks run in the cgroup of this program".to_owned()),
        })
    }

    /// The state directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// From now on, each process gets a cgroup; or why none does.
    pub fn contain(&mut self, cgroups: Result<Cgroups, String>) {
        self.cgroups = cgroups;
    }

    /// Why limits of memory do not hold, if so.
    pub fn unlimited_memory(&self) -> Option<&str> {
        match &self.cgroups {
            Ok(cgroups) if cgroups.has_memory() => None,
            Ok(_) => Some(
                "the kernel has no memory controller here; on a Raspberry Pi, `cgroup_enable=memory` in cmdline.txt",
            ),
            Err(why) => Some(why),
        }
    }

    /// From now on, `local` is the zone of DAGs that name none, and `config` says what every environment
    /// has and where secrets are.
    pub fn equip(&mut self, local: Zone, config: &Config) {
        self.local = local;
        self.vault = Vault::new(config.secrets.as_deref());
        let env = config.env.iter();
        self.env = env
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        let home = home_of(&self.env).or_else(|| home_of(&self.base_env));
        self.home = home.unwrap_or_else(|| "/".into());
    }

    /// What to start for an attempt. Errors say why it cannot be started.
    pub fn launch(&self, spawn: &Spawn) -> Result<Launch, String> {
        let (dag, run) = (&spawn.dag, &spawn.run);
        let task = dag.task(spawn.attempt.task);
        let params = dag.params_of(&run.params);
        let unlocked = self.unlock(dag.secrets.iter().chain(&task.secrets))?;
        let facts = RunFacts {
            dag_id: &dag.dag_id,
            run_id: &run.run_id,
            task_id: &task.task_id,
            try_number: spawn.attempt.try_number,
            logical_date: run.logical_date,
            data_interval: run.data_interval,
            prev_data_interval_end_success: spawn.previous_success,
            params: &params,
            xcoms: &spawn.xcoms,
            hook: None,
            secrets: &unlocked.texts,
            zone: dag.timezone.as_ref().unwrap_or(&self.local),
        };
        let (argv, stdin) = self.command(&task.operator, task.branch, task.timeout, &facts);
        let cwd = task.cwd.as_ref().or(dag.cwd.as_ref());
        let cwd = cwd.map_or_else(
            || self.home.clone(),
            |cwd| self.home.join(cwd.render(&facts)),
        );
        Ok(Launch {
            argv,
            env: self.environment(dag.env.iter().chain(&task.env), &unlocked, &facts),
            cwd: Some(cwd),
            stdin,
            log: self.log(spawn),
            output_bytes_max: task.output_bytes_max,
            limits: limits(task),
            cgroups: self.cgroups.clone().ok(),
            secrets: unlocked.secrets,
        })
    }

    /// Goes on with a process that the program before this one has started.
    pub fn adopt(
        &self,
        dag: &Dag,
        run: &scheduler::RunFacts,
        id: AttemptId,
        process: &Handed,
    ) -> io::Result<Running> {
        let task = dag.task(id.task);
        let log = self.log_of(&dag.dag_id, &run.run_id, &task.task_id, id.try_number);
        let cgroups = self.cgroups.as_ref().ok();
        exec::adopt(process, &log, task.output_bytes_max, limits(task), cgroups)
    }

    /// What to start for a hook. Errors say why it cannot be started.
    pub fn hook(&self, call: &HookCall) -> Result<Launch, String> {
        let (dag, run) = (&call.dag, &call.facts);
        let (task_id, try_number, of) = match &call.occasion {
            HookOccasion::Task {
                task, try_number, ..
            } => {
                let task_id = &*dag.task(*task).task_id;
                let of =
                    layout::attempt_log(&self.root, &dag.dag_id, &run.run_id, task_id, *try_number);
                (task_id, *try_number, of)
            }
            HookOccasion::Run { .. } => (
                "",
                0,
                layout::run_logs(&self.root, &dag.dag_id, &run.run_id),
            ),
        };
        let level = match call.level {
            HookLevel::Task => "",
            HookLevel::Dag => ".dag",
            HookLevel::All => ".all",
        };
        let params = dag.params_of(&run.params);
        let unlocked = self.unlock(call.hook.secrets.iter())?;
        let told = told(call, &of);
        let facts = RunFacts {
            dag_id: &dag.dag_id,
            run_id: &run.run_id,
            task_id,
            try_number,
            logical_date: run.logical_date,
            data_interval: run.data_interval,
            prev_data_interval_end_success: None,
            params: &params,
            xcoms: &BTreeMap::new(),
            hook: Some(&told),
            secrets: &unlocked.texts,
            zone: dag.timezone.as_ref().unwrap_or(&self.local),
        };
        let timeout = Some(call.hook.timeout);
        let (argv, stdin) = self.command(&call.hook.operator, false, timeout, &facts);
        let mut env = self.environment(dag.env.iter(), &unlocked, &facts);
        let told = facts.hook_environment().into_iter();
        env.extend(told.map(|(name, value)| (name.into(), value.into())));
        Ok(Launch {
            argv,
            env,
            cwd: Some(self.home.clone()),
            stdin,
            log: layout::hook_log(&of, level, call.kind.name()),
            output_bytes_max: HOOK_OUTPUT_BYTES_MAX,
            limits: Limits::default(),
            cgroups: self.cgroups.clone().ok(),
            secrets: unlocked.secrets,
        })
    }

    /// The later over the earlier: what all have, `own`, secrets, and what the run knows of itself.
    fn environment<'e>(
        &self,
        own: impl Iterator<Item = &'e (String, Template)>,
        unlocked: &Unlocked,
        facts: &RunFacts<'_>,
    ) -> Vec<(OsString, OsString)> {
        let mut env: BTreeMap<OsString, OsString> =
            self.base_env.iter().chain(&self.env).cloned().collect();
        env.extend(own.map(|(name, value)| (name.into(), value.render(facts).into())));
        env.extend(unlocked.env.iter().cloned());
        env.insert(STATE.into(), self.root.clone().into());
        let known = facts.environment().into_iter();
        env.extend(known.map(|(name, value)| (name.into(), value.into())));
        env.into_iter().collect()
    }

    /// Where the output of an attempt goes.
    pub fn log(&self, spawn: &Spawn) -> PathBuf {
        let AttemptId {
            task, try_number, ..
        } = spawn.attempt;
        let (dag_id, run_id) = (&spawn.dag.dag_id, &spawn.run.run_id);
        self.log_of(dag_id, run_id, &spawn.dag.task(task).task_id, try_number)
    }

    /// The same, by its names.
    pub fn log_of(&self, dag_id: &str, run_id: &str, task_id: &str, try_number: u32) -> PathBuf {
        layout::attempt_log(&self.root, dag_id, run_id, task_id, try_number)
    }

    /// Reads secrets.
    fn unlock<'s>(
        &self,
        named: impl Iterator<Item = &'s (String, String)>,
    ) -> Result<Unlocked, String> {
        let mut unlocked = Unlocked::default();
        let mut room = SECRETS_BYTES_MAX;
        for (variable, name) in named {
            let secret = self.vault.read(name)?;
            room = room.checked_sub(secret.len()).ok_or_else(|| {
                format!("its secrets have more than {SECRETS_BYTES_MAX} bytes together")
            })?;
            unlocked.secrets.add(&secret);
            let text = String::from_utf8_lossy(&secret).into_owned();
            unlocked.texts.insert(variable.clone(), text);
            let variable = OsString::from(variable);
            unlocked.env.push((variable, OsString::from_vec(secret)));
        }
        Ok(unlocked)
    }

    fn command(
        &self,
        operator: &Operator,
        is_branch: bool,
        timeout: Option<Duration>,
        facts: &RunFacts<'_>,
    ) -> (Vec<OsString>, Stdin) {
        let work = match operator {
            Operator::Bash(script) => {
                let argv = [self.shell.into(), "-c".into(), script.render(facts).into()];
                return (argv.into(), Stdin::Null);
            }
            Operator::Argv(words) => {
                return (
                    words.iter().map(|word| word.render(facts).into()).collect(),
                    Stdin::Null,
                );
            }
            // Neither of them is ever a process; what a run would be given is for people.
            Operator::Trigger(trigger) => {
                let params = trigger.params.render(facts).to_string();
                return (vec!["/bin/true".into()], Stdin::Bytes(params.into()));
            }
            Operator::Empty => return (vec!["/bin/true".into()], Stdin::Null),
            Operator::Http(http) => Work::Http(request(http, facts)),
            Operator::Call { function, args } => Work::Call(Call {
                function: function.clone(),
                context: context(timeout, facts, args.render(facts)),
                is_branch,
            }),
        };
        let title = format!("{}.{}", facts.dag_id, facts.task_id);
        (worker::argv(&title), work.to_stdin())
    }
}

fn limits(task: &Task) -> Limits {
    Limits {
        nice: task.nice,
        cpu_time: task.cpu_time_max,
        memory_bytes: task.memory_bytes_max,
    }
}

/// Secrets, for each of their uses.
#[derive(Default)]
struct Unlocked {
    env: Vec<(OsString, OsString)>,
    texts: BTreeMap<String, String>,
    secrets: Secrets,
}

fn home_of(env: &[(OsString, OsString)]) -> Option<PathBuf> {
    let home = env.iter().find(|(name, _)| name == "HOME");
    home.map(|(_, home)| home.into())
}

fn request(http: &Http, facts: &RunFacts<'_>) -> HttpRequest {
    let headers = http.headers.iter();
    HttpRequest {
        url: http.url.render(facts),
        method: http.method.clone(),
        headers: headers
            .map(|(name, value)| (name.clone(), value.render(facts)))
            .collect(),
        body: match &http.body {
            HttpBody::None => Body::None,
            HttpBody::Text(text) => Body::Text(text.render(facts)),
            HttpBody::Json(value) => Body::Json(value.render(facts)),
        },
        save_to: http.save_to.as_ref().map(|path| path.render(facts)),
        expect_status: http.expect_status.clone(),
        timeout: http.timeout,
        bytes_max: http.bytes_max,
    }
}

fn context(timeout: Option<Duration>, facts: &RunFacts<'_>, args: Value) -> Context {
    Context {
        dag_id: facts.dag_id.to_owned(),
        run_id: facts.run_id.to_owned(),
        task_id: facts.task_id.to_owned(),
        try_number: facts.try_number,
        logical_date: facts.logical_date,
        data_interval: facts.data_interval,
        params: facts.params.clone(),
        args: match args {
            Value::Object(args) => args,
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => BTreeMap::new(),
        },
        xcoms: map_of(
            facts
                .xcoms
                .iter()
                .map(|(task_id, xcom)| (task_id.to_string(), Value::clone(xcom))),
        ),
        prev_data_interval_end_success: facts.prev_data_interval_end_success,
        timeout,
        deadline_ms: timeout.map(|timeout| clock::now().monotonic.after(timeout).0),
    }
}
