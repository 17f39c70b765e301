//! Shares, and how they are said.

/// The share of `true`; 0 where there is nothing.
pub fn one_of(such: impl Iterator<Item = bool>) -> f64 {
    let (mut yes, mut all) = (0usize, 0usize);
    for is_such in such {
        yes += usize::from(is_such);
        all += 1;
    }
    yes as f64 / all.max(1) as f64
}

/// `55 %`; shares near the ends keep what makes them differ from none and all: `0.3 %`, `99.96 %`.
pub fn share_of(share: f64) -> String {
    let percent = 100.0 * share;
    if percent == 0.0 || percent == 100.0 {
        return format!("{percent:.0} %");
    }
    let from_end = percent.min(100.0 - percent);
    let text = match from_end {
        _ if from_end < 0.005 => {
            return if percent < 50.0 { "under 0.01 %" } else { "over 99.99 %" }.to_owned();
        }
        _ if from_end < 0.095 => format!("{percent:.2}"),
        _ if from_end < 0.95 => format!("{percent:.1}"),
        _ => format!("{percent:.0}"),
    };
    format!("{text} %")
}

/// `1 image`, `3 images`.
pub fn count_of(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_keep_what_tells_them_from_none_and_all() {
        let said = [0.0, 0.00001, 0.0004, 0.003, 0.0096, 0.55, 0.996, 0.9996, 0.99999, 1.0].map(share_of);
        assert_eq!(
            said,
            [
                "0 %",
                "under 0.01 %",
                "0.04 %",
                "0.3 %",
                "1 %",
                "55 %",
                "99.6 %",
                "99.96 %",
                "over 99.99 %",
                "100 %"
            ]
        );
    }
}
