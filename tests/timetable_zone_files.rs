//! Zone files and strings from a hostile or worn-out disk: they are read right or refused, and nothing else.

#![expect(
    clippy::unwrap_used,
    reason = "a test says no by panicking, and so do its parts"
)]

use mini_dag::timetable::{Schedule, Timestamp, Timetable, Zone, parse_duration};

/// A zone file of one's own. The 32-bit block is empty, as `zic -b slim` writes it.
struct File {
    version: u8,
    transitions: Vec<(i64, u8)>,
    /// Offset, and where the abbreviation begins.
    local_times: Vec<(i32, u8)>,
    abbreviations: &'static [u8],
    leap_seconds: u32,
    footer: &'static str,
}

/// Central European Time with some of its transitions from 1893 to 1996, and its rules since.
fn berlin() -> File {
    File {
        version: b'2',
        transitions: vec![
            (-2_422_054_408, 2),
            (-1_693_706_400, 1),
            (-1_680_483_600, 2),
            (796_611_600, 1),
            (811_904_400, 2),
            (828_234_000, 1),
        ],
        local_times: vec![(3208, 0), (7200, 4), (3600, 9)],
        abbreviations: b"LMT\0CEST\0CET\0",
        leap_seconds: 0,
        footer: "\nCET-1CEST,M3.5.0,M10.5.0/3\n",
    }
}

impl File {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.version >= b'2' {
            bytes.extend(self.header([0, 0, 0, 1, 1]));
            bytes.extend([0, 0, 0, 0, 0, 0, 0]);
        }
        let counts = [
            self.transitions.len(),
            self.local_times.len(),
            self.abbreviations.len(),
        ]
        .map(|count| u32::try_from(count).unwrap());
        bytes.extend(self.header([0, self.leap_seconds, counts[0], counts[1], counts[2]]));
        for (time, _) in &self.transitions {
            if self.version < b'2' {
                bytes.extend(i32::try_from(*time).unwrap().to_be_bytes());
            } else {
                bytes.extend(time.to_be_bytes());
            }
        }
        bytes.extend(self.transitions.iter().map(|(_, index)| index));
        for (offset, abbreviation) in &self.local_times {
            bytes.extend(offset.to_be_bytes());
            bytes.extend([0, *abbreviation]);
        }
        bytes.extend(self.abbreviations);
        bytes.extend(vec![0; self.leap_seconds as usize * 12]);
        if self.version >= b'2' {
            bytes.extend(self.footer.as_bytes());
        }
        bytes
    }

    fn header(&self, counts: [u32; 5]) -> Vec<u8> {
        let mut header = b"TZif".to_vec();
        header.push(self.version);
        header.extend([0; 15 + 4]);
        for count in counts {
            header.extend(count.to_be_bytes());
        }
        header
    }
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn check_shown(file: &File, moment: &str, shown: &str) {
    let zone = Zone::from_tzif("Europe/Berlin", &file.bytes()).unwrap();
    let local = zone.local(at(moment));
    assert_eq!(format!("{local} {}", local.abbreviation), shown);
}

#[test]
fn a_file_of_every_version_tells_the_time_before_between_and_after_its_transitions() {
    for version in [0, b'2', b'3', b'4'] {
        let mut file = berlin();
        file.version = version;
        if version == 0 {
            // 1893 does not fit into 32 bits.
            file.transitions.remove(0);
        } else {
            check_shown(
                &file,
                "1893-03-31T23:06:31Z",
                "1893-03-31T23:59:59+00:53:28 LMT",
            );
            check_shown(
                &file,
                "1893-03-31T23:06:32Z",
                "1893-04-01T00:06:32+01:00 CET",
            );
        }
        check_shown(
            &file,
            "1800-01-01T00:00:00Z",
            "1800-01-01T00:53:28+00:53:28 LMT",
        );
        check_shown(
            &file,
            "1916-06-01T00:00:00Z",
            "1916-06-01T02:00:00+02:00 CEST",
        );
        check_shown(
            &file,
            "1950-06-01T00:00:00Z",
            "1950-06-01T01:00:00+01:00 CET",
        );
        check_shown(
            &file,
            "1995-09-24T00:59:59Z",
            "1995-09-24T02:59:59+02:00 CEST",
        );
        check_shown(
            &file,
            "1995-12-01T00:00:00Z",
            "1995-12-01T01:00:00+01:00 CET",
        );
        // A version 1 file has no footer: its last local time stays.
        let winter = match version {
            0 => "2050-12-01T02:00:00+02:00 CEST",
            _ => "2050-12-01T01:00:00+01:00 CET",
        };
        check_shown(&file, "2050-12-01T00:00:00Z", winter);
    }
}

