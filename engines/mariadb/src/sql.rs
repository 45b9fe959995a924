//! Text inside SQL. It must not know any statement.

/// An identifier between backticks.
pub(crate) fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text between single quotes. It holds as long as `NO_BACKSLASH_ESCAPES` is not in `sql_mode`.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', "''"))
}

/// The name of a database where the server takes it for a pattern: in the grants on all of it.
pub(crate) fn pattern(name: &str) -> String {
    let mut pattern = String::with_capacity(name.len());
    for c in name.chars() {
        if matches!(c, '_' | '%' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_ends_a_text_is_escaped() {
        assert_eq!(identifier(r#"a`b'c"d\"#), r#"`a``b'c"d\`"#);
        assert_eq!(literal(r#"a`b'c"d\"#), r#"'a`b''c"d\\'"#);
    }

    #[test]
    fn a_pattern_stands_for_one_database() {
        assert_eq!(pattern(r"my_app 100%\"), r"my\_app 100\%\\");
    }
}
