//! Reading the config and the DAG files again, while everything goes on.
//!
//! Whatever does not load changes nothing: the last good version stays, and what is wrong is told.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Service;
use crate::daemon::catalog::{Again, Catalog};
use crate::daemon::service::feed::Changed;
use crate::daemon::watch::Watcher;
use crate::daemon::{clock, logging};
use crate::dag::{Dag, Diagnostic};
use crate::journal::apply_replayed;
use crate::scheduler::Event;
use crate::timetable::Zone;

impl Service {
    pub(super) fn watch(&mut self, watcher: Watcher) {
        let tell = watcher.tell(self.driver.sender());
        self.watching = Some(self.executor.spawn(async move {
            if let Err(error) = tell.await {
                log::error!("DAG directories are no longer watched: {error}");
            }
        }));
    }

    /// Reads the config again. One that does not load changes nothing.
    fn reconfigure(&mut self) {
        let mut config = match self.origin.read(&self.library) {
            Ok(config) => config,
            Err(mut errors) => {
                if let Some(error) = errors.last_mut() {
                    error.notes.push("the last good config is used".to_owned());
                }
                self.config_errors = errors;
                return;
            }
        };
        self.config_errors.clear();
        if config.state != self.config.state {
            let used = self.places.state.display();
            log::warn!(
                "config: `state` is not changed before a restart; it is `{used}` until then"
            );
            config.state.clone_from(&self.config.state);
        }
        self.library.timezone.clone_from(&config.timezone);
        self.library.pools = Some(config.pools());
        if config.timezone.as_ref().map(Zone::name) != self.config.timezone.as_ref().map(Zone::name)
        {
            self.zoned = self.library.zoned(&self.compiled_in);
        }
        if config.dags != self.places.dags {
            self.places.dags.clone_from(&config.dags);
            match Watcher::new(&config.dags) {
                Ok(watcher) => self.watch(watcher),
                Err(error) => log::error!("DAG directories are not watched: {error}"),
            }
        }
        self.driver.equip(self.library.zone(), &config);
        self.ledger.sync_interval = config.sync_interval;
        self.step(Event::Limits(config.limits()));
        if config.listen != self.config.listen || config.host_names != self.config.host_names {
            log::warn!("config: `listen` and `host_names` are not changed before a restart");
        }
        self.driver.set_hooks_of_all(config.hooks.clone());
        self.config = config;
        self.set_retention();
        self.look_at_the_clock();
    }

    /// Reads the DAG files again: those that have changed, or `all` and the config, too.
    pub fn reload(&mut self, all: bool) {
        if all {
            self.reconfigure();
        }
        let warned = self.warnings();
        let before = std::mem::take(&mut self.catalog);
        let again = Again {
            before: &before,
            all,
        };
        let dags = &self.places.dags;
        let mut catalog = Catalog::load(&self.library, &self.zoned, dags, Some(again));
        catalog
            .errors
            .splice(..0, self.config_errors.iter().cloned());
        for (dag_id, dag) in &catalog.dags {
            let old = before.dags.get(dag_id);
            if old.is_none_or(|old| !Arc::ptr_eq(old, dag)) {
                if old.is_none() || catalog.is_news(dag, &before) {
                    log::info!("dag={dag_id} loaded");
                }
                self.claim(dag);
                self.step(Event::DagLoaded(dag.clone()));
            }
        }
        let is_gone = |dag_id: &&Arc<str>| !catalog.dags.contains_key(*dag_id);
        for dag_id in before.dags.keys().filter(is_gone) {
            log::info!("dag={dag_id} removed");
            self.step(Event::DagRemoved(dag_id.clone()));
        }
        // What was told before and still holds is not told with every change of another file.
        let is_news = |error: &&Diagnostic| all || !before.errors.contains(error);
        for error in catalog.errors.iter().filter(is_news) {
            log::error!("{}", logging::in_a_line(error));
        }
        self.catalog = catalog;
        self.loaded_at = clock::now().wall;
        for warning in self.warnings().iter().filter(|it| !warned.contains(it)) {
            log::warn!("{warning}");
        }
        self.ledger.feed.tell(self.loaded_at, Changed::Daemon);
    }

    /// Takes over what the journal knows of a DAG that was not there when it was read, before anything is
    /// due. What ran then was ended when this daemon began.
    fn claim(&mut self, dag: &Arc<Dag>) {
        let journal = self.ledger.journal.as_mut();
        let claimed = journal
            .map(|journal| journal.claim(&dag.dag_id))
            .unwrap_or_default();
        if claimed.is_empty() {
            return;
        }
        log::info!("dag={} is back, with {} records", dag.dag_id, claimed.len());
        let before: BTreeSet<_> = self.scheduler().live_attempts().collect();
        self.driver.recall(clock::now(), |state| {
            state.insert_dag(dag.clone());
            for record in &claimed {
                if let Err(error) = apply_replayed(state, record) {
                    log::warn!("dag={} an old record does not fit: {error}", record.dag_id);
                }
            }
        });
        let live: BTreeSet<_> = self.scheduler().live_attempts().collect();
        for id in live.difference(&before) {
            self.step(Event::Lost(*id));
        }
    }
}
