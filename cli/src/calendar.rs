//! How long something lasts, as a person types it, and when something was, as a person reads it.

use std::{fmt, str::FromStr};

const MINUTE_S: u64 = 60;
const HOUR_S: u64 = 60 * MINUTE_S;
const DAY_S: u64 = 24 * HOUR_S;

/// Longest that can be asked for: ten years. Longer is without end, and that has its own spelling.
const LONGEST_S: u64 = 3653 * DAY_S;

/// A length of time: a number and `m`, `h`, `d`, `w` or `y`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lifetime {
    seconds: u64,
}

/// The text is no length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write a number with m, h, d, w or y, such as 30d, up to 10y")]
pub(crate) struct BadLifetime;

impl Lifetime {
    /// When it is over if it begins now, Unix seconds.
    pub(crate) fn end_s(self, now_s: u64) -> u64 {
        now_s.saturating_add(self.seconds)
    }
}

impl FromStr for Lifetime {
    type Err = BadLifetime;

    fn from_str(text: &str) -> Result<Self, BadLifetime> {
        let unit = text.chars().last().ok_or(BadLifetime)?;
        let unit_s = match unit {
            'm' => MINUTE_S,
            'h' => HOUR_S,
            'd' => DAY_S,
            'w' => 7 * DAY_S,
            'y' => 365 * DAY_S,
            _ => return Err(BadLifetime),
        };
        let number = text.strip_suffix(unit).ok_or(BadLifetime)?;
        if !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(BadLifetime);
        }
        let number: u64 = number.parse().map_err(|_| BadLifetime)?;
        let seconds = number.checked_mul(unit_s).ok_or(BadLifetime)?;
        if (1..=LONGEST_S).contains(&seconds) { Ok(Self { seconds }) } else { Err(BadLifetime) }
    }
}

/// A moment in UTC, shown as `2026-02-28 17:05:09`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// Unix seconds.
    pub(crate) unix_s: u64,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.unix_s / DAY_S);
        let second = self.unix_s % DAY_S;
        write!(
            f,
            "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}",
            second / HOUR_S,
            second % HOUR_S / MINUTE_S,
            second % MINUTE_S
        )
    }
}

/// Year, month and day of a day since 1970, in the Gregorian calendar. Years begin in March here, so that the
/// leap day is the last of its year, and 400 of them always have 146097 days.
fn civil(days: u64) -> (u64, u64, u64) {
    let since_march_of_0 = days.saturating_add(719_468);
    let (era, day) = (since_march_of_0 / 146_097, since_march_of_0 % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_exactly() {
        let seconds = |text: &str| text.parse::<Lifetime>().map(|it| it.seconds);
        assert_eq!(seconds("90m"), Ok(5_400));
        assert_eq!(seconds("12h"), Ok(43_200));
        assert_eq!(seconds("30d"), Ok(2_592_000));
        assert_eq!(seconds("2w"), Ok(1_209_600));
        assert_eq!(seconds("10y"), Ok(315_360_000));
    }

    #[test]
    fn what_is_no_length_of_time_is_refused() {
        for text in [
            "",
            "d",
            "30",
            "0d",
            "-1d",
            "+1d",
            "1.5d",
            " 1d",
            "1 d",
            "1D",
            "11y",
            "1é",
            "99999999999999999999y",
            "9999999999999999y",
        ] {
            assert_eq!(text.parse::<Lifetime>(), Err(BadLifetime), "{text:?}");
        }
    }

    #[test]
    fn moments_read_as_the_calendar_has_them() {
        for (unix_s, text) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_000_000_000, "2001-09-09 01:46:40"),
            (1_772_298_309, "2026-02-28 17:05:09"),
            (1_772_323_200, "2026-03-01 00:00:00"),
            (4_107_542_399, "2100-02-28 23:59:59"),
            (4_107_542_400, "2100-03-01 00:00:00"),
        ] {
            assert_eq!(Moment { unix_s }.to_string(), text);
        }
    }
}
