//! Text inside SQL, as chapter 4.1 of the manual has it. It must not know any statement.

/// An identifier between double quotes.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text between single quotes. It holds as long as `standard_conforming_strings` is on.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_is_doubled() {
        assert_eq!(identifier(r#"a"b'c\d"#), r#""a""b'c\d""#);
        assert_eq!(literal(r#"a"b'c\d"#), r#"'a"b''c\d'"#);
    }
}
