//! The lines of a report on the whole of a screen. Pure.

use doze_contract::ProjectName;

use crate::output::Paint;

/// What is written over the picture before: as many rows as a screen of this width and height has,
/// but the last, and how many there would be more.
pub(super) fn picture(
    project: &ProjectName,
    lines: &[String],
    size: Option<(usize, usize)>,
    paint: Paint,
) -> String {
    let (width, height) = size.unwrap_or((usize::MAX, usize::MAX));
    let head = format!("{}  (q quits)", paint.bold(project));
    let lines = lines.iter().flat_map(|line| line.split('\n'));
    let all = [head.as_str()].into_iter().chain(lines);
    let mut rows: Vec<_> = all.flat_map(|line| fold(line, width)).collect();
    let space = height.saturating_sub(1).max(1);
    if rows.len() > space {
        let shown = space.saturating_sub(1).max(1);
        let hidden = rows.len().saturating_sub(shown);
        rows.truncate(shown);
        if shown < space {
            rows.push(paint.dim(format!("… {hidden} more")));
        }
    }
    let mut text = String::from("\x1b[H");
    for row in rows {
        // Erased before: behind a row as wide as the screen that would take its last letter.
        text += "\x1b[K";
        text += &row;
        text += "\r\n";
    }
    text + "\x1b[J"
}

/// The rows of this width that a line takes; colours have none.
fn fold(line: &str, width: usize) -> Vec<String> {
    let (mut rows, mut used, mut is_colour) = (vec![String::new()], 0, false);
    for letter in line.chars() {
        is_colour |= letter == '\x1b';
        if !is_colour && used == width {
            rows.push(String::new());
            used = 0;
        }
        if let Some(row) = rows.last_mut() {
            row.push(letter);
        }
        if is_colour {
            is_colour = letter != 'm';
        } else {
            used += 1;
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(lines: &[&str], size: (usize, usize)) -> Vec<String> {
        let project = ProjectName::new("shop").unwrap();
        let lines: Vec<_> = lines.iter().copied().map(String::from).collect();
        let text = picture(&project, &lines, Some(size), Paint::none());
        let text = text.strip_prefix("\x1b[H").unwrap();
        let text = text.strip_suffix("\r\n\x1b[J").unwrap();
        let rows = text.split("\r\n");
        rows.map(|row| row.strip_prefix("\x1b[K").unwrap().to_owned())
            .collect()
    }

    #[test]
    fn a_screen_never_scrolls_and_what_is_not_on_it_is_told() {
        let head = "shop  (q quits)";
        let lines = ["one", "two", "three"];
        assert_eq!(rows(&lines, (20, 5)), [head, "one", "two", "three"]);
        assert_eq!(rows(&lines, (20, 4)), [head, "one", "… 2 more"]);
        assert_eq!(rows(&lines, (20, 3)), [head, "… 3 more"]);
        for height in [1, 2] {
            assert_eq!(rows(&lines, (20, height)), [head]);
        }
        let folded = rows(&["a line of two rows, yes", "three"], (20, 4));
        assert_eq!(folded, [head, "a line of two rows, ", "… 2 more"]);
    }

    #[test]
    fn a_line_is_folded_where_the_screen_ends_and_colours_take_no_place() {
        assert_eq!(fold("", 4), [""]);
        assert_eq!(fold("1234", 4), ["1234"]);
        assert_eq!(fold("\x1b[31m1234\x1b[0m", 4), ["\x1b[31m1234\x1b[0m"]);
        assert_eq!(fold("ab\x1b[2mcdé", 4), ["ab\x1b[2mcd", "é"]);
    }
}