#[test]
fn the_next_transition_is_found_in_the_table_and_in_the_footer() {
    let zone = Zone::from_tzif("Europe/Berlin", &berlin().bytes()).unwrap();
    for (after, next) in [
        ("0000-01-01T00:00:00Z", "1893-03-31T23:06:32+00:00"),
        ("1893-03-31T23:06:32Z", "1916-04-30T22:00:00+00:00"),
        ("1995-06-01T00:00:00Z", "1995-09-24T01:00:00+00:00"),
        ("1995-09-24T01:00:00Z", "1996-03-31T01:00:00+00:00"),
        ("1996-03-31T01:00:00Z", "1996-10-27T01:00:00+00:00"),
        ("2150-01-01T00:00:00Z", "2150-03-29T01:00:00+00:00"),
    ] {
        let found = zone.next_transition(at(after)).unwrap();
        assert_eq!(found.at, at(next), "{after}");
    }
}

#[test]
fn the_last_transition_of_the_table_may_be_a_fold_of_its_own() {
    // Summer time for the last time: from 1996-10-27T01:00Z on, Central European Time for ever.
    let mut file = berlin();
    file.transitions.push((846_378_000, 2));
    file.footer = "\nCET-1\n";
    let timetable = Timetable {
        schedule: Schedule::parse("30 2 * * *").unwrap(),
        zone: Zone::from_tzif("Europe/Berlin", &file.bytes()).unwrap(),
        start: None,
        end: None,
        anchor: Timestamp::default(),
    };
    let first_pass = at("1996-10-27T02:30:00+02:00");
    let next_day = at("1996-10-28T02:30:00+01:00");
    assert_eq!(timetable.next_after(first_pass), Some(next_day));
    assert_eq!(timetable.previous_before(next_day), Some(first_pass));
    let second_pass = at("1996-10-27T02:10:00+01:00");
    assert_eq!(timetable.next_after(second_pass), Some(next_day));
}

#[test]
fn a_file_that_cannot_be_right_is_refused() {
    let refused = |label: &str, change: &dyn Fn(&mut File)| {
        let mut file = berlin();
        change(&mut file);
        let error = Zone::from_tzif("Europe/Berlin", &file.bytes()).expect_err(label);
        assert_eq!(
            error.message,
            "the zone file of `Europe/Berlin` cannot be used"
        );
        assert_eq!(error.label, label);
    };
    refused(
        "it counts leap seconds; use the zone without `right/`",
        &|file| file.leap_seconds = 27,
    );
    refused("it has no local time", &|file| {
        file.local_times.clear();
        file.transitions.clear();
    });
    refused("its transitions do not ascend", &|file| {
        file.transitions.swap(1, 2);
    });
    refused("its transitions do not ascend", &|file| {
        file.transitions[1] = file.transitions[0];
    });
    refused("its transitions do not ascend", &|file| {
        file.transitions[4].0 = i64::MAX;
    });
    refused("its transitions do not ascend", &|file| {
        file.transitions[0].0 = i64::MIN;
    });
    refused(
        "a transition leads to a local time that it does not have",
        &|file| {
            file.transitions[4].1 = 3;
        },
    );
    refused("it has more than 4000 transitions", &|file| {
        file.transitions = (0..4001).map(|time| (time, 0)).collect();
    });
    refused("a local time is more than a day from UTC", &|file| {
        file.local_times[0].0 = 93_600;
    });
    refused("a local time is more than a day from UTC", &|file| {
        file.local_times[0].0 = i32::MIN;
    });
    refused("a local time has no readable abbreviation", &|file| {
        file.local_times[0].1 = 99;
    });
    refused("a local time has no readable abbreviation", &|file| {
        file.abbreviations = b"L\x1bT\0CEST\0CET\0";
    });
    refused("its last line is missing", &|file| file.footer = "");
    refused("its last line is missing", &|file| file.footer = "\nCET-1");
    refused(
        "its last line: `CET` is not a POSIX time zone: expected an offset from -24 to 24 hours, such as -9 or 3:30",
        &|file| file.footer = "\nCET\n",
    );
    for (bytes, label) in [
        (&b""[..], "it does not begin with `TZif`"),
        (b"TZi", "it does not begin with `TZif`"),
        (b"TZif2", "it is cut short"),
    ] {
        assert_eq!(Zone::from_tzif("X", bytes).unwrap_err().label, label);
    }
}

