//! What systemd is told: that the daemon is ready, what it does, that it lives.
//!
//! The protocol of `sd_notify(3)`: a datagram of `NAME=value` lines to the socket in `$NOTIFY_SOCKET`. Without
//! that variable nothing is sent, and nothing here can fail in a way that the daemon would notice.

use std::env;
use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::scheduler::{Monotonic, Now};

/// How long a start or a stop may take from now on, whatever the unit says: a long journal on a slow card.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// The service manager that started this program, if it is one that wants to be told.
#[derive(Debug, Default)]
pub struct Systemd {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// It kills a service that has been silent for so long.
    watchdog: Option<Duration>,
    fed_at: Option<Monotonic>,
}

impl Systemd {
    /// The one that the environment names. The variables themselves are never handed on to tasks.
    pub fn of_env() -> Self {
        let Some(name) = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Self::default();
        };
        let Some(address) = address(&name) else {
            log::warn!(
                "$NOTIFY_SOCKET is not the address of a socket: {}",
                name.display()
            );
            return Self::default();
        };
        let Ok(socket) = UnixDatagram::unbound() else {
            return Self::default();
        };
        // systemd reads at once; were it stuck, the loop must not be.
        let socket = socket
            .set_nonblocking(true)
            .is_ok()
            .then_some((socket, address));
        let number = |name| env::var(name).ok().and_then(|value| value.parse().ok());
        let is_ours =
            number("WATCHDOG_PID").is_none_or(|pid: u64| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|usec| *usec > 0 && is_ours);
        Self {
            socket,
            watchdog: watchdog.map(Duration::from_micros),
            fed_at: None,
        }
    }

    fn tell(&self, lines: &str) {
        if let Some((socket, address)) = &self.socket {
            // Nobody is there any more, or its queue is full: there is nobody to complain to.
            let _ = socket.send_to_addr(lines.as_bytes(), address);
        }
    }

    /// The journal is being read, which may take a while.
    pub fn starting(&self) {
        self.tell(&format!("STATUS=reading the journal\n{}", extend(PATIENCE)));
    }

    /// Everything works that is going to work.
    pub fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={}", line(status)));
    }

    /// Config and DAG files are being read again; [`Systemd::ready`] ends it.
    pub fn reloading(&self, now: Now) {
        let usec = now.monotonic.0.saturating_mul(1_000);
        self.tell(&format!(
            "RELOADING=1\nMONOTONIC_USEC={usec}\nSTATUS=reading DAG files again"
        ));
    }

    /// What goes on, in a line.
    pub fn status(&self, status: &str) {
        self.tell(&format!("STATUS={}", line(status)));
    }

    /// Tasks are being ended, which takes as long as `grace` lets them.
    pub fn stopping(&self, grace: Duration) {
        let patience = extend(grace.saturating_add(PATIENCE));
        self.tell(&format!("STOPPING=1\nSTATUS=ending tasks\n{patience}"));
    }

    /// When the watchdog has to be fed: twice as often as it bites.
    pub fn next_deadline(&self) -> Option<Monotonic> {
        let every = self.watchdog? / 2;
        Some(self.fed_at.map_or(Monotonic(0), |at| at.after(every)))
    }

    /// Feeds the watchdog if it is time, or lets it starve unless all `is_well`.
    pub fn feed(&mut self, now: Monotonic, is_well: bool) {
        if self.next_deadline().is_none_or(|at| at > now) {
            return;
        }
        self.fed_at = Some(now);
        if is_well {
            self.tell("WATCHDOG=1");
        }
    }
}

fn extend(patience: Duration) -> String {
    format!("EXTEND_TIMEOUT_USEC={}", patience.as_micros())
}

/// A value ends with its line.
fn line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

/// A path, or a name that begins with `@` and is in no file system.
fn address(name: &OsStr) -> Option<SocketAddr> {
    match name.as_bytes().split_first()? {
        (b'@', name) => SocketAddr::from_abstract_name(name).ok(),
        (b'/', _) => SocketAddr::from_pathname(name).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A service manager that listens, and its service.
    fn pair(name: &str, watchdog: Option<Duration>) -> (UnixDatagram, Systemd) {
        let address = address(OsStr::new(&format!(
            "@mini-dag-{name}-{}",
            std::process::id()
        )));
        let address = address.unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        let socket = Some((UnixDatagram::unbound().unwrap(), address));
        let service = Systemd {
            socket,
            watchdog,
            fed_at: None,
        };
        (manager, service)
    }

    fn heard(manager: &UnixDatagram) -> String {
        let mut buffer = [0; 512];
        manager.set_nonblocking(true).unwrap();
        let length = manager.recv(&mut buffer).unwrap_or(0);
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn a_status_is_one_line() {
        let (manager, service) = pair("status", None);
        service.ready("2 DAGs\nSTOPPING=1");
        assert_eq!(heard(&manager), "READY=1\nSTATUS=2 DAGs STOPPING=1");
    }

    #[test]
    fn the_watchdog_is_fed_twice_as_often_as_it_bites_and_not_more() {
        let (manager, mut service) = pair("watchdog", Some(Duration::from_secs(30)));
        service.feed(Monotonic(100_000), true);
        assert_eq!(heard(&manager), "WATCHDOG=1");
        assert_eq!(service.next_deadline(), Some(Monotonic(115_000)));
        service.feed(Monotonic(114_999), true);
        assert_eq!(heard(&manager), "");
        service.feed(Monotonic(115_000), true);
        assert_eq!(heard(&manager), "WATCHDOG=1");
        service.feed(Monotonic(130_000), false);
        assert_eq!(heard(&manager), "", "what does not work is replaced");
        assert_eq!(service.next_deadline(), Some(Monotonic(145_000)));
    }

    #[test]
    fn without_a_manager_nothing_is_due_and_nothing_is_sent() {
        let mut service = Systemd::default();
        service.ready("nobody listens");
        service.feed(Monotonic(1), true);
        assert_eq!(service.next_deadline(), None);
    }

    #[test]
    fn a_relative_address_is_none() {
        assert!(address(OsStr::new("notify")).is_none());
        assert!(address(OsStr::new("/run/systemd/notify")).is_some());
    }
}
