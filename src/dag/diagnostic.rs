//! What is wrong, where, why, and what to do: the one form of every error a person made.
//!
//! ```text
//! error: task `clean` has unknown upstream `fetch_forcast`
//!  --> weather.json:6:52
//!   |
//! 6 |     {"task_id": "clean", "bash": "true", "after": ["fetch_forcast"]}
//!   |                                                    ^^^^^^^^^^^^^^^ no task has this id
//!   = help: did you mean `fetch_forecast`?
//! ```
//!
//! A diagnostic stands alone: it keeps the piece of the source line that it shows, not the text. Rendered,
//! it holds no control character and nothing that reorders text, whatever the input held.

use std::cell::OnceCell;
use std::fmt;
use std::fmt::Write as _;
use std::ops::Range;

use super::width::{cells, is_unprintable};

/// The widest piece of a source line that is shown, in terminal cells; a longer line is clipped around
/// the place.
const EXCERPT_CELLS_MAX: usize = 120;
/// Characters without a width of their own do not count as cells; there is an end to them, too.
const EXCERPT_CHARS_MAX: usize = 2 * EXCERPT_CELLS_MAX;
/// How much of a clipped line is shown before the place.
const EXCERPT_LEAD_CELLS: usize = 60;
/// The longest text taken over from the input into a sentence, in characters.
const QUOTE_CHARS_MAX: usize = 80;
const TAB_CELLS: usize = 4;

/// A place in a text, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// From `start` up to, not including, `end`. What lies beyond 4 GiB counts as there.
    pub fn new(start: usize, end: usize) -> Self {
        let bound = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self {
            start: bound(start),
            end: bound(end),
        }
    }

    /// Its first byte.
    pub fn start(self) -> usize {
        self.start as usize
    }

    /// The byte after its last.
    pub fn end(self) -> usize {
        self.end as usize
    }

    /// For slicing the text.
    pub fn range(self) -> Range<usize> {
        self.start()..self.end()
    }
}

/// A text that a person wrote, under the name that they know it by.
#[derive(Debug)]
pub struct Source<'t> {
    /// As it is shown: a path, or `<stdin>`.
    pub file: &'t str,
    /// The whole text.
    pub text: &'t str,
    /// Where each line after the first begins.
    line_starts: OnceCell<Vec<u32>>,
}

impl<'t> Source<'t> {
    /// The text of a file.
    pub fn new(file: &'t str, text: &'t str) -> Self {
        Self {
            file,
            text,
            line_starts: OnceCell::new(),
        }
    }

    /// The line of a place, from 1, and where that line stands.
    fn line(&self, at: usize) -> (usize, Range<usize>) {
        let starts = self.line_starts.get_or_init(|| {
            let newlines = self.text.match_indices('\n');
            newlines.map(|(at, _)| Span::new(at + 1, 0).start).collect()
        });
        let before = starts.partition_point(|&start| start as usize <= at);
        let start = before.checked_sub(1).map_or(0, |i| starts[i] as usize);
        let end = starts
            .get(before)
            .map_or(self.text.len(), |&next| next as usize - 1);
        let line = self.text[start..end].trim_end_matches('\r');
        (before + 1, start..start + line.len())
    }
}

/// Something that a person got wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Where, if it is in a text.
    pub place: Option<Place>,
    /// Facts that explain it.
    pub notes: Vec<String>,
    /// What to do about it.
    pub help: Option<String>,
}

/// Where something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// As [`Source::file`].
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// In bytes of the text.
    pub span: Span,
    /// Why, in a few words; may be empty.
    pub label: String,
    excerpt: Excerpt,
}

/// A piece of a source line, safe to print, and what is underlined in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Excerpt {
    text: String,
    caret_cell: usize,
    caret_cells: usize,
}

