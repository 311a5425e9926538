//! What a command is answered when the disk fails under it: nobody is told a thing that is not so.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use mini_dag::Functions;
use mini_dag::daemon::catalog::{Catalog, Library};
use mini_dag::daemon::clock;
use mini_dag::daemon::config::{Config, Origin};
use mini_dag::daemon::driver::{Driver, Notices};
use mini_dag::daemon::launch::Launcher;
use mini_dag::daemon::service::{Parts, Places, Service};
use mini_dag::daemon::systemd::Systemd;
use mini_dag::daemon::zones::Zones;
use mini_dag::journal::Journal;
use mini_dag::scheduler::{Answer, Command, Refusal, Scheduler};
use mini_dag::timetable::Zone;
use smol::LocalExecutor;

use crate::rng::Rng;
use crate::sim_disk::{Fault, SimDisk, Tail};
use crate::story::dags;
use crate::{options, read};

/// A daemon on a disk that can fail. It starts nothing here.
struct Daemon {
    service: Service,
    notices: Notices,
    executor: Rc<LocalExecutor<'static>>,
    disk: SimDisk,
}

impl Daemon {
    fn new() -> Self {
        let disk = SimDisk::default();
        let (journal, found) =
            Journal::open(Arc::new(disk.clone()), options(), dags(), clock::now()).unwrap();
        let config = Config::default();
        let scheduler = Scheduler::resume(config.limits(), found.state, clock::now());
        let executor = Rc::new(LocalExecutor::new());
        let nowhere = PathBuf::from("/nonexistent");
        let launcher = Launcher::new(nowhere.clone(), Zone::utc()).unwrap();
        let (driver, notices) = Driver::new(scheduler, launcher, executor.clone()).unwrap();
        let service = Service::new(Parts {
            driver,
            journal: Some(journal),
            damage: None,
            executor: executor.clone(),
            library: Library {
                functions: Functions::new(),
                zones: Zones::of_host(),
                timezone: Some(Zone::utc()),
                pools: None,
                lines: mini_dag::timetable::Lines::default(),
            },
            compiled_in: Vec::new(),
            zoned: Vec::new(),
            catalog: Catalog::default(),
            places: Places {
                socket: nowhere.join("control.sock"),
                state: nowhere,
                dags: Vec::new(),
            },
            origin: Origin::default(),
            config,
            systemd: Systemd::default(),
            lock: None,
            synced_at: None,
        });
        Self {
            service,
            notices,
            executor,
            disk,
        }
    }

    /// Asks, and lets the daemon go on until it has answered.
    fn pause(&mut self, dag_id: &str) -> Result<Answer, Refusal> {
        let dag_id = dag_id.to_owned();
        let answer = self.service.ask(Command::Pause {
            dag_id,
            is_paused: true,
        });
        let executor = self.executor.clone();
        smol::block_on(executor.run(async {
            loop {
                if let Ok(answer) = answer.try_recv() {
                    return answer;
                }
                let deadline = self.service.next_deadline();
                let notice = self.notices.next(deadline, None).await;
                self.service.notice(notice);
            }
        }))
    }

    /// Which of the two DAGs are paused as the daemon sees it, and as the disk tells it after a power cut.
    fn paused(&self) -> [[bool; 2]; 2] {
        let after = read(&self.disk.after_crash(Tail::Torn, &mut Rng::new(1))).state;
        [self.service.state(), &after]
            .map(|state| ["chain", "fan"].map(|dag_id| state.dag(dag_id).unwrap().is_paused))
    }
}

#[test]
fn an_answered_command_is_on_the_disk() {
    let mut daemon = Daemon::new();
    assert_eq!(daemon.pause("chain"), Ok(Answer::Paused));
    assert_eq!(daemon.paused(), [[true, false]; 2]);
}

/// It was told as refused, and was carried out when the disk had healed.
#[test]
fn what_the_disk_fails_under_is_told_as_done_but_not_recorded_and_what_is_refused_is_never_done() {
    let mut daemon = Daemon::new();
    let words = "the state directory is read-only (failing SD card?)".to_owned();
    daemon.disk.set_fault(Some(Fault {
        at: 1,
        for_ever: true,
        error: ErrorKind::ReadOnlyFilesystem,
        is_short: false,
    }));
    let answer = daemon.pause("chain");
    assert_eq!(answer, Err(Refusal::Unrecorded(words.clone())));
    assert_eq!(daemon.paused(), [[true, false], [false, false]]);
    assert_eq!(daemon.pause("fan"), Err(Refusal::NotRecorded(words)));
    assert_eq!(daemon.paused(), [[true, false], [false, false]]);
    daemon.disk.set_fault(None);
    daemon.service.end();
    assert_eq!(daemon.paused(), [[true, false]; 2]);
}

/// In the room of the ballast it is recorded, and so it is no lie to say so.
#[test]
fn what_fills_the_disk_is_answered_once_it_is_written_in_place_of_the_ballast() {
    let mut daemon = Daemon::new();
    let files = daemon.disk.files();
    let used: usize = files
        .iter()
        .map(|name| daemon.disk.contents(name).len())
        .sum();
    daemon.disk.set_space(Some(used + 10));
    assert_eq!(daemon.pause("chain"), Ok(Answer::Paused));
    assert_eq!(daemon.paused(), [[true, false]; 2]);
    let full = "no space left on the device".to_owned();
    assert_eq!(daemon.pause("fan"), Err(Refusal::NotRecorded(full)));
    assert_eq!(daemon.paused(), [[true, false]; 2]);
}
