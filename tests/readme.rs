//! What README says is so: the session, the table of keys, and the program in Rust.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use mini_dag::dag::keys::{ACTIONS, CONFIG_KEYS, DAG_KEYS, Key, TASK_KEYS};

const BEGIN: &str = "<!-- keys: made by `UPDATE=1 cargo test --test readme` -->\n";
const END: &str = "<!-- end of keys -->\n";

fn readme() -> (PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = fs::read_to_string(&path).unwrap();
    (path, text)
}

/// The fenced block that follows `heading`.
fn block<'t>(text: &'t str, heading: &str) -> &'t str {
    let after = &text[text.find(heading).expect(heading) + heading.len()..];
    let body = &after[after.find("```").unwrap() + 3..];
    let body = &body[body.find('\n').unwrap() + 1..];
    &body[..body.find("```").unwrap()]
}

/// Times and durations differ from run to run.
fn without_times(text: &str) -> String {
    let digits = |word: &str| {
        word.chars()
            .all(|c| c.is_ascii_digit() || ".:sm".contains(c))
    };
    let is_time = |word: &str| word.len() > 3 && digits(word) && word.contains(['.', ':']);
    let mut result = String::new();
    for line in text.lines() {
        let words = line.split(' ').map(|word| {
            let (word, colon) = word
                .strip_suffix(':')
                .map_or((word, ""), |word| (word, ":"));
            let is_time = is_time(word) && (word.ends_with('s') || word.matches(':').count() == 2);
            if is_time {
                format!("TIME{colon}")
            } else {
                format!("{word}{colon}")
            }
        });
        writeln!(result, "{}", words.collect::<Vec<_>>().join(" ")).unwrap();
    }
    result
}

#[test]
fn each_session_is_what_the_program_prints() {
    for name in ["weather.json", "report.json"] {
        check_session(name);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test starts the program as its users do"
)]
fn check_session(name: &str) {
    let (_, readme) = readme();
    let folder = std::env::temp_dir().join(format!("mini-dag-readme-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), block(&readme, &format!("`{name}`:"))).unwrap();
    let session = &readme[readme.find(&format!("$ mini-dag run {name}")).unwrap()..];
    let (command, expected) = session[..session.find("```").unwrap()]
        .split_once('\n')
        .unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_mini-dag"))
        .args(command.split(' ').skip(2))
        .current_dir(&folder)
        .env("HOME", &folder)
        .env("TZ", "UTC")
        .env_remove("XDG_STATE_HOME")
        .env_remove("MINI_DAG_STATE")
        .env_remove("STATE_DIRECTORY")
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let told = told.replace(folder.to_str().unwrap(), "~");
    assert_eq!(without_times(&told), without_times(expected));
    assert!(output.status.success());
    fs::remove_dir_all(&folder).unwrap();
}

fn table(title: &str, keys: &[Key]) -> String {
    let mut text =
        format!("\n{title}\n\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n");
    for key in keys {
        let default = match key.default {
            "" => String::new(),
            text if text.starts_with(['"', '[', '{']) || text.parse::<f64>().is_ok() => {
                format!("`{text}`")
            }
            text @ ("true" | "false" | "null") => format!("`{text}`"),
            text => text.to_owned(),
        };
        let value = key.shape.describe().replace('|', "\\|");
        let of = match key.of {
            [only] => format!("; only with `{only}`"),
            of => {
                let others = ACTIONS.iter().filter(|action| !of.contains(action));
                let others: Vec<_> = others.map(|action| format!("`{action}`")).collect();
                let others = others.join(" or ");
                match others.as_str() {
                    "" => String::new(),
                    others => format!("; not with {others}"),
                }
            }
        };
        writeln!(
            text,
            "| `{}` | {value} | {default} | {}{of} |",
            key.name, key.doc
        )
        .unwrap();
    }
    text
}

/// A file that a golden test loads, folded away.
fn example(title: &str, file: &str) -> String {
    format!("\n<details><summary>{title}</summary>\n\n```json\n{file}```\n\n</details>\n")
}

/// The objects that stand under these keys, and under theirs: each once, by the first key it is found under.
fn objects(keys: &'static [Key], found: &mut Vec<(&'static str, &'static [Key])>) {
    for key in keys {
        for inner in key.shape.objects() {
            if found.iter().all(|(_, it)| !std::ptr::eq(*it, inner)) {
                found.push((key.name, inner));
                objects(inner, found);
            }
        }
    }
}

/// Every object that is no file, by the key that it stands under.
fn all_objects() -> Vec<(&'static str, &'static [Key])> {
    let mut found = vec![("tasks", TASK_KEYS)];
    for keys in [DAG_KEYS, TASK_KEYS, CONFIG_KEYS] {
        objects(keys, &mut found);
    }
    found
}

#[test]
fn every_key_has_an_example() {
    let (_, readme) = readme();
    let inner = all_objects().into_iter().flat_map(|(_, keys)| keys);
    let keys = inner.chain(DAG_KEYS).chain(CONFIG_KEYS);
    for key in keys {
        let example = format!("\"{}\":", key.name);
        assert!(readme.contains(&example), "no example of {example}");
    }
}

#[test]
fn every_key_is_in_the_reference() {
    let (path, readme) = readme();
    let found = all_objects();
    let mut expected = table("**Keys of a DAG**", DAG_KEYS);
    for (name, keys) in found {
        let title = match name {
            "tasks" => {
                "**Keys of a task**, exactly one action among them, and no key that means nothing to it"
                    .to_owned()
            },
            "on_success" => {
                "**Keys of `on_success`, `on_failure` and `on_retry`**, exactly one action among them"
                    .to_owned()
            }
            name => format!("**Keys of `{name}`**"),
        };
        expected += &table(&title, keys);
    }
    expected += &table("**Keys of the daemon's config file**", CONFIG_KEYS);
    expected += &example(
        "A DAG file with every key",
        include_str!("golden/everything.json"),
    );
    let config = include_str!("golden/config/everything.json");
    expected += &example("A config file with every key", config);
    expected += "\n";
    let (before, rest) = readme.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
    } else {
        assert_eq!(
            found, expected,
            "`UPDATE=1 cargo test --test readme` writes it"
        );
    }
}
