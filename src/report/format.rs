//! Numbers as people read them. Absent ones are an en dash; minus is a minus, not a hyphen.

use crate::analysis::Interval;

/// What stands for a number that does not exist.
pub const ABSENT: &str = "–";

/// Three decimals: scores and losses. Numbers that no score has are short all the same.
pub fn decimals(value: Option<f64>) -> String {
    if let Some(large) = value.filter(|value| value.is_finite() && value.abs() >= 1e6) {
        return minus(format!("{large:.2e}"));
    }
    value
        .filter(|value| value.is_finite())
        .map_or_else(|| ABSENT.to_owned(), |value| minus(format!("{value:.3}")))
}

/// Three decimals with a sign: differences.
pub fn signed(value: f64) -> String {
    minus(format!("{value:+.3}"))
}

/// Both ends of an interval: `0.100 to 0.250`.
pub fn from_to(interval: Interval, number: impl Fn(f64) -> String) -> String {
    format!("{} to {}", number(interval.low), number(interval.high))
}

/// A whole or nearly whole percentage with a sign, from a share: `+12 %`, `+0.4 %`.
pub fn percent(share: Option<f64>) -> String {
    let Some(share) = share.filter(|share| share.is_finite()) else { return ABSENT.to_owned() };
    let percent = share * 100.0;
    if percent == 0.0 {
        "0 %".to_owned()
    } else if percent.abs() < 9.95 {
        minus(format!("{percent:+.1} %"))
    } else {
        minus(format!("{percent:+.0} %"))
    }
}

/// A whole percentage without a plus sign: a part of something.
pub fn share(share: Option<f64>) -> String {
    let finite = share.filter(|share| share.is_finite());
    finite.map_or_else(|| ABSENT.to_owned(), |share| minus(format!("{:.0} %", share * 100.0)))
}

/// A setting's number, as short as it can be written exactly: `5e-4`, `0.05`, `1000`.
pub fn significant(value: f64) -> String {
    let is_small = value != 0.0 && value.abs() < 0.01;
    let is_large = value.abs() >= 1e6;
    minus(if is_small || is_large { format!("{value:e}") } else { format!("{value}") })
}

/// A large count: `2.10 M`, `593 k`, `840`.
pub fn count(value: u64) -> String {
    let value_f = value as f64;
    match value {
        0..1_000 => value.to_string(),
        1_000..10_000 => format!("{:.1} k", value_f / 1e3),
        10_000..999_500 => format!("{:.0} k", value_f / 1e3),
        999_500..999_500_000 => format!("{:.2} M", value_f / 1e6),
        _ => format!("{:.2} G", value_f / 1e9),
    }
}

/// A duration: `48 s`, `3 min 05 s`, `2 h 10 min`.
pub fn duration(seconds: Option<f64>) -> String {
    let Some(seconds) = seconds.filter(|seconds| seconds.is_finite() && *seconds >= 0.0) else {
        return ABSENT.to_owned();
    };
    if seconds < 9.95 {
        return minus(format!("{seconds:.1} s"));
    }
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// Bytes: `840 kB`, `312 MB`, `5.9 GB`.
pub fn size(bytes: u64) -> String {
    let bytes = bytes as f64;
    match bytes {
        _ if bytes < 999.5e3 => format!("{:.0} kB", bytes / 1e3),
        _ if bytes < 999.5e6 => format!("{:.0} MB", bytes / 1e6),
        _ => format!("{:.1} GB", bytes / 1e9),
    }
}

/// The first characters of a digest: enough to compare by eye.
pub fn short_digest(digest: &str) -> String {
    digest.chars().take(12).collect()
}

/// `1 run`, `3 runs`.
pub fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// `a`, `a and b`, `a, b and c`.
pub fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn minus(text: String) -> String {
    let is_zero = text.starts_with('-') && !text.contains(|sign: char| ('1'..='9').contains(&sign));
    if is_zero {
        return text.replacen('-', "", 1);
    }
    // The exponent of 5e-4 keeps its hyphen: that is how rates are typed.
    match text.strip_prefix('-') {
        Some(rest) => format!("−{rest}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_read_them() {
        assert_eq!([decimals(Some(0.12345)), decimals(Some(-1.0)), decimals(None)], ["0.123", "−1.000", "–"]);
        assert_eq!(decimals(Some(f64::NAN)), ABSENT);
        assert_eq!(decimals(Some(-1.234e300)), "−1.23e300");
        assert_eq!([decimals(Some(-0.0001)), duration(Some(-0.0))], ["0.000", "0.0 s"]);
        assert_eq!([signed(0.05), signed(-0.05)], ["+0.050", "−0.050"]);
        assert_eq!(
            [Some(0.123), Some(0.004), Some(0.0), Some(-0.0512), Some(0.0996), None].map(percent),
            ["+12 %", "+0.4 %", "0 %", "−5.1 %", "+10 %", "–"]
        );
        assert_eq!(
            [5e-4, 0.05, 1000.0, 0.0, 2e7, -0.001].map(significant),
            ["5e-4", "0.05", "1000", "0", "2e7", "−1e-3"]
        );
        assert_eq!(
            [7, 1_500, 593_200, 2_104_320, 224_000_000].map(count),
            ["7", "1.5 k", "593 k", "2.10 M", "224.00 M"]
        );
        assert_eq!([840_000, 312_000_000, 5_940_000_000].map(size), ["840 kB", "312 MB", "5.9 GB"]);
        assert_eq!(
            [Some(4.21), Some(48.0), Some(185.0), Some(7800.0), None].map(duration),
            ["4.2 s", "48 s", "3 min 05 s", "2 h 10 min", "–"]
        );
    }

    #[test]
    fn words_agree_with_their_numbers() {
        assert_eq!([plural(1, "run"), plural(3, "run")], ["1 run", "3 runs"]);
        let items = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(
            [list(&items[..0]), list(&items[..1]), list(&items[..2]), list(&items)],
            ["", "a", "a and b", "a, b and c"]
        );
    }
}
