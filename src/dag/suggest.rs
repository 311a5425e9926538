//! "Did you mean": the known word that a mistyped one is nearest to.

/// Words longer than this are not compared.
const WORD_BYTES_MAX: usize = 64;
/// Candidates beyond this many are not looked at: a suggestion is not worth more time.
const CANDIDATES_MAX: usize = 2_000;

/// The candidate that `word` probably means: at most one in three characters differs, counting a missing,
/// added, wrong or swapped character as one difference each. The first of equally near ones.
pub fn did_you_mean<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    let word: Vec<char> = word.chars().flat_map(char::to_lowercase).collect();
    let allowed = (word.len() / 3).min(3);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates.into_iter().take(CANDIDATES_MAX) {
        let allowed = best.map_or(allowed + 1, |(distance, _)| distance);
        if candidate.len() > WORD_BYTES_MAX {
            continue;
        }
        let letters: Vec<char> = candidate.chars().flat_map(char::to_lowercase).collect();
        if letters.len().abs_diff(word.len()) < allowed {
            let distance = distance(&word, &letters);
            if distance < allowed {
                best = Some((distance, candidate));
            }
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// The sentence that offers what [`did_you_mean`] finds.
pub(super) fn help<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<String> {
    did_you_mean(word, candidates).map(|found| format!("did you mean `{found}`?"))
}

/// Optimal string alignment distance: Levenshtein's, and a swap of neighbours counts once.
fn distance(a: &[char], b: &[char]) -> usize {
    let width = b.len() + 1;
    let mut before_last = vec![0; width];
    let mut last: Vec<usize> = (0..width).collect();
    let mut row = vec![0; width];
    for i in 1..=a.len() {
        row[0] = i;
        for j in 1..width {
            let wrong = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + wrong);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before_last[j - 2] + 1);
            }
            row[j] = least;
        }
        std::mem::swap(&mut before_last, &mut last);
        std::mem::swap(&mut last, &mut row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_forgiven_and_another_word_is_not() {
        let words = ["schedule", "start_date", "tags", "owner", "doc"];
        let check = |word: &str, expect: Option<&str>| {
            assert_eq!(did_you_mean(word, words), expect, "{word}");
        };
        check("shedule", Some("schedule"));
        check("scheduel", Some("schedule"));
        check("SCHEDULE", Some("schedule"));
        check("startdate", Some("start_date"));
        check("tag", Some("tags"));
        check("dco", Some("doc"));
        check("description", None);
        check("", None);
        check("x", None);
        check(&"s".repeat(100_000), None);
    }
}
