//! Secrets by name: systemd's credentials first, then a directory with a file each.
//!
//! A secret is read when an attempt starts that asks for it, so that a new one counts from then on, and none
//! stays in memory longer than it must. What others could read is no secret, and is refused.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use super::layout;
use crate::exec::{SECRET_BYTES_MIN, SECRETS_BYTES_MAX};

/// Where secrets are.
#[derive(Clone, Debug)]
pub struct Vault {
    /// Handed over by systemd, readable for this service only.
    credentials: Option<PathBuf>,
    directory: PathBuf,
}

impl Vault {
    /// With the secrets of `directory`; without one, of the usual one.
    pub fn new(directory: Option<&Path>) -> Self {
        Self {
            credentials: env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from),
            directory: directory.map_or_else(layout::default_secrets, Path::to_owned),
        }
    }

    /// The secret of this name, an id, without the line end that editors leave; or why there is none.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        if let Some(directory) = &self.credentials {
            let path = directory.join(name);
            match File::open(&path) {
                Ok(file) => return contents(name, &path, file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(unreadable(name, &path, &error)),
            }
        }
        let path = self.directory.join(name);
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(&path);
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let credentials = match &self.credentials {
                    Some(_) => "no credential and ",
                    None => "",
                };
                return Err(format!(
                    "there is no secret `{name}`: {credentials}no file `{}`",
                    path.display()
                ));
            }
            Err(error) => return Err(unreadable(name, &path, &error)),
        };
        if let Some(why) = refuse(&self.directory, &file) {
            return Err(format!(
                "secret `{name}` is refused: `{}` {why}",
                path.display()
            ));
        }
        contents(name, &path, file)
    }
}

fn unreadable(name: &str, path: &Path, error: &io::Error) -> String {
    format!(
        "secret `{name}` cannot be read: `{}`: {error}",
        path.display()
    )
}

/// Why the file of a secret is none, if so.
fn refuse(directory: &Path, file: &File) -> Option<String> {
    let metadata = file.metadata().ok()?;
    let own = geteuid().as_raw();
    if !metadata.is_file() {
        return Some("is not a regular file".to_owned());
    }
    if metadata.mode() & 0o077 != 0 {
        let mode = metadata.mode() & 0o777;
        return Some(format!("is open to others (mode {mode:o}); `chmod 600` it"));
    }
    if metadata.uid() != own && metadata.uid() != 0 {
        let owner = metadata.uid();
        return Some(format!(
            "belongs to user {owner}, not to root or to user {own}"
        ));
    }
    let mode = fs::metadata(directory).ok()?.mode();
    (mode & 0o022 != 0)
        .then(|| "is in a directory that others may write to; `chmod 700` it".to_owned())
}

fn contents(name: &str, path: &Path, file: File) -> Result<Vec<u8>, String> {
    let mut secret = Vec::new();
    let more = SECRETS_BYTES_MAX as u64 + 2;
    file.take(more)
        .read_to_end(&mut secret)
        .map_err(|error| unreadable(name, path, &error))?;
    if secret.ends_with(b"\n") {
        secret.pop();
        if secret.ends_with(b"\r") {
            secret.pop();
        }
    }
    let refused = if secret.len() < SECRET_BYTES_MIN {
        format!(
            "is shorter than {SECRET_BYTES_MIN} bytes: so short a text cannot be masked in logs, and is soon guessed"
        )
    } else if secret.len() > SECRETS_BYTES_MAX {
        format!("is longer than {SECRETS_BYTES_MAX} bytes")
    } else if secret.contains(&0) {
        "has a NUL byte in it, which no environment can hold".to_owned()
    } else {
        return Ok(secret);
    };
    Err(format!("secret `{name}` {refused}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_no_secret_is_refused_and_says_why() {
        let place = env::temp_dir().join(format!("mini-dag-secrets-{}", std::process::id()));
        let (credentials, directory) = (place.join("credentials"), place.join("secrets"));
        fs::create_dir_all(&credentials).unwrap();
        fs::create_dir_all(&directory).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
        let file = |name: &str, content: &[u8], mode| {
            fs::write(directory.join(name), content).unwrap();
            fs::set_permissions(directory.join(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        file("token", b"hunter2!\r\n", 0o600);
        file("key", b"line one\nline two\n\n", 0o400);
        file("open", b"hunter2!", 0o640);
        file("short", b"1234\n", 0o600);
        file("nul", b"hunter\0two", 0o600);
        file("long", &vec![b'x'; SECRETS_BYTES_MAX + 1], 0o600);
        file("both", b"from the directory", 0o600);
        fs::write(credentials.join("both"), "from systemd").unwrap();
        std::os::unix::fs::symlink("token", directory.join("link")).unwrap();
        let vault = Vault {
            credentials: Some(credentials),
            directory: directory.clone(),
        };
        let read = |name: &str| {
            let read = vault.read(name);
            read.map(|secret| String::from_utf8(secret).unwrap())
                .map_err(|why| why.replace(directory.to_str().unwrap(), "DIR"))
        };
        assert_eq!(read("token").as_deref(), Ok("hunter2!"));
        assert_eq!(read("key").as_deref(), Ok("line one\nline two\n"));
        assert_eq!(read("both").as_deref(), Ok("from systemd"));
        let why = |name: &str| read(name).unwrap_err();
        assert_eq!(
            why("none"),
            "there is no secret `none`: no credential and no file `DIR/none`"
        );
        assert_eq!(
            why("open"),
            "secret `open` is refused: `DIR/open` is open to others (mode 640); `chmod 600` it"
        );
        assert!(why("short").contains("shorter than 5 bytes"));
        assert!(why("nul").contains("NUL byte"));
        assert!(why("long").contains("longer than 65536 bytes"));
        assert!(why("link").contains("cannot be read"), "{}", why("link"));
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(why("token").contains("`chmod 700`"));
        fs::remove_dir_all(place).unwrap();
    }
}
