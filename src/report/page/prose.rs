//! Sentences as HTML: what stands between backticks is code.

use crate::report::charts::svg::escape;

/// Escapes a sentence and sets what stands between two backticks as code. A backtick without a second one stays.
pub fn prose(text: &str) -> String {
    let mut html = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('`') {
        let Some((code, later)) = after.split_once('`') else { break };
        html += &format!("{}<code>{}</code>", escape(before), escape(code));
        rest = later;
    }
    html + &escape(rest)
}

#[cfg(test)]
mod tests {
    use super::prose;

    #[test]
    fn what_stands_between_backticks_is_code_and_nothing_is_markup() {
        assert_eq!(prose("set `a: 1` & `b`"), "set <code>a: 1</code> &amp; <code>b</code>");
        assert_eq!(prose("`<b>`, 5 > 4 `"), "<code>&lt;b&gt;</code>, 5 &gt; 4 `");
        assert_eq!(prose(""), "");
    }
}
