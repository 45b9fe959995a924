//! Text inside URLs, after RFC 3986. It must not know the URLs of any engine.

use std::fmt::Write as _;

/// `text` as one component of a URL: whatever is not an unreserved character is percent-encoded,
/// byte by byte of its UTF-8.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => {
                // Writing to a String cannot fail.
                let _infallible = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// `path` as the path of a URL: [`encode`] for each component.
pub fn encode_path(path: &str) -> String {
    path.split('/').map(encode).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unreserved_characters_stay() {
        assert_eq!(encode("a-Z_0.9~"), "a-Z_0.9~");
        assert_eq!(
            encode("50% @/:?#$'\"\\ü"),
            "50%25%20%40%2F%3A%3F%23%24%27%22%5C%C3%BC"
        );
        assert_eq!(encode_path("/a b/c:d"), "/a%20b/c%3Ad");
    }
}