impl Diagnostic {
    /// An error that is in no text.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            place: None,
            notes: Vec::new(),
            help: None,
        }
    }

    /// Says where it is, and what to write under the place.
    #[must_use]
    pub fn at(mut self, source: &Source<'_>, span: Span, label: impl Into<String>) -> Self {
        let start = floor(source.text, span.start());
        let end = floor(source.text, span.end()).max(start);
        let (line, range) = source.line(start);
        // A place at the end of a line that ends in `\r\n` may lie behind what is shown of it.
        let start = start.min(range.end);
        self.place = Some(Place {
            file: source.file.to_owned(),
            line,
            column: source.text[range.start..start].chars().count() + 1,
            span,
            label: label.into(),
            excerpt: Excerpt::new(source.text, &range, start..end.clamp(start, range.end)),
        });
        self
    }

    /// Adds a fact.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Says what to do; nothing for `None`.
    #[must_use]
    pub fn help(mut self, help: impl Into<Option<String>>) -> Self {
        self.help = help.into();
        self
    }

    /// The text for people, with a line feed at the end; with ANSI colours if `colour`.
    pub fn render(&self, colour: bool) -> String {
        let paint = |code: &'static str| if colour { code } else { "" };
        let (red, blue) = (paint("\x1b[1;31m"), paint("\x1b[1;34m"));
        let (bold, plain) = (paint("\x1b[1m"), paint("\x1b[0m"));
        let mut out = format!(
            "{red}error{plain}{bold}: {}{plain}\n",
            printable(&self.message)
        );
        let mut gutter = 1;
        if let Some(place) = &self.place {
            let (line, column) = (place.line, place.column);
            gutter = line.to_string().len();
            let excerpt = &place.excerpt;
            let file = printable(&place.file);
            let label = printable(&place.label);
            let space = if label.is_empty() { "" } else { " " };
            _ = write!(
                out,
                "{:gutter$}{blue}-->{plain} {file}:{line}:{column}\n\
                 {:gutter$} {blue}|{plain}\n\
                 {blue}{line} |{plain} {}\n\
                 {:gutter$} {blue}|{plain} {:caret$}{red}{}{space}{label}{plain}\n",
                "",
                "",
                excerpt.text,
                "",
                "",
                "^".repeat(excerpt.caret_cells),
                caret = excerpt.caret_cell,
            );
        }
        let facts = self.notes.iter().map(|note| ("note", note));
        for (word, text) in facts.chain(self.help.iter().map(|help| ("help", help))) {
            let text = printable(text);
            _ = writeln!(
                out,
                "{:gutter$} {blue}={plain} {bold}{word}{plain}: {text}",
                ""
            );
        }
        out
    }
}

/// As [`Diagnostic::render`] without colour.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostic {}

/// All of them, with an empty line between two.
pub fn render(diagnostics: &[Diagnostic], colour: bool) -> String {
    let texts: Vec<String> = diagnostics.iter().map(|d| d.render(colour)).collect();
    texts.join("\n")
}

/// The beginning of a text from outside, for a sentence: `` `…` `` stays one line of bearable length.
pub(super) fn quote(text: &str) -> std::borrow::Cow<'_, str> {
    match text.char_indices().nth(QUOTE_CHARS_MAX) {
        None => text.into(),
        Some((at, _)) => format!("{}…", &text[..at]).into(),
    }
}

impl Excerpt {
    /// Shows `line` of the text, or what fits of it, and underlines `span`, which lies within it.
    fn new(text: &str, line: &Range<usize>, span: Range<usize>) -> Self {
        // Each piece of a line costs what is shown of it, not what the line is long.
        let (lead, lead_whole) = fit_back(&text[line.start..span.start], EXCERPT_CELLS_MAX);
        let (rest, rest_whole) = fit(&text[span.start..line.end], EXCERPT_CELLS_MAX);
        let whole =
            lead_whole && rest_whole && shown_cells(lead) + shown_cells(rest) <= EXCERPT_CELLS_MAX;
        let (lead, lead_whole, rest, rest_whole) = if whole {
            (lead, true, rest, true)
        } else {
            let (lead, lead_whole) = fit_back(lead, EXCERPT_LEAD_CELLS);
            let room = EXCERPT_CELLS_MAX - shown_cells(lead);
            let (rest, rest_whole) = fit(&text[span.start..line.end], room);
            // `fit_back` saw only what fitted the first time.
            let lead_whole = lead_whole && span.start - line.start == lead.len();
            (lead, lead_whole, rest, rest_whole)
        };
        let underlined = &rest[..rest.len().min(span.len())];
        let before = if lead_whole { "" } else { "…" };
        let after = if rest_whole { "" } else { "…" };
        Self {
            text: format!("{before}{}{}{after}", printable(lead), printable(rest)),
            caret_cell: before.chars().count() + shown_cells(lead),
            caret_cells: shown_cells(underlined).max(1),
        }
    }
}

/// The beginning of `text` that takes at most `cells_max` cells, and whether that is all of it.
fn fit(text: &str, cells_max: usize) -> (&str, bool) {
    let mut room = cells_max;
    for (count, (at, character)) in text.char_indices().enumerate() {
        match room.checked_sub(shown(character).1) {
            Some(left) if count < EXCERPT_CHARS_MAX => room = left,
            Some(_) | None => return (&text[..at], false),
        }
    }
    (text, true)
}

