//! Expressions that the rules of [`super::penn_rules`] are made of, each in terms of those before it.
//!
//! `letter`, `mark`, `digit` and `symbol` are the sets of [`super::penn_characters`]. Where a letter stands in brackets,
//! Stanford's tokenizer minds its case: `[M]ass` is the state, and `mass.` ends a sentence.

/// Names and what they stand for.
pub const NAMES: &[(&str, &str)] = &[
    // White space and lines.
    ("space", r"[ \t\u{a0}\u{2000}-\u{200a}\u{3000}]"),
    ("gap", r"{space}|\r|\r?\n|[\u{b}\u{c}\u{85}\u{2028}\u{2029}]"),
    // Apostrophes, and the quotation marks that are taken for one inside words.
    ("apostrophe", r"['\u{92}\u{2019}]|&apos;"),
    ("quote", r"{apostrophe}|[`\u{91}\u{2018}\u{201b}]"),
    ("contracted", r"{apostrophe}([msdMSD]|re|ve|ll)"),
    ("not", r"n{quote}t"),
    // Words: letters with digits behind them, also several that a full stop joins.
    ("alphanumeric", r"{letter}|{digit}"),
    ("wide_letter", r"{letter}|{mark}|\u{ad}|&[aeiouAEIOU](acute|grave|uml);"),
    ("word_part", r"{wide_letter}({wide_letter}|{digit})*"),
    ("word", r"{word_part}([.!?]{word_part})*"),
    ("before_not", r"[A-Za-z\u{ad}]*[A-MO-Za-mo-z]\u{ad}*"),
    // Compounds: `mother-in-law`, `how-d'ye-do`, `AT&T`, `3.5-inch`, `u.s.-made`, `t-shirt/jeans`.
    ("compound_part", r"([dDoOlL]{quote}{alphanumeric})?{alphanumeric}+"),
    ("compound", r"{compound_part}([-_\u{58a}\u{2010}\u{2011}]{compound_part})*"),
    ("joined", r"[A-Z]+(([+&]|&amp;)[A-Z]+)+"),
    ("country", r"(Canada|Sino|Korean|EU|Japan|non)-U\.S|U\.S\.-(U\.K|U\.S\.S\.R)"),
    ("acronym", r"[A-Za-z](\.[A-Za-z])*|{country}"),
    ("long_acronym", r"[A-Za-z](\.[A-Za-z])+|{country}"),
    ("hyphenated", r"[A-Za-z0-9][A-Za-z0-9.,\u{ad}]*(-([A-Za-z0-9\u{ad}]+|{long_acronym}\.))+"),
    ("slash_part", r"[A-Za-z0-9]+(-[A-Za-z]+){0,2}"),
    // Words with an apostrophe: `'n'`, `l'`, `'90s`, `O'Neill`, `ma'am`.
    ("clipped", r"{apostrophe}(n{apostrophe}?|em|till?|cause|[2-9]0s)|(dunkin|somethin|ol){apostrophe}"),
    ("elided", r"[lLdDjJ]{apostrophe}|o{quote}o|[A-HJ-XZn]{quote}{letter}{letter}+"),
    ("between_vowels", r"{letter}+[aeiouyAEIOUY]{quote}[aeiouA-Z]{letter}*"),
    ("odd_word", r"nor'easter|c'mon|cont'd\.?|e'er|s'mores|ev'ry|li'l|nat'l|[cC]#|[fF]#|c\+\+"),
    ("kept_whole", r"C\.D\.s|pro-|anti-|S(&|&amp;)(P-500|Ls)|cap{apostrophe}n|c{apostrophe}est"),
    // Numbers.
    ("number", r"{digit}+|{digit}*([.:,\u{ad}\u{66b}\u{66c}]{digit}+)+"),
    ("date", r"{digit}{1,2}[-/]{digit}{1,2}[-/]{digit}{2,4}"),
    ("fraction", r"({digit}{1,4}[- \u{a0}])?{digit}{1,4}(\\?/|\u{2044}){digit}{1,4}"),
    ("superscript", r"[\u{2070}\u{b2}\u{b3}\u{b9}\u{2074}-\u{2079}]+|[\u{2080}-\u{2089}]+"),
    ("exponent", r"[\u{207a}\u{207b}\u{208a}\u{208b}]?{superscript}"),
    ("area_code", r"\([0-9]{2,3}\)[ \u{a0}]?|(\+\+?)?([0-9]{2,4}[- \u{a0}])?[0-9]{2,4}[- \u{a0}]"),
    ("dotted_area_code", r"((\+\+?)?[0-9]{2,4}\.)?[0-9]{2,4}\."),
    ("phone", r"{area_code}[0-9]{3,4}[- \u{a0}]?[0-9]{3,5}|{dotted_area_code}[0-9]{3,4}\.[0-9]{3,5}"),
    // Abbreviations that keep their full stop before anything,
    ("month", r"Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec"),
    ("day", r"Mon|Tues?|Wed|Thu|Thurs|Fri"),
    ("state", r"Ala|Ariz|Calif|Colo|Conn|Ct|Dak|Fla|Ga|Ind|Kans?|Ky|Md|Mich|Minn|Mo|Mont|Neb|Nev|Okla"),
    (
        "other_state",
        r"Penn|Tenn|Va|Vt|Wisc?|Wyo|[A]z|[A]rk|[D]el|[I]ll|[L]a|[M]ass|[M]iss|[O]re|[P]a|[T]ex|[W]ash",
    ),
    ("company", r"Inc|Cos?|Corp|Pp?t[ye]s?|Ltd|Plc|Rt|Bancorp|Dept|Bhd|Assn|Univ|Intl|Sys|Bros"),
    ("common", r"tel|est|ext|sq|Jr|Sr|(Ed|Ph)\.D|Blvd|Rd|Esq|Bldg|etc|al|seq"),
    ("closing", r"{month}|{day}|{state}|{other_state}|{company}|{common}"),
    // those that a name follows,
    ("title", r"Mr|Mrs|Ms|[M]iss|Mlle|Mme|Msgr|Messrs|Drs?|Profs?|Pres|Hon|Rev|Insp|Supts?|Attys?|Ste?|Ph"),
    ("politician", r"Sens?|Reps?|Govs?|Ens"),
    ("soldier", r"Lt|Lieut|Col|Gen|Adm|Maj|Sgt|Cpl|Pvt|Capt|Brig|Co?mdr|Pfc|Spc|Sfc"),
    ("place", r"Ave|Mt|Ft|Det|Adj|Adv|Asst|Assoc|Alex|Wm|Jos|Cie|Invt|Elec|Natl|M[ft]g|TREAS"),
    ("opening", r"{title}|{politician}|{soldier}|{place}|vs|cf|a\.k\.a|{acronym}"),
    // and those that a number follows.
    ("counted", r"ca|figs?|prop|nos?|art|bldg|pp|op"),
    // Words that begin a sentence: a single letter before one has a full stop, not a dot of its own.
    (
        "opener_a_m",
        r"[A](bout|ccording|dditionally|fter|n|s|t)?|[B]ut|[E]arlier|[H](er?|ere|owever)|[I](f|n|t)",
    ),
    ("opener_l_s", r"[L]ast|[M](any|ore|r\.|s\.)|[N]ow|[O](nce|ne|ther|ur)|[S](he|ince|ome|o|uch)"),
    ("opener_t_y", r"[T](hat|heir|hen|here|hese|hey|he|his)|[W](e|hat|hen|hile)|[Y](et|ou)"),
    ("opener", r"{opener_a_m}|{opener_l_s}|{opener_t_y}"),
    // Markup.
    ("tag_name", r"[A-Za-z][A-Za-z0-9_:.-]*"),
    ("attribute", r#"{tag_name}( *= *('[^']*'|"[^"]*"))?"#),
    ("tag", r"<([!?][A-Za-z-][^>\r\n]*|/?{tag_name}( +{attribute})* */?) *>"),
    // Addresses.
    ("host_part", r#"[^ \t\n\f\r"`'<>|.!?(){},-_$]+"#),
    ("url_rest", r#"[^ \t\n\f\r"<>|.!?(){},-]"#),
    ("url", r#"https?://[^ \t\n\f\r"<>|(){}]+{url_rest}"#),
    ("www", r#"www\.([^ \t\n\f\r"<>|.!?(){},]+\.)+[a-zA-Z]{2,4}"#),
    ("site", r#"({www}|({host_part}\.)+(com|net|org|edu))(/[^ \t\n\f\r"<>|()]+{url_rest})?"#),
    ("mail_host", r#"[^ \t\n\f\r"<>|(){}.\u{a0}]+"#),
    ("mail", r#"(&lt;|<)?[a-zA-Z0-9][^ \t\n\f\r"<>|(){}\u{a0}]*@({mail_host}\.)*{mail_host}(&gt;|>)?"#),
    ("ending_a_h", r"bat|bmp|c|class|cgi|cpp|dll|doc|docx|exe|gif|gz|h|htm|html"),
    ("ending_j_z", r"jar|java|jpeg|jpg|mov|mp3|pdf|php|pl|png|ppt|ps|py|sql|tar|txt|wav|x|xml|zip"),
    ("file_part", r"({wide_letter}|{digit})+"),
    ("file", r"{file_part}(\.{file_part})*\.({ending_a_h}|{ending_j_z})"),
    // Faces. The last is a slip of the pen in the original, which was to be `^.^`; it reads on to the next `<>]`.
    ("face", r"[<>]?[:;=][-o*']?[()DPdpO\\{@|\[\]]"),
    ("flat_face", r"[-^x=~<>']_[-^x=~<>']"),
    ("round_face", r"\([-^x=~<>'][_.]?[-^x=~<>']\)|\([\^x=~<>']-[\^x=~<>'`]\)"),
    ("odd_face", r"[\^x=~<>]\.\[\^x=([^<\n]|<(<|><)*([^<>\n]|>[^<\]\n]))*<(<|><)*>\]"),
];
