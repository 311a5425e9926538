//! "Did you mean": the known name that a misspelt one is nearest to.

/// The nearest of `names` by edits (insert, delete, replace, swap neighbours), letter case ignored; `None` if none is
/// within a third of the word's length. The first of equals.
pub fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(64).flat_map(char::to_lowercase).collect();
    let edits_max = word.len() / 3;
    names
        .filter_map(|name| {
            let letters: Vec<char> = name.chars().take(64).flat_map(char::to_lowercase).collect();
            if letters.len().abs_diff(word.len()) > edits_max {
                return None;
            }
            let edits = edits(&word, &letters);
            (edits <= edits_max).then_some((edits, name))
        })
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, name)| name)
}

/// The zone name that was probably meant: `Asia/Seoul` for `Asia/Soul`, `seoul` or `asia/seoul`.
pub fn suggest_zone<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let names: Vec<&str> = names.collect();
    let city = |name: &'a str| name.rsplit('/').next().unwrap_or(name);
    nearest(name, names.iter().copied())
        .or_else(|| {
            let wanted = nearest(name, names.iter().map(|name| city(name)))?;
            names.iter().copied().find(|name| city(name) == wanted)
        })
        .map(str::to_owned)
}

/// The optimal string alignment distance.
fn edits(from: &[char], to: &[char]) -> usize {
    let mut before_last = vec![0; to.len() + 1];
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let replaced = last[j] + usize::from(a != b);
            let mut fewest = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                fewest = fewest.min(before_last[j - 1] + 1);
            }
            row.push(fewest);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_that_was_meant_is_found() {
        let names = ["Asia/Seoul", "Asia/Tokyo", "Europe/Berlin", "UTC"];
        for (written, meant) in [
            ("Asia/Soul", Some("Asia/Seoul")),
            ("Asia/Seuol", Some("Asia/Seoul")),
            ("asia/seoul", Some("Asia/Seoul")),
            ("Seoul", Some("Asia/Seoul")),
            ("berlin", Some("Europe/Berlin")),
            ("Utc", Some("UTC")),
            ("UCT", Some("UTC")),
            ("Mars/Olympus", None),
            ("", None),
        ] {
            assert_eq!(
                suggest_zone(written, names.into_iter()).as_deref(),
                meant,
                "{written}"
            );
        }
    }
}
