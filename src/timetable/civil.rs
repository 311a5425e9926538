//! The Gregorian calendar as arithmetic: days since 1970-01-01, for every year from 0 to 9999 and some beyond.

/// Every day has this many seconds; POSIX time counts no leap seconds.
pub(super) const SECONDS_PER_DAY: i64 = 86_400;

pub(super) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// The day of a date, counted from 1970-01-01. `month` is 1 to 12; `day` may lie outside its month.
pub(super) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March have their leap day last. 719_468 days lie between 0000-03-01 and 1970-01-01.
    let year = if month > 2 { year } else { year - 1 };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The weekday of a day: 0 is Sunday.
pub(super) fn weekday(day: i64) -> i64 {
    (day + 4).rem_euclid(7)
}

/// The year in which a second since 1970-01-01T00:00:00 lies.
pub(super) fn year_of(second: i64) -> i64 {
    let day = second.div_euclid(SECONDS_PER_DAY);
    // A guess that is right except around New Year, where it is one off.
    let guess = 1970 + (day * 400).div_euclid(146_097);
    if day < days_from_civil(guess, 1, 1) {
        guess - 1
    } else if day >= days_from_civil(guess + 1, 1, 1) {
        guess + 1
    } else {
        guess
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_follow_one_another_through_all_years() {
        let mut day = days_from_civil(-1, 1, 1);
        for year in -1..=10_000 {
            let lengths = [
                31,
                28 + i64::from(is_leap(year)),
                31,
                30,
                31,
                30,
                31,
                31,
                30,
                31,
                30,
                31,
            ];
            for (month, length) in (1..=12).zip(lengths) {
                assert_eq!(days_from_civil(year, month, 1), day, "{year}-{month}");
                for second in [0, length * SECONDS_PER_DAY - 1] {
                    assert_eq!(year_of(day * SECONDS_PER_DAY + second), year);
                }
                day += length;
            }
        }
        assert_eq!(days_from_civil(1970, 1, 1), 0);
        assert_eq!(weekday(0), 4, "1970-01-01 was a Thursday");
        assert_eq!(weekday(-5), 6);
    }
}
