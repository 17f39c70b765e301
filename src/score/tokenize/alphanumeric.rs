//! Words as the package `rouge_score` finds them, before it stems them.

/// The runs of ASCII letters and digits of the lower-cased text; everything else separates.
pub fn alphanumeric_words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let pieces = lower.split(|c: char| !matches!(c, 'a'..='z' | '0'..='9'));
    pieces.filter(|piece| !piece.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn punctuation_and_letters_outside_ascii_separate_words() {
        let words = alphanumeric_words("The V-neck, na\u{ef}ve 3/4 ti\u{e9}");
        assert_eq!(words, ["the", "v", "neck", "na", "ve", "3", "4", "ti"]);
    }
}
