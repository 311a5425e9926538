//! The environment that every task starts from.
//!
//! Nothing of the daemon's own environment gets through but `HOME`, `LANG` and `TZ`: no `NOTIFY_SOCKET` with which a
//! task could speak for the daemon, no `CREDENTIALS_DIRECTORY`, no proxy, no secret.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;

use rustix::process::geteuid;

/// The path of root in systemd units and in login shells.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// `PATH`, `HOME`, `LANG`, `USER`, `LOGNAME`, `SHELL` as cron would set them for the user this program runs as,
/// and `TZ` if it is set here. A `HOME` that is set here wins over the account's.
pub fn base_env() -> Vec<(OsString, OsString)> {
    // A system without /etc/passwd, or with users from elsewhere: what the login or systemd said.
    let passwd = fs::read("/etc/passwd").unwrap_or_default();
    compose(&passwd, geteuid().as_raw(), |name| std::env::var_os(name))
}

fn compose(
    passwd: &[u8],
    uid: u32,
    own: impl Fn(&str) -> Option<OsString>,
) -> Vec<(OsString, OsString)> {
    let account = passwd
        .split(|byte| *byte == b'\n')
        .map(|line| line.split(|byte| *byte == b':').collect::<Vec<_>>())
        .find(|fields| fields.len() == 7 && fields[2] == uid.to_string().as_bytes());
    let of_account = |field: usize| {
        let text = *account.as_ref()?.get(field)?;
        (!text.is_empty()).then(|| OsStr::from_bytes(text).to_owned())
    };
    let user = of_account(0)
        .or_else(|| own("USER"))
        .unwrap_or_else(|| uid.to_string().into());
    let home = own("HOME")
        .or_else(|| of_account(5))
        .unwrap_or_else(|| "/".into());
    let mut env: Vec<(OsString, OsString)> = vec![
        ("PATH".into(), PATH.into()),
        ("HOME".into(), home),
        ("USER".into(), user.clone()),
        ("LOGNAME".into(), user),
        ("SHELL".into(), "/bin/sh".into()),
        (
            "LANG".into(),
            own("LANG").unwrap_or_else(|| "C.UTF-8".into()),
        ),
    ];
    env.extend(own("TZ").map(|zone| ("TZ".into(), zone)));
    env
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(passwd: &str, own: &[(&str, &str)], expected: &str) {
        let env = compose(passwd.as_bytes(), 1000, |name| {
            own.iter()
                .find(|(it, _)| *it == name)
                .map(|(_, value)| value.into())
        });
        let text: Vec<String> = env
            .iter()
            .map(|(name, value)| format!("{}={}", name.display(), value.display()))
            .collect();
        assert_eq!(text[0], format!("PATH={PATH}"));
        assert_eq!(text[1..].join(" "), expected);
    }

    #[test]
    fn a_task_gets_what_cron_would_give_and_no_secret() {
        let passwd =
            "root:x:0:0:root:/root:/bin/bash\nbroken\npi:x:1000:1000:,,,:/home/pi:/usr/bin/fish\n";
        check(
            passwd,
            &[
                ("TZ", "Asia/Seoul"),
                ("LANG", "ko_KR.UTF-8"),
                ("NOTIFY_SOCKET", "/run/systemd/notify"),
                ("http_proxy", "http://proxy"),
                ("PATH", "/opt/evil"),
            ],
            "HOME=/home/pi USER=pi LOGNAME=pi SHELL=/bin/sh LANG=ko_KR.UTF-8 TZ=Asia/Seoul",
        );
        check(
            "",
            &[("HOME", "/var/lib/mini-dag"), ("USER", "mini-dag")],
            "HOME=/var/lib/mini-dag USER=mini-dag LOGNAME=mini-dag SHELL=/bin/sh LANG=C.UTF-8",
        );
        check(
            "",
            &[],
            "HOME=/ USER=1000 LOGNAME=1000 SHELL=/bin/sh LANG=C.UTF-8",
        );
    }
}
