//! Who may come in by TCP: `users.json` in the state directory, for its owner only.
//!
//! ```json
//! {"changes":2,"secret":"…","users":[{"name":"admin","role":"Admin","epoch":1,"is_generated":true,"password":"pbkdf2-sha256$…"}]}
//! ```
//!
//! The file is replaced as a whole or not at all, by one program at a time. `changes` only grows, and is the
//! `epoch` of what it changed: whatever was signed for an earlier epoch of a user holds no more. `secret` signs
//! tokens; it is made with the file and never leaves it. A file that cannot be read lets nobody in.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::num::NonZero;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{FlockOperation, flock};

use super::encoding::{from_hex, hex};
use super::password::{self, Hashed, ITERATIONS_OF_GENERATED};
use crate::api::caller::Role;
use crate::api::view::{number, object, text};
use crate::dag::Value;

const FILE: &str = "users.json";
/// Held by the one program that changes it.
const LOCK: &str = "users.lock";
/// Where the password is kept that the first start made, until somebody chooses another one.
const GENERATED: &str = "admin_password";
const FILE_BYTES_MAX: u64 = 256 << 10;
const USERS_MAX: usize = 200;
const NAME_BYTES_MAX: usize = 64;
/// The shortest password, in characters.
pub const PASSWORD_MIN: usize = 8;
/// The longest, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 1_024;

/// Somebody who may come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Unique.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Nobody chose the password; it is the one that the first start made.
    pub is_generated: bool,
    pub(super) epoch: i64,
    pub(super) password: Hashed,
}

/// Everybody who may come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Users {
    changes: i64,
    pub(super) secret: Vec<u8>,
    /// In the order they were added.
    pub list: Vec<User>,
}

impl Users {
    fn nobody() -> Self {
        Self {
            changes: 0,
            secret: password::random::<32>().to_vec(),
            list: Vec::new(),
        }
    }

