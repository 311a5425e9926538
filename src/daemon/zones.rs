//! Time zones as this host knows them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use crate::timetable::Zone;

/// No zone file is larger; the largest of today has 3 KB.
const ZONE_BYTES_MAX: u64 = 1 << 20;

/// The host's zone database, each zone read once.
#[derive(Debug)]
pub struct Zones {
    directory: PathBuf,
    known: RefCell<BTreeMap<String, Option<Zone>>>,
}

impl Zones {
    /// `$TZDIR`, else `/usr/share/zoneinfo`.
    pub fn of_host() -> Self {
        let directory =
            std::env::var_os("TZDIR").map_or("/usr/share/zoneinfo".into(), PathBuf::from);
        Self {
            directory,
            known: RefCell::default(),
        }
    }

    /// A zone by its IANA name, or `None` if the host does not have it.
    pub fn get(&self, name: &str) -> Option<Zone> {
        if name == "UTC" {
            return Some(Zone::utc());
        }
        let is_plain = |part| matches!(part, Component::Normal(_));
        if name.is_empty() || !Path::new(name).components().all(is_plain) {
            return None;
        }
        if let Some(zone) = self.known.borrow().get(name) {
            return zone.clone();
        }
        let zone = read(&self.directory.join(name), name);
        self.known
            .borrow_mut()
            .insert(name.to_owned(), zone.clone());
        zone
    }

    /// The names to suggest from.
    pub fn names(&self) -> Vec<String> {
        let table = fs::read_to_string(self.directory.join("tzdata.zi")).unwrap_or_default();
        let name = |line: &str| {
            let mut words = line.split_ascii_whitespace();
            match words.next()? {
                "Z" => words.next().map(str::to_owned),
                "L" => words.nth(1).map(str::to_owned),
                _ => None,
            }
        };
        table.lines().filter_map(name).collect()
    }

    /// The zone that the host's clock is shown in: `$TZ`, else `/etc/localtime`, else UTC.
    pub fn local(&self) -> Zone {
        let from_env = std::env::var("TZ").ok().and_then(|text| {
            let text = text.strip_prefix(':').unwrap_or(&text).to_owned();
            self.get(&text).or_else(|| Zone::from_posix(&text).ok())
        });
        from_env
            .or_else(|| self.etc_localtime())
            .unwrap_or_else(Zone::utc)
    }

    fn etc_localtime(&self) -> Option<Zone> {
        let path = fs::canonicalize("/etc/localtime").ok()?;
        let name = path
            .strip_prefix(fs::canonicalize(&self.directory).ok()?)
            .ok();
        let name = name.and_then(Path::to_str).unwrap_or("localtime");
        read(&path, name)
    }
}

fn read(path: &Path, name: &str) -> Option<Zone> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).ok()?;
    file.metadata().ok().filter(fs::Metadata::is_file)?;
    file.take(ZONE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Zone::from_tzif(name, &bytes).ok()
}
