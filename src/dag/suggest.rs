//! "Did you mean", for a sentence of help.

use crate::timetable::nearest;

/// Words longer than this are not compared.
const WORD_BYTES_MAX: usize = 64;
/// Candidates beyond this many are not looked at: a suggestion is not worth more time.
const CANDIDATES_MAX: usize = 2_000;

/// The sentence that offers the candidate which `word` probably means, if there is one.
pub fn help<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<String> {
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    let candidates = candidates.into_iter().take(CANDIDATES_MAX);
    nearest(word, candidates.filter(|name| name.len() <= WORD_BYTES_MAX))
        .map(|found| format!("did you mean `{found}`?"))
}
