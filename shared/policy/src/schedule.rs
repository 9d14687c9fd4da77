//! `[schedule]`: when the tenant is synchronised.

use std::fmt;

use model::Time;

/// `[schedule]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Schedule {
    /// As changes come.
    #[default]
    Continuous,
    /// At these minutes.
    Cron(Cron),
    /// Only when somebody asks.
    Manual,
}

/// Five fields as in cron: minute, hour, day of the month, month, day of the week (0 and 7 are Sunday). UTC.
#[derive(Clone, PartialEq, Eq)]
pub struct Cron {
    text: String,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether both the day of the month and the day of the week are restricted: then either suffices, as in cron.
    either_day: bool,
}

/// Why a text is not a schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CronError {
    /// What is wrong.
    pub message: String,
    /// Where in the text, in bytes.
    pub offset: usize,
}

struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", least: 0, most: 59, names: &[] },
    Field { name: "hour", least: 0, most: 23, names: &[] },
    Field { name: "day of the month", least: 1, most: 31, names: &[] },
    Field {
        name: "month",
        least: 1,
        most: 12,
        names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    },
    Field { name: "day of the week", least: 0, most: 7, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] },
];

const MINUTE: i64 = 60;
const DAY: i64 = 86_400;
/// Longer than the longest gap between two 29ths of February.
const HORIZON_DAYS: i64 = 9 * 366;

impl Cron {
    /// Reads the five fields.
    ///
    /// # Errors
    /// When a field is missing or is not a list of numbers, ranges and steps within its bounds, or when no day of
    /// any year is meant.
    pub fn new(text: &str) -> Result<Self, CronError> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = words.as_slice() else {
            let message =
                format!("a schedule has 5 fields (minute hour day month weekday), this one has {}", words.len());
            return Err(CronError { message, offset: 0 });
        };
        let [f_minutes, f_hours, f_days, f_months, f_weekdays] = &FIELDS;
        let read = |field: &Field, word: &str| {
            field.read(word).map_err(|message| CronError { message, offset: offset_in(text, word) })
        };
        let mut week = read(f_weekdays, weekdays)?;
        week |= u64::from(week & (1 << 7) != 0);
        let cron = Self {
            text: text.to_owned(),
            minutes: read(f_minutes, minutes)?,
            hours: read(f_hours, hours)?,
            days: read(f_days, days)?,
            months: read(f_months, months)?,
            weekdays: week,
            either_day: !days.starts_with('*') && !weekdays.starts_with('*'),
        };
        if cron.next(Time(0)).is_none() {
            return Err(CronError { message: "no day of any year is like this".to_owned(), offset: 0 });
        }
        Ok(cron)
    }

    /// The first minute after `after` that is meant; `None` only at the end of time.
    pub fn next(&self, after: Time) -> Option<Time> {
        let start = after.0.div_euclid(1_000_000).div_euclid(MINUTE).checked_add(1)?.checked_mul(MINUTE)?;
        let first_day = start.div_euclid(DAY);
        for day in first_day..first_day.checked_add(HORIZON_DAYS)? {
            if !self.means_day(day) {
                continue;
            }
            let from = if day == first_day { start.rem_euclid(DAY) / MINUTE } else { 0 };
            let minute = (from..24 * 60).find(|minute| has(self.hours, minute / 60) && has(self.minutes, minute % 60));
            if let Some(minute) = minute {
                return Some(Time::from_secs(day.checked_mul(DAY)?.checked_add(minute * MINUTE)?));
            }
        }
        None
    }

    /// Days are counted from 1970-01-01, a Thursday.
    fn means_day(&self, day: i64) -> bool {
        let (month, of_month) = month_and_day(day);
        let by_month = has(self.days, of_month);
        let by_week = has(self.weekdays, (day + 4).rem_euclid(7));
        has(self.months, month) && if self.either_day { by_month || by_week } else { by_month && by_week }
    }
}

impl Field {
    /// The numbers of the field as bits.
    fn read(&self, word: &str) -> Result<u64, String> {
        word.split(',').try_fold(0, |bits, part| Ok(bits | self.read_part(part)?))
    }

    fn read_part(&self, part: &str) -> Result<u64, String> {
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let step = match step.map(str::parse::<u32>) {
            None => 1,
            Some(Ok(step)) if step > 0 => step,
            Some(_) => return Err(format!("the step of \"{part}\" is not a positive number")),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (self.least, self.most),
            Some((from, to)) => (self.number(from)?, self.number(to)?),
            None if part.contains('/') => (self.number(range)?, self.most),
            None => (self.number(range)?, self.number(range)?),
        };
        if from > to {
            return Err(format!("the range \"{range}\" ends before it begins"));
        }
        Ok((from..=to).step_by(usize::try_from(step).unwrap_or(usize::MAX)).fold(0, |bits, number| bits | 1 << number))
    }

    fn number(&self, text: &str) -> Result<u32, String> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let number = match named.and_then(|at| u32::try_from(at).ok()) {
            Some(at) => Some(at + self.least),
            None if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
            None => None,
        };
        number
            .filter(|number| (self.least..=self.most).contains(number))
            .ok_or_else(|| format!("\"{text}\" is no {} ({} to {})", self.name, self.least, self.most))
    }
}

fn has(bits: u64, number: i64) -> bool {
    u32::try_from(number).ok().and_then(|number| bits.checked_shr(number)).is_some_and(|bits| bits & 1 == 1)
}

/// Where `word`, a part of `text`, begins in it.
fn offset_in(text: &str, word: &str) -> usize {
    (word.as_ptr() as usize).saturating_sub(text.as_ptr() as usize)
}

/// Month and day of the month of a day since 1970-01-01 (Howard Hinnant's `civil_from_days`).
const fn month_and_day(day: i64) -> (i64, i64) {
    let z = day + 719_468;
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    (if mp < 10 { mp + 3 } else { mp - 9 }, doy - (153 * mp + 2) / 5 + 1)
}

/// As it is written in the policy file.
impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cron({:?})", self.text)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn next(cron: &str, after: i64) -> String {
        Cron::new(cron).unwrap().next(Time::from_secs(after)).unwrap().to_string()
    }

    #[test]
    fn the_next_minute_is_found() {
        // 2023-03-23T09:52:31Z, a Thursday.
        let now = 1_679_565_151;
        assert_eq!(next("* * * * *", now), "2023-03-23T09:53:00Z");
        assert_eq!(next("0 2 * * *", now), "2023-03-24T02:00:00Z");
        assert_eq!(next("*/15 9 * * *", now), "2023-03-24T09:00:00Z");
        assert_eq!(next("53-55 9 * * thu", now), "2023-03-23T09:53:00Z");
        assert_eq!(next("0 0 29 feb *", now), "2024-02-29T00:00:00Z");
        assert_eq!(next("0 0 * * 7", now), "2023-03-26T00:00:00Z");
        assert_eq!(next("0 0 1 * sun", now), "2023-03-26T00:00:00Z", "either day suffices when both are given");
    }

    #[test]
    fn what_is_no_schedule_is_refused_with_its_place() {
        let refused = |text: &str| Cron::new(text).map_err(|error| (error.offset, error.message)).unwrap_err();
        assert_eq!(refused("0 2 * *").1, "a schedule has 5 fields (minute hour day month weekday), this one has 4");
        assert_eq!(refused("0 24 * * *"), (2, "\"24\" is no hour (0 to 23)".to_owned()));
        assert_eq!(refused("0 2 * * */0").0, 8);
        assert_eq!(refused("5-1 2 * * *").0, 0);
        assert_eq!(refused("0 0 31 feb *").1, "no day of any year is like this");
    }
}
