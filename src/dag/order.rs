//! `a >> [b, c] >> d`: one entry of `order`, read into groups of names.

use std::ops::Range;

/// The groups of an order in the direction of time, each of the names where they stand: every name of a
/// group waits for every name of the group before it.
pub(super) type Groups = Vec<Vec<Range<usize>>>;

/// What is wrong with an order, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OrderError {
    pub(super) part: Range<usize>,
    pub(super) label: &'static str,
}

/// Reads `a >> [b, c] >> d`, or the same from right to left with `<<`.
pub(super) fn parse(text: &str) -> Result<Groups, OrderError> {
    let mut words = Words { text, at: 0 };
    let mut groups = Vec::new();
    let mut arrow: Option<&str> = None;
    loop {
        groups.push(group(&mut words)?);
        let part = words.next();
        match &text[part.clone()] {
            "" if arrow.is_some() => break,
            "" => return Err(error(part, "`>>` and a second task are missing")),
            word @ (">>" | "<<") => {
                if arrow.is_some_and(|arrow| arrow != word) {
                    return Err(error(part, "`>>` and `<<` do not mix: write two entries"));
                }
                arrow = Some(word);
            }
            _ => return Err(error(part, "expected `>>` or `<<`")),
        }
    }
    if arrow == Some("<<") {
        groups.reverse();
    }
    Ok(groups)
}

fn group(words: &mut Words<'_>) -> Result<Vec<Range<usize>>, OrderError> {
    let first = words.next();
    if &words.text[first.clone()] != "[" {
        return match &words.text[first.clone()] {
            "" | ">>" | "<<" | "]" | "," => Err(error(first, "expected a task id or `[`")),
            _ => Ok(vec![first]),
        };
    }
    let mut names = Vec::new();
    loop {
        let name = words.next();
        match &words.text[name.clone()] {
            "" | "[" | "]" | "," | ">>" | "<<" => return Err(error(name, "expected a task id")),
            _ => names.push(name),
        }
        let next = words.next();
        match &words.text[next.clone()] {
            "," => {}
            "]" => return Ok(names),
            _ => return Err(error(next, "expected `,` or `]`")),
        }
    }
}

fn error(part: Range<usize>, label: &'static str) -> OrderError {
    OrderError { part, label }
}

struct Words<'t> {
    text: &'t str,
    at: usize,
}

impl Words<'_> {
    /// The next sign or name; at the end, an empty range after the last word.
    fn next(&mut self) -> Range<usize> {
        let rest = &self.text[self.at..];
        let start = self.at + rest.len() - rest.trim_start().len();
        let rest = &self.text[start..];
        if rest.is_empty() {
            return self.at..self.at;
        }
        let is_sign = |c: char| matches!(c, '[' | ']' | ',' | '<' | '>') || c.is_whitespace();
        let length = if rest.starts_with(">>") || rest.starts_with("<<") {
            2
        } else {
            match rest.find(is_sign) {
                Some(0) => 1,
                Some(end) => end,
                None => rest.len(),
            }
        };
        self.at = start + length;
        start..self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_come_in_the_direction_of_time() {
        let check = |text: &str, expect: &[&[&str]]| {
            let groups = parse(text).expect(text);
            let names: Vec<Vec<&str>> = groups
                .into_iter()
                .map(|group| group.into_iter().map(|name| &text[name]).collect())
                .collect();
            assert_eq!(names, expect, "{text}");
        };
        check("a >> b", &[&["a"], &["b"]]);
        check("a>>[b,c]>>d", &[&["a"], &["b", "c"], &["d"]]);
        check(" d << [ c , b ] << a ", &[&["a"], &["c", "b"], &["d"]]);
        check("[a, b] >> [c]", &[&["a", "b"], &["c"]]);
    }

    #[test]
    fn what_is_wrong_is_named_where_it_stands() {
        let check = |text: &str, part: &str, label: &str| {
            let error = parse(text).expect_err(text);
            assert_eq!((&text[error.part], error.label), (part, label), "{text}");
        };
        check("", "", "expected a task id or `[`");
        check("a", "", "`>>` and a second task are missing");
        check("a >> ", "", "expected a task id or `[`");
        check("a > b", ">", "expected `>>` or `<<`");
        check("a -> b", "-", "expected `>>` or `<<`");
        check("a b", "b", "expected `>>` or `<<`");
        check("a >> [b c]", "c", "expected `,` or `]`");
        check("a >> [b, c", "", "expected `,` or `]`");
        check("a >> []", "]", "expected a task id");
        check("a >> [b, [c]]", "[", "expected a task id");
        check(
            "a >> b << c",
            "<<",
            "`>>` and `<<` do not mix: write two entries",
        );
        check("a >> >> b", ">>", "expected a task id or `[`");
        check("[a, b]", "", "`>>` and a second task are missing");
    }
}