    /// The users of a state directory; `None` if there never were any.
    pub fn read(state: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(state.join(FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut json = String::new();
        file.take(FILE_BYTES_MAX).read_to_string(&mut json)?;
        let users = Value::parse(&json).ok().and_then(|json| Self::of(&json));
        let broken = || io::Error::other("it is not what `mini-dag user` writes");
        users.ok_or_else(broken).map(Some)
    }

    fn of(json: &Value) -> Option<Self> {
        let user = |json: &Value| {
            Some(User {
                name: json.get("name")?.as_str()?.to_owned(),
                role: Role::named(json.get("role")?.as_str()?)?,
                is_generated: json.get("is_generated")?.as_bool()?,
                epoch: json.get("epoch")?.as_i64()?,
                password: Hashed::parse(json.get("password")?.as_str()?)?,
            })
        };
        let list = json.get("users")?.as_array()?.iter().map(user);
        Some(Self {
            changes: json.get("changes")?.as_i64()?,
            secret: from_hex(json.get("secret")?.as_str()?).filter(|secret| secret.len() >= 32)?,
            list: list.collect::<Option<_>>()?,
        })
    }

    fn to_json(&self) -> Value {
        let user = |user: &User| {
            object([
                ("name", text(&*user.name)),
                ("role", text(user.role.name())),
                ("is_generated", Value::Bool(user.is_generated)),
                ("epoch", number(user.epoch)),
                ("password", text(user.password.to_text())),
            ])
        };
        object([
            ("changes", number(self.changes)),
            ("secret", text(hex(&self.secret))),
            ("users", Value::Array(self.list.iter().map(user).collect())),
        ])
    }

    /// Reads, changes and replaces the file, while no other program does. Nothing is written if `change`
    /// fails.
    pub fn change<T>(
        state: &Path,
        change: impl FnOnce(&mut Self) -> Result<T, String>,
    ) -> Result<T, String> {
        let cannot = |error: io::Error| {
            let path = state.join(FILE);
            format!("cannot change `{}`: {error}", path.display())
        };
        // Not the directory itself: that is the daemon's lock.
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(false).mode(0o600);
        let lock = options.open(state.join(LOCK)).map_err(cannot)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|error| cannot(error.into()))?;
        let mut users = Self::read(state)
            .map_err(cannot)?
            .unwrap_or_else(Self::nobody);
        let changed = change(&mut users)?;
        replace(state, FILE, &users.to_json().to_string()).map_err(cannot)?;
        // Whoever changes a password wants nobody to find the old one.
        if !users.list.iter().any(|user| user.is_generated) {
            let _ = fs::remove_file(state.join(GENERATED));
        }
        if let Ok(directory) = File::open(state) {
            let _ = directory.sync_all();
        }
        Ok(changed)
    }

    /// A user by name.
    pub fn find(&self, name: &str) -> Option<&User> {
        self.list.iter().find(|user| user.name == name)
    }

    /// Adds one. Takes a moment: the password is hashed.
    pub fn add(&mut self, name: &str, role: Role, password: &str) -> Result<(), String> {
        check_name(name)?;
        check_password(password)?;
        if self.find(name).is_some() {
            return Err(format!("there is a user `{name}` already"));
        }
        if self.list.len() >= USERS_MAX {
            return Err(format!("there are {USERS_MAX} users already"));
        }
        let hashed = Hashed::new(password, password::calibrate());
        self.push(name, role, hashed, false);
        Ok(())
    }

    /// Gives a user another password. Takes a moment.
    pub fn set_password(&mut self, name: &str, password: &str) -> Result<(), String> {
        check_password(password)?;
        self.changes += 1;
        let epoch = self.changes;
        let user = self.list.iter_mut().find(|user| user.name == name);
        let user = user.ok_or_else(|| nobody(name))?;
        user.password = Hashed::new(password, password::calibrate());
        user.epoch = epoch;
        user.is_generated = false;
        Ok(())
    }

    /// Takes one out.
    pub fn remove(&mut self, name: &str) -> Result<(), String> {
        let before = self.list.len();
        self.list.retain(|user| user.name != name);
        self.changes += 1;
        if self.list.len() < before {
            Ok(())
        } else {
            Err(nobody(name))
        }
    }

    fn push(&mut self, name: &str, role: Role, password: Hashed, is_generated: bool) {
        self.changes += 1;
        self.list.push(User {
            name: name.to_owned(),
            role,
            is_generated,
            epoch: self.changes,
            password,
        });
    }

    /// What the slowest of the passwords takes.
    pub(super) fn slowest(&self) -> NonZero<u32> {
        let iterations = self.list.iter().map(|user| user.password.iterations);
        let least = NonZero::new(ITERATIONS_OF_GENERATED).unwrap_or(NonZero::<u32>::MIN);
        iterations.max().unwrap_or(least)
    }
}

/// The first user of a state directory that has none: `admin`, with a password that is returned and kept in a
/// file for its owner only.
pub(super) fn first_admin(state: &Path) -> Result<Option<String>, String> {
    match Users::read(state) {
        Ok(None) => {}
        Ok(Some(_)) => return Ok(None),
        Err(error) => {
            return Err(format!(
                "cannot read `{}`: {error}",
                state.join(FILE).display()
            ));
        }
    }
    let password = password::generate();
    Users::change(state, |users| {
        let cannot = |error| format!("cannot keep the password: {error}");
        replace(state, GENERATED, &format!("{password}\n")).map_err(cannot)?;
        let least = NonZero::new(ITERATIONS_OF_GENERATED).unwrap_or(NonZero::<u32>::MIN);
        users.push("admin", Role::Admin, Hashed::new(&password, least), true);
        Ok(())
    })?;
    Ok(Some(password))
}

/// Where the generated password is, while it holds.
pub(super) fn generated_password(state: &Path) -> Option<PathBuf> {
    Some(state.join(GENERATED)).filter(|path| path.exists())
}

/// What tells one version of the file from another.
pub(super) type Stamp = Option<(SystemTime, u64, u64)>;

pub(super) fn stamp(state: &Path) -> Stamp {
    let metadata = fs::metadata(state.join(FILE)).ok()?;
    Some((metadata.modified().ok()?, metadata.ino(), metadata.len()))
}

fn nobody(name: &str) -> String {
    format!("there is no user `{}`", name.escape_debug())
}

fn check_name(name: &str) -> Result<(), String> {
    let is_fit = |b: u8| b.is_ascii_alphanumeric() || b"_.@-".contains(&b);
    if (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_fit) {
        return Ok(());
    }
    Err(format!(
        "`{}` is not a name: 1 to {NAME_BYTES_MAX} of A-Z a-z 0-9 _ . @ -",
        name.escape_debug()
    ))
}

fn check_password(password: &str) -> Result<(), String> {
    if password.chars().count() < PASSWORD_MIN {
        return Err(format!("a password has at least {PASSWORD_MIN} characters"));
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(format!("a password has at most {PASSWORD_BYTES_MAX} bytes"));
    }
    Ok(())
}

/// Puts a file in place as a whole, synced, for its owner only.
fn replace(state: &Path, name: &str, content: &str) -> io::Result<()> {
    let fresh = state.join(format!(".{name}.tmp"));
    let _ = fs::remove_file(&fresh);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, state.join(name))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn place(test: &str) -> PathBuf {
        let place =
            std::env::temp_dir().join(format!("mini-dag-users-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(&place).unwrap();
        place
    }

    #[test]
    fn users_are_kept_for_their_owner_only_and_a_change_has_an_epoch_of_its_own() {
        let state = place("keep");
        assert_eq!(Users::read(&state).unwrap(), None);
        Users::change(&state, |users| users.add("anna", Role::Op, "long enough")).unwrap();
        let before = Users::read(&state).unwrap().unwrap();
        Users::change(&state, |users| {
            users.set_password("anna", "longer than that")
        })
        .unwrap();
        let after = Users::read(&state).unwrap().unwrap();
        assert!(after.find("anna").unwrap().epoch > before.find("anna").unwrap().epoch);
        assert_eq!(after.secret, before.secret);
        Users::change(&state, |users| users.remove("anna")).unwrap();
        Users::change(&state, |users| users.add("anna", Role::Op, "long enough")).unwrap();
        let again = Users::read(&state).unwrap().unwrap();
        assert!(again.find("anna").unwrap().epoch > after.find("anna").unwrap().epoch);
        let mode = fs::metadata(state.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::remove_dir_all(state).unwrap();
    }

    #[test]
    fn what_is_refused_changes_nothing() {
        let state = place("refuse");
        let add = |name: &str, password: &str| {
            Users::change(&state, |users| users.add(name, Role::Viewer, password))
        };
        add("anna", "long enough").unwrap();
        let before = fs::read(state.join(FILE)).unwrap();
        for (name, password) in [
            ("anna", "long enough"),
            ("", "long enough"),
            ("a b", "long enough"),
            ("<b>", "long enough"),
            ("bob", "short"),
        ] {
            assert!(add(name, password).is_err(), "{name} {password}");
        }
        assert!(Users::change(&state, |users| users.remove("bob")).is_err());
        assert!(Users::change(&state, |users| users.set_password("bob", "long enough")).is_err());
        assert_eq!(fs::read(state.join(FILE)).unwrap(), before);
        fs::write(state.join(FILE), "{}").unwrap();
        assert!(add("bob", "long enough").is_err());
        assert_eq!(
            fs::read(state.join(FILE)).unwrap(),
            b"{}",
            "what cannot be read is not replaced"
        );
        fs::remove_dir_all(state).unwrap();
    }

    #[test]
    fn the_first_admin_is_made_once_and_its_password_goes_with_the_next() {
        let state = place("first");
        let password = first_admin(&state).unwrap().unwrap();
        assert_eq!(first_admin(&state).unwrap(), None);
        let kept = generated_password(&state).unwrap();
        assert_eq!(fs::read_to_string(&kept).unwrap().trim(), password);
        assert_eq!(
            fs::metadata(&kept).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let users = Users::read(&state).unwrap().unwrap();
        let admin = users.find("admin").unwrap();
        assert!(password::verify(
            &password,
            Some(&admin.password),
            users.slowest()
        ));
        Users::change(&state, |users| {
            users.set_password("admin", "my own password")
        })
        .unwrap();
        assert_eq!(generated_password(&state), None);
        fs::remove_dir_all(state).unwrap();
    }
}