/// Everything that walks through a zone's spans ends, and keeps its promises.
fn walk(zone: &Zone) {
    let schedules = ["*/7 * * * *", "30 2 * * *", "0 0 29 2 */7", "* 2 29 3 */7"];
    for from in [
        "0000-01-01T00:00:00Z",
        "1995-09-24T00:59:59Z",
        "2026-10-25T00:30:00Z",
        "9999-12-31T23:00:00Z",
    ] {
        let from = at(from);
        let mut transition = from;
        for _ in 0..4 {
            let Some(next) = zone.next_transition(transition) else {
                break;
            };
            assert!(next.at > transition && next.offset_before_s != next.offset_after_s);
            transition = next.at;
        }
        assert!(zone.midnight_days_ago(from, 3) <= from);
        assert!(zone.local(from).to_string().len() >= "2026-11-22T06:00:00+09:00".len());
        for line in schedules {
            let timetable = Timetable {
                schedule: Schedule::parse(line).unwrap(),
                zone: zone.clone(),
                start: None,
                end: None,
                anchor: from,
            };
            let mut fire = from;
            for _ in 0..3 {
                // The timetable itself asserts that moments increase.
                let Some(next) = timetable.next_after(fire) else {
                    break;
                };
                assert_eq!(
                    timetable.latest_at_or_before(next),
                    Some(next),
                    "{line} {next}"
                );
                fire = next;
            }
        }
    }
}

/// xorshift64*: small, and the same everywhere.
fn random(state: &mut u64, bound: usize) -> usize {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    usize::try_from(state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap() % bound
}

#[test]
fn no_part_of_a_file_is_taken_for_a_file() {
    let bytes = berlin().bytes();
    for length in 0..bytes.len() {
        assert!(Zone::from_tzif("X", &bytes[..length]).is_err(), "{length}");
    }
    walk(&Zone::from_tzif("X", &bytes).unwrap());
}

#[test]
fn a_file_with_wrong_bytes_is_read_or_refused() {
    let bytes = berlin().bytes();
    let mut accepted = 0;
    for seed in 1..=4_000u64 {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut bytes = bytes.clone();
        for _ in 0..=random(&mut state, 3) {
            let place = random(&mut state, bytes.len());
            bytes[place] = match random(&mut state, 4) {
                0 => 0xff,
                1 => bytes[place] ^ 1 << random(&mut state, 8),
                2 => b"0123456789,./-MJ<>"[random(&mut state, 18)],
                _ => u8::try_from(random(&mut state, 256)).unwrap(),
            };
        }
        let Ok(zone) = Zone::from_tzif("X", &bytes) else {
            continue;
        };
        accepted += 1;
        if accepted % 8 == 0 {
            let outcome = std::panic::catch_unwind(|| walk(&zone));
            assert!(outcome.is_ok(), "seed {seed}");
        }
    }
    assert!(
        (400..3_600).contains(&accepted),
        "{accepted} of 4000 were accepted"
    );
}

#[test]
fn a_hostile_text_is_read_or_refused_at_a_place_within_it() {
    let samples = [
        "CET-1CEST,M3.5.0,M10.5.0/3",
        "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
        "EST5EDT,0/0,J365/25",
        "*/5 1-6,22 * jan-mar mon-fri",
        "0 0 29 2 */7",
        "@every 1h30m",
        "1d2h3m4s5ms",
    ];
    let mut accepted = 0;
    for seed in 1..=20_000u64 {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut text: Vec<char> = samples[random(&mut state, samples.len())].chars().collect();
        for _ in 0..=random(&mut state, 3) {
            let place = random(&mut state, text.len());
            let letters: Vec<char> = "0179 */,-:.<>@JMmsjanSUN\t\0\n받é９".chars().collect();
            match random(&mut state, 4) {
                0 if text.len() > 1 => drop(text.remove(place)),
                1 => text.insert(place, letters[random(&mut state, letters.len())]),
                2 => text.extend(text.clone()),
                _ => text[place] = letters[random(&mut state, letters.len())],
            }
        }
        let text: String = text.into_iter().collect();
        let zone = Zone::from_posix(&text);
        let spans = [
            zone.as_ref().err().map(|error| error.span.clone()),
            parse_duration(&text).err().map(|error| error.span),
            Schedule::parse(&text).err().map(|error| error.span),
            Schedule::cron_with_seconds(&text)
                .err()
                .map(|error| error.span),
        ];
        for span in spans.into_iter().flatten() {
            assert!(text.get(span).is_some(), "seed {seed}: {text:?}");
        }
        if let Ok(zone) = zone {
            accepted += 1;
            if accepted % 16 == 0 {
                let outcome = std::panic::catch_unwind(|| walk(&zone));
                assert!(outcome.is_ok(), "seed {seed}: {text:?}");
            }
        }
    }
    assert!(accepted > 500, "only {accepted} zones were accepted");
}

#[test]
fn an_endless_text_is_refused_in_one_pass() {
    for piece in ["0", "1,", "*/", "-", "A", "<", "받", " ", "1d"] {
        let text = piece.repeat(100_000);
        assert!(Zone::from_posix(&text).is_err());
        assert!(Schedule::parse(&text).unwrap_err().message.len() < 300);
        assert!(parse_duration(&text).unwrap_err().message.len() < 300);
    }
}