/// The end of `text` that takes at most `cells_max` cells, and whether that is all of it.
fn fit_back(text: &str, cells_max: usize) -> (&str, bool) {
    let mut room = cells_max;
    for (count, (at, character)) in text.char_indices().rev().enumerate() {
        match room.checked_sub(shown(character).1) {
            Some(left) if count < EXCERPT_CHARS_MAX => room = left,
            Some(_) | None => return (&text[at + character.len_utf8()..], false),
        }
    }
    (text, true)
}

fn shown_cells(text: &str) -> usize {
    text.chars().map(|character| shown(character).1).sum()
}

/// How a character is shown: itself, or instead of it; and in how many cells.
fn shown(character: char) -> (Option<String>, usize) {
    if character == '\t' {
        (Some(" ".repeat(TAB_CELLS)), TAB_CELLS)
    } else if is_unprintable(character) {
        let escape = character.escape_unicode().to_string();
        let length = escape.len();
        (Some(escape), length)
    } else {
        (None, cells(character))
    }
}

/// A text from anywhere, safe for a terminal: what is invisible or would act on it is written as `\u{1b}`.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match shown(character).0 {
            Some(instead) => out.push_str(&instead),
            None => out.push(character),
        }
    }
    out
}

/// The nearest place at or before `at` where a character begins.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown of a word in a text, without the first line.
    fn show(text: &str, word: &str) -> String {
        let at = text.find(word).expect("the word");
        let source = Source::new("x.json", text);
        let shown = Diagnostic::new("wrong")
            .at(&source, Span::new(at, at + word.len()), "here")
            .to_string();
        shown.split_once('\n').expect("two lines").1.to_owned()
    }

    #[test]
    fn carets_stand_under_what_they_mean() {
        for (text, word, expect) in [
            ("ab", "b", " --> x.json:1:2\n  |\n1 | ab\n  |  ^ here\n"),
            (
                "\n\n  ab\r\nc",
                "ab",
                " --> x.json:3:3\n  |\n3 |   ab\n  |   ^^ here\n",
            ),
            (
                "날씨 \"받기\"",
                "받기",
                " --> x.json:1:5\n  |\n1 | 날씨 \"받기\"\n  |       ^^^^ here\n",
            ),
            ("🚀x", "x", " --> x.json:1:2\n  |\n1 | 🚀x\n  |   ^ here\n"),
            (
                "\tx",
                "x",
                " --> x.json:1:2\n  |\n1 |     x\n  |     ^ here\n",
            ),
            (
                "e\u{301}x",
                "x",
                " --> x.json:1:3\n  |\n1 | e\u{301}x\n  |  ^ here\n",
            ),
            ("a\nb", "a\nb", " --> x.json:1:1\n  |\n1 | a\n  | ^ here\n"),
        ] {
            assert_eq!(show(text, word), expect, "{text:?}");
        }
        let far = format!("{}HERE", "\n".repeat(99));
        assert_eq!(
            show(&far, "HERE"),
            "   --> x.json:100:1\n    |\n100 | HERE\n    | ^^^^ here\n"
        );
    }

    #[test]
    fn a_long_line_is_clipped_around_the_place() {
        let text = format!("{}HERE{}", "날".repeat(1_000), "x".repeat(1_000));
        let shown = show(&text, "HERE");
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(
            lines[2],
            format!("1 | …{}HERE{}…", "날".repeat(30), "x".repeat(56))
        );
        assert_eq!(lines[3], format!("  | {}^^^^ here", " ".repeat(61)));
        let text = format!("HERE{}", "x".repeat(116));
        assert!(show(&text, "HERE").contains(&format!("1 | {text}\n")));
        let text = format!("HERE{}", "x".repeat(117));
        assert!(show(&text, "HERE").contains("xx…\n"));
    }

    #[test]
    fn nothing_of_the_input_acts_on_a_terminal() {
        let hostile = "\u{1b}[31m\u{9b}2J\u{202e}\u{200b}\r\u{7}";
        let source = Source::new("\u{1b}", hostile);
        let error = Diagnostic::new(hostile)
            .at(&source, Span::new(0, hostile.len()), hostile)
            .note(hostile)
            .help(hostile.to_owned());
        let shown = error.to_string();
        let acts = |c: char| c != '\n' && is_unprintable(c);
        assert!(!shown.contains(acts), "{shown:?}");
        assert_eq!(shown.matches("\\u{202e}").count(), 5);
        assert!(error.render(true).contains("\u{1b}[1;31m^"));
    }

    #[test]
    fn a_place_that_is_not_in_the_text_is_no_panic() {
        let source = Source::new("x", "é\r\n");
        for start in 0..10 {
            for end in 0..10 {
                let error = Diagnostic::new("x").at(&source, Span::new(start, end), "");
                assert!(error.render(true).contains('^'));
            }
        }
    }
}
