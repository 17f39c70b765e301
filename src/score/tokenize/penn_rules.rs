//! The rules by which text becomes Penn Treebank words: what is a token, and how it is written.
//!
//! The notation is that of [`super::pattern`], the names are those of [`super::penn_names`]. At every position the
//! rule that matches most wins, the text that has to follow included; of several the first. Characters that no rule
//! matches are deleted.

/// How the text of a token is written.
#[derive(Clone, Copy)]
pub enum Form {
    /// As it is.
    Plain,
    /// Without soft hyphens; a hyphen if nothing is left.
    NoSoftHyphens,
    /// With no-break spaces for spaces.
    OneWord,
    /// The same, and round brackets by their names.
    Phone,
    /// With round brackets by their names.
    Face,
    /// With quotation marks as the Treebank writes them.
    Quotes,
    /// With ampersands for their entities.
    Ampersand,
    /// As another text.
    As(&'static str),
    /// Only so many units are the token; the rest is read again.
    First(usize),
    /// Not at all.
    Nothing,
}

/// A kind of token.
pub struct Rule {
    pub token: &'static str,
    /// What has to follow it; empty if that does not matter.
    pub before: &'static str,
    pub form: Form,
}

const fn rule(token: &'static str, form: Form) -> Rule {
    Rule { token, before: "", form }
}

const fn rule_before(token: &'static str, before: &'static str, form: Form) -> Rule {
    Rule { token, before, form }
}

/// All rules, in the order in which they win at equal length.
pub const RULES: &[Rule] = &[
    rule("cannot|gonna|gotta|lemme|gimme|wanna", Form::First(3)),
    rule("{tag}", Form::OneWord),
    rule(r"&(MD|mdash|ndash);|[\u{96}\u{97}\u{2013}\u{2014}\u{2015}]", Form::As("--")),
    rule("&amp;", Form::As("&")),
    rule("&(HT|TL|UR|LR|QC|QL|QR|odq|cdq|#[0-9]+);", Form::Plain),
    // Words, and those with an apostrophe.
    rule_before("{word}", "{contracted}", Form::NoSoftHyphens),
    rule_before("{before_not}", "{not}", Form::NoSoftHyphens),
    rule("{word}", Form::NoSoftHyphens),
    rule("{clipped}|{elided}|{between_vowels}|{odd_word}", Form::Plain),
    rule_before("y{apostrophe}", "{letter}", Form::Plain),
    // Addresses and tags of the web.
    rule("{url}|{site}|{mail}", Form::Plain),
    rule("@[a-zA-Z_][a-zA-Z_0-9]*|#{wide_letter}+", Form::Plain),
    rule_before("{contracted}|{not}", "[^A-Za-z]", Form::Quotes),
    // Numbers.
    rule("{date}|{exponent}", Form::Plain),
    rule("[-+]?{number}", Form::NoSoftHyphens),
    rule("{fraction}", Form::OneWord),
    rule(r"\u{bc}", Form::As("1/4")),
    rule(r"\u{bd}", Form::As("1/2")),
    rule(r"\u{be}", Form::As("3/4")),
    rule(r"\u{2153}", Form::As("1/3")),
    rule(r"\u{2154}", Form::As("2/3")),
    rule(r"[\u{2155}-\u{215e}]", Form::Plain),
    rule("{kept_whole}", Form::Ampersand),
    rule(r"{slash_part}(\\?/{slash_part}){1,2}", Form::Plain),
    rule(r"[A-Z]*\$|#|[\u{a5}\u{60b}\u{e3f}\u{20a4}\u{ffe0}\u{ffe1}\u{ffe5}\u{ffe6}]", Form::Plain),
    rule(r"\u{a2}", Form::As("cents")),
    rule(r"\u{a3}", Form::As("#")),
    rule(r"[\u{80}\u{a4}\u{20a0}\u{20ac}]", Form::As("$")),
    // Abbreviations.
    rule_before(r"[A-Za-z]\.", "{gap}+({opener}|{tag}){gap}", Form::First(1)),
    rule_before(r"{closing}\.", r"[\u{0}-\u{ffff}]{2}", Form::Plain),
    rule(r"({closing}|{opening})\.", Form::Plain),
    rule_before("{opening}", "{space}", Form::Plain),
    rule_before(r"(pt[eyEY]|pvt)\.", "{space}(ltd|lim)", Form::Plain),
    rule_before(r"{counted}\.", "{gap}?{digit}", Form::Plain),
    rule_before("{apostrophe}[0-9][0-9]", "{gap}", Form::Plain),
    rule_before("{file}", "{gap}|[.?!,]", Form::Plain),
    rule_before(r"({word}|{compound}|{joined}|{hyphenated})\.", r"[,;:\u{3001}]", Form::NoSoftHyphens),
    rule("{phone}", Form::Phone),
    // Punctuation.
    rule("-(RRB|LRB|RCB|LCB|RSB|LSB)-", Form::Plain),
    rule(r#""|&quot;"#, Form::Quotes),
    rule("<|&lt;", Form::As("<")),
    rule(">|&gt;", Form::As(">")),
    rule_before("{face}", "[^A-Za-z0-9]", Form::Face),
    rule("{flat_face}|{round_face}|{odd_face}", Form::Face),
    rule(r"\{", Form::As("-lcb-")),
    rule(r"\}", Form::As("-rcb-")),
    rule(r"\[", Form::As("-lsb-")),
    rule(r"\]", Form::As("-rsb-")),
    rule(r"\(", Form::As("-lrb-")),
    rule(r"\)", Form::As("-rrb-")),
    rule("-{3,4}", Form::As("--")),
    rule(r"\.{3,5}|(\.[ \u{a0}]){2,4}\.|\u{2026}", Form::As("...")),
    rule(r"-+|@+|#+|_+|\*+|(\\\*){1,3}|[?!]+|<<|>>|[,;:=/\u{3001}]", Form::Plain),
    rule(r"[.\u{a1}\u{bf}\u{37e}\u{589}\u{61f}\u{6d4}\u{700}-\u{702}\u{7fa}\u{3002}]", Form::Plain),
    // Compounds come after words of the same length, so that a soft hyphen goes.
    rule("{compound}", Form::Plain),
    rule("{hyphenated}", Form::NoSoftHyphens),
    rule("{joined}", Form::Ampersand),
    rule("'t(is|was)", Form::First(2)),
    rule_before("'", r"[A-Za-z][^ \t\n\r\u{a0}]", Form::As("`")),
    rule("{contracted}|{not}", Form::Quotes),
    rule(r"''|{apostrophe}|[`\u{91}-\u{94}\u{ab}\u{bb}\u{2018}-\u{201f}\u{2039}\u{203a}]{1,2}", Form::Quotes),
    rule(r"[%+&~\^|\\]|{symbol}", Form::Plain),
    rule(r"[\u{0}\u{200b}\u{200e}\u{200f}\u{feff}]|{gap}+|&nbsp;", Form::Nothing),
];
