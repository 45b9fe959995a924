//! Comparing what is printed with what a page shows: `…` stands for any text of a line, and alone
//! on its line for any lines. Runs of spaces count as one.

/// Whether these lines are what the page shows. Blank lines at the end do not count.
pub(crate) fn fits(shown: &[String], printed: &[String]) -> bool {
    lines_fit(without_blank_end(shown), without_blank_end(printed))
}

fn without_blank_end(lines: &[String]) -> &[String] {
    let end = lines.iter().rposition(|line| !line.trim().is_empty());
    end.and_then(|end| lines.get(..=end)).unwrap_or_default()
}

fn lines_fit(shown: &[String], printed: &[String]) -> bool {
    match (shown.split_first(), printed.split_first()) {
        (None, None) => true,
        (Some((any, rest)), _) if any.trim() == "…" => (0..=printed.len())
            .any(|skipped| lines_fit(rest, printed.get(skipped..).unwrap_or_default())),
        (Some((line, shown)), Some((found, printed))) => {
            line_fits(line, found) && lines_fit(shown, printed)
        }
        _ => false,
    }
}

/// Whether a line is what the page shows.
pub(crate) fn line_fits(shown: &str, printed: &str) -> bool {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (shown, printed) = (words(shown), words(printed));
    let mut parts = shown.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = printed.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    true
}

#[test]
fn a_wildcard_stands_for_text_and_for_lines() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    for (shown, printed) in [
        ("a\nb", "a\nb\n\n"),
        ("a  …", "a b"),
        ("…/x: … b", "/tmp/x: a b"),
        ("…", ""),
        ("a\n…\nd", "a\nb\nc\nd"),
    ] {
        assert!(
            fits(&lines(shown), &lines(printed)),
            "{shown:?} {printed:?}"
        );
    }
    for (shown, printed) in [
        ("a", "a\nb"),
        ("a", "ab"),
        ("a…c", "ab"),
        ("a…b…c", "acb"),
        ("a\n…\nd", "a\nb"),
        ("", "a"),
    ] {
        assert!(
            !fits(&lines(shown), &lines(printed)),
            "{shown:?} {printed:?}"
        );
    }
}
