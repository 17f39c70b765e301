//! Variables of the environment in a text that another machine completes, such as `$TMPDIR/features`. Pure.
//!
//! Forms are the shell's: `$NAME`, `${NAME}`, and `${NAME:-other}` for one that need not be set. Nothing else begins with a
//! dollar sign, so that what a shell would have done otherwise is refused where it is read, and not on a node.

/// The text with the values of its variables, or what is wrong with it.
///
/// A variable that is set to nothing counts as one that is not: what is behind it would become a folder at the root.
pub fn completed(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut parts = text.split('$');
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, other, rest) = reference(part).ok_or_else(|| {
            format!("`${part}`: a dollar sign begins `$NAME`, `${{NAME}}` or `${{NAME:-other}}`")
        })?;
        let value = variable(name).filter(|value| !value.is_empty()).or(other.map(str::to_owned));
        whole += &value.ok_or_else(|| format!("the variable {name} is not set"))?;
        whole += rest;
    }
    Ok(whole)
}

/// Whether the variables of a text are written as they must be, whatever is set.
pub fn is_well_formed(text: &str) -> bool {
    completed(text, |name| Some(name.to_owned())).is_ok()
}

/// A variable's name at the beginning of a text, what stands for it where it is not set, and the rest.
fn reference(text: &str) -> Option<(&str, Option<&str>, &str)> {
    let Some(inside) = text.strip_prefix('{') else {
        let end = text.find(|c: char| !is_of_name(c)).unwrap_or(text.len());
        return is_name(&text[..end]).then(|| (&text[..end], None, &text[end..]));
    };
    let (inside, rest) = inside.split_once('}')?;
    let (name, other) = inside.split_once(":-").map_or((inside, None), |(name, other)| (name, Some(other)));
    is_name(name).then_some((name, other, rest))
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_of_name) && !text.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_a_node(text: &str) -> Result<String, String> {
        let known = [("TMPDIR", "/local/12"), ("EMPTY", ""), ("NODE_1", "n1")];
        completed(text, |name| {
            known.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn variables_are_replaced_in_the_forms_of_the_shell() {
        for (text, wanted) in [
            ("/data/features", "/data/features"),
            ("$TMPDIR/features", "/local/12/features"),
            ("${TMPDIR}x/$NODE_1", "/local/12x/n1"),
            ("${SCRATCH:-/tmp}/f", "/tmp/f"),
            ("${TMPDIR:-/tmp}/f", "/local/12/f"),
            ("${EMPTY:-}/f", "/f"),
            ("it's \"new\"/$NODE_1.", "it's \"new\"/n1."),
        ] {
            assert_eq!(on_a_node(text).as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_not_set_or_set_to_nothing_is_an_error_and_so_is_what_only_a_shell_could_do() {
        for name in ["SCRATCH", "EMPTY"] {
            assert_eq!(on_a_node(&format!("${name}/f")), Err(format!("the variable {name} is not set")));
        }
        for text in ["$(hostname)/f", "$", "/a$/b", "${TMPDIR", "${}", "${TMPDIR%x}", "$1/f", "$$"] {
            assert!(!is_well_formed(text), "{text}");
            assert!(on_a_node(text).unwrap_err().contains("a dollar sign begins `$NAME`"), "{text}");
        }
        assert!(is_well_formed("$SCRATCH/${A}${B:-c}"));
    }
}
