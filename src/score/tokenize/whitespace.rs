//! Words as Python's `str.split()` finds them.

/// The pieces of a text between runs of white space.
pub fn whitespace_words(text: &str) -> Vec<String> {
    let pieces = text.split(is_space).filter(|piece| !piece.is_empty());
    pieces.map(str::to_owned).collect()
}

/// Python counts the four ASCII separators U+001C to U+001F as white space, Unicode does not.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_end_at_every_character_that_python_calls_white_space() {
        let text = " a\tb\u{a0}c\u{1c}d\u{2003}e\n\nf\u{200b}g ";
        assert_eq!(whitespace_words(text), ["a", "b", "c", "d", "e", "f\u{200b}g"]);
        assert!(whitespace_words(" \n").is_empty());
    }
}
