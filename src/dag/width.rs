//! How many cells of a terminal a character takes, so that a caret stands under what it means.
//!
//! The table is Unicode's East Asian Width (W and F) and the combining marks of the scripts that stack
//! them, in ranges coarse enough to read. A terminal that disagrees shows a caret beside its place.

/// Ranges of characters that take two cells.
const WIDE: &[(u32, u32)] = &[
    (0x1100, 0x115F), // Hangul initial consonants
    (0x231A, 0x231B),
    (0x2329, 0x232A),
    (0x23E9, 0x23EC),
    (0x23F0, 0x23F0),
    (0x23F3, 0x23F3),
    (0x25FD, 0x25FE),
    (0x2614, 0x2615),
    (0x2648, 0x2653),
    (0x267F, 0x267F),
    (0x2693, 0x2693),
    (0x26A1, 0x26A1),
    (0x26AA, 0x26AB),
    (0x26BD, 0x26BE),
    (0x26C4, 0x26C5),
    (0x26CE, 0x26CE),
    (0x26D4, 0x26D4),
    (0x26EA, 0x26EA),
    (0x26F2, 0x26F3),
    (0x26F5, 0x26F5),
    (0x26FA, 0x26FA),
    (0x26FD, 0x26FD),
    (0x2705, 0x2705),
    (0x270A, 0x270B),
    (0x2728, 0x2728),
    (0x274C, 0x274C),
    (0x274E, 0x274E),
    (0x2753, 0x2755),
    (0x2757, 0x2757),
    (0x2795, 0x2797),
    (0x27B0, 0x27B0),
    (0x27BF, 0x27BF),
    (0x2B1B, 0x2B1C),
    (0x2B50, 0x2B50),
    (0x2B55, 0x2B55),
    (0x2E80, 0x303E), // CJK radicals and punctuation
    (0x3041, 0x4DBF), // kana, Hangul compatibility letters, CJK
    (0x4E00, 0xA4CF), // CJK, Yi
    (0xA960, 0xA97C),
    (0xAC00, 0xD7A3), // Hangul
    (0xF900, 0xFAFF),
    (0xFE10, 0xFE19),
    (0xFE30, 0xFE6F),
    (0xFF01, 0xFF60), // full-width forms
    (0xFFE0, 0xFFE6),
    (0x16FE0, 0x18CFF),
    (0x1AFF0, 0x1B2FF),
    (0x1F004, 0x1F004),
    (0x1F0CF, 0x1F0CF),
    (0x1F18E, 0x1F18E),
    (0x1F191, 0x1F19A),
    (0x1F200, 0x1F320), // emoji from here
    (0x1F32D, 0x1F335),
    (0x1F337, 0x1F37C),
    (0x1F37E, 0x1F393),
    (0x1F3A0, 0x1F3CA),
    (0x1F3CF, 0x1F3D3),
    (0x1F3E0, 0x1F3F0),
    (0x1F3F4, 0x1F3F4),
    (0x1F3F8, 0x1F43E),
    (0x1F440, 0x1F440),
    (0x1F442, 0x1F4FC),
    (0x1F4FF, 0x1F53D),
    (0x1F54B, 0x1F54E),
    (0x1F550, 0x1F567),
    (0x1F57A, 0x1F57A),
    (0x1F595, 0x1F596),
    (0x1F5A4, 0x1F5A4),
    (0x1F5FB, 0x1F64F),
    (0x1F680, 0x1F6C5),
    (0x1F6CC, 0x1F6CC),
    (0x1F6D0, 0x1F6D2),
    (0x1F6D5, 0x1F6DF),
    (0x1F6EB, 0x1F6EC),
    (0x1F6F4, 0x1F6FC),
    (0x1F7E0, 0x1F7EB),
    (0x1F90C, 0x1F93A),
    (0x1F93C, 0x1F945),
    (0x1F947, 0x1F9FF),
    (0x1FA70, 0x1FAFF),
    (0x20000, 0x3FFFD), // rarer CJK
];

/// Ranges of characters that are drawn on the one before them.
const COMBINING: &[(u32, u32)] = &[
    (0x0300, 0x036F),
    (0x0483, 0x0489),
    (0x0591, 0x05BD),
    (0x0610, 0x061A),
    (0x064B, 0x065F),
    (0x1160, 0x11FF), // Hangul vowels and final consonants after an initial
    (0x1AB0, 0x1AFF),
    (0x1DC0, 0x1DFF),
    (0x20D0, 0x20F0),
    (0x3099, 0x309A),
    (0xFE00, 0xFE0F), // variation selectors
    (0xFE20, 0xFE2F),
    (0xE0100, 0xE01EF),
];

/// The cells that a printable character takes: 0, 1 or 2.
pub(super) fn cells(character: char) -> usize {
    let code = u32::from(character);
    if code < 0x300 {
        1
    } else if within(COMBINING, code) {
        0
    } else if within(WIDE, code) {
        2
    } else {
        1
    }
}

/// Whether a character must not reach a terminal as it is: control characters, and those that are
/// invisible or change the order in which the text around them is shown.
pub(super) fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn within(ranges: &[(u32, u32)], code: u32) -> bool {
    ranges
        .binary_search_by(|&(first, last)| {
            if last < code {
                std::cmp::Ordering::Less
            } else if first > code {
                std::cmp::Ordering::Greater
            } else {
                std::cmp::Ordering::Equal
            }
        })
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_ascending_and_disjoint() {
        for table in [WIDE, COMBINING] {
            assert!(table.iter().all(|&(first, last)| first <= last));
            for pair in table.windows(2) {
                assert!(pair[0].1 < pair[1].0, "{pair:x?}");
            }
        }
    }

    #[test]
    fn hangul_han_kana_and_emoji_take_two_cells() {
        let check = |text: &str, expect: usize| {
            assert_eq!(text.chars().map(cells).sum::<usize>(), expect, "{text}");
        };
        check("fetch", 5);
        check("받기", 4);
        check("天気", 4);
        check("ﾃﾝｷ", 3);
        check("テンキ", 6);
        check("🚀", 2);
        check("é", 1);
        check("e\u{301}", 1);
    }
}
