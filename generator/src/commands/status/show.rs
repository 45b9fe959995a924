//! The report as a table for people. Pure.

use std::time::Duration;

use doze_contract::duration;

use super::{Group, HeldBy, Report, Row};
use crate::output::{Paint, bytes, harmless, percent, table};

const HEAD: [&str; 9] = [
    "NAME",
    "ENGINE",
    "STATE",
    "CLIENTS",
    "MEMORY",
    "CPU",
    "SLEEPS IN",
    "ENDPOINT",
    "DEPENDS ON",
];

/// The column that is cut before another one is left out, and how far: a loopback address fits.
const ENDPOINT: &str = "ENDPOINT";
const SHORTEST: usize = 15;

/// The columns that a narrow terminal can do without, the first one first.
const SPARED: [&str; 6] = [
    "DEPENDS ON",
    "CPU",
    "MEMORY",
    "SLEEPS IN",
    "ENGINE",
    "CLIENTS",
];

/// The lines, no longer than `width` where there is one.
pub(super) fn lines(report: &Report, width: Option<usize>, paint: Paint) -> Vec<String> {
    let of = |group: Group| {
        report
            .instances
            .iter()
            .filter(move |row| row.group == group)
    };
    let mut rows = vec![HEAD.map(String::from).to_vec()];
    rows.extend(of(Group::Service).chain(of(Group::Process)).map(cells));
    if let Some(width) = width {
        fit(&mut rows, width);
    }
    let mut lines = table(&rows, paint, colour);
    let processes = of(Group::Process).count();
    if processes > 0 && processes < report.instances.len() {
        let first = lines.len() - processes;
        lines.splice(first..first, [String::new(), paint.dim("PROCESSES")]);
    }
    lines.extend(below(report, paint));
    lines
}

/// What stands below the table.
fn below(report: &Report, paint: Paint) -> Vec<String> {
    let mut lines = vec![paint.dim(footer(&report.instances))];
    if report.held_by == HeldBy::Foreground {
        lines.push(format!(
            "{} is up in the foreground of another terminal",
            report.project
        ));
    }
    for row in &report.instances {
        if let Some(error) = &row.error {
            lines.push(format!("{}: {}", paint.red(&row.name), harmless(error)));
        }
    }
    let orphan = paint.yellow("orphaned:");
    lines.extend(
        report
            .orphaned
            .iter()
            .map(|at| format!("{orphan} no instance owns {at}; it stays until you remove it")),
    );
    lines
}

fn footer(rows: &[Row]) -> String {
    let awake = rows.iter().filter(|row| row.is_awake()).count();
    let of = format!("{awake} of {} awake", rows.len());
    match rows.iter().filter_map(|row| row.memory_bytes).sum() {
        0 => of,
        memory => format!("{of}, {}", bytes(memory)),
    }
}

fn cells(row: &Row) -> Vec<String> {
    let dash = || "-".to_owned();
    let places = Some(row.places()).filter(|text| !text.is_empty());
    let depends_on = Some(row.depends_on.join(", ")).filter(|text| !text.is_empty());
    let sleeps_in = row.sleeps_in_ms.map(Duration::from_millis);
    let never = (row.is_awake() && !row.sleeps).then(|| "never".to_owned());
    vec![
        row.name.to_string(),
        engine(row),
        row.state.to_owned(),
        clients(row),
        row.memory_bytes.map_or_else(dash, bytes),
        row.cpu_percent.map_or_else(dash, percent),
        sleeps_in.map(duration::show).or(never).unwrap_or_else(dash),
        places.unwrap_or_else(dash),
        depends_on.unwrap_or_else(dash),
    ]
}

/// The engine with the version that was asked for.
pub(super) fn engine(row: &Row) -> String {
    match &row.version {
        Some(version) => format!("{} {version}", row.engine),
        None => row.engine.clone(),
    }
}

/// The clients, and the holds behind them.
fn clients(row: &Row) -> String {
    match row.holds {
        0 => row.connections.to_string(),
        holds => format!("{} + {holds}", row.connections),
    }
}

pub(super) fn colour(cell: &str) -> Option<&'static str> {
    match cell {
        "running" | "serving" | "idling" => Some("32"),
        "booting" | "draining" => Some("33"),
        "failed" | "socket failed" | "asleep, failed" => Some("31"),
        "asleep" => Some("36"),
        _ => None,
    }
}

/// Leaves columns out, and cuts the endpoints, until the rows are no wider than that.
fn fit(rows: &mut [Vec<String>], width: usize) {
    for spared in SPARED {
        if cut(rows, width) {
            return;
        }
        if let Some(at) = column(rows, spared) {
            for row in rows.iter_mut() {
                row.remove(at);
            }
        }
    }
    cut(rows, width);
}

/// Cuts the endpoints as far as it takes, if that is enough.
fn cut(rows: &mut [Vec<String>], width: usize) -> bool {
    let Some(at) = column(rows, ENDPOINT) else {
        return false;
    };
    let wide = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let columns = rows.first().map_or(0, Vec::len);
    let total: usize = (0..columns).map(|column| wide(column) + 2).sum();
    let excess = total.saturating_sub(2 + width);
    let endpoints = wide(at);
    if excess == 0 {
        return true;
    }
    if endpoints < SHORTEST + excess || column(rows, "DEPENDS ON").is_some() {
        return false;
    }
    for cell in rows.iter_mut().filter_map(|row| row.get_mut(at)) {
        if cell.chars().count() > endpoints - excess {
            let kept = cell.chars().take(endpoints - excess - 1);
            *cell = kept.chain(['…']).collect();
        }
    }
    true
}

fn column(rows: &[Vec<String>], head: &str) -> Option<usize> {
    rows.first()?.iter().position(|cell| cell == head)
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;
    use doze_contract::ProjectName;

    use super::*;
    use crate::{commands::status::graph, fsx};

    /// Compares with what was looked at and found good; `DOZE_BLESS=1` writes it.
    fn assert_looks(name: &str, lines: &[String]) {
        let here = Utf8Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = here.join("../tests/tests/terminal").join(name);
        let text = lines.join("\n") + "\n";
        if std::env::var_os("DOZE_BLESS").is_some() {
            fsx::replace(&path, &text, 0o644).unwrap();
        }
        assert_eq!(
            fsx::read(&path).unwrap().unwrap_or_default(),
            text,
            "{path}"
        );
    }

    fn row(name: &str, engine: &str, state: &'static str, port: u16) -> Row {
        Row {
            version: Some("17".to_owned()),
            endpoints: vec![format!("127.0.0.1:{port}").parse().unwrap()],
            ..Row::example(name, engine, state)
        }
    }

    /// A project in which everything is that the table knows.
    fn report() -> Report {
        let mut app = row("app", "postgres", "serving", 5432);
        (app.connections, app.holds) = (12, 1);
        (app.memory_bytes, app.cpu_percent) = (Some(61_500_000), Some(3.21));
        app.endpoints.push(
            "unix:/run/user/1000/doze/shop/app/.s.PGSQL.5432"
                .parse()
                .unwrap(),
        );
        let mut cache = row("cache", "valkey", "idling", 6379);
        (cache.memory_bytes, cache.cpu_percent) = (Some(7_400_000), Some(0.1));
        (cache.holds, cache.sleeps_in_ms) = (2, Some(291_000));
        let mut reports = row("reports", "postgres", "asleep, failed", 5433);
        reports.error = Some("boot failed: postgres did not start: bad directive".to_owned());
        let mut api = row("api", "process", "serving", 8080);
        (api.group, api.version, api.sleeps) = (Group::Process, None, false);
        (api.memory_bytes, api.cpu_percent) = (Some(1_300_000_000), Some(104.4));
        api.depends_on = vec!["app".to_owned(), "cache".to_owned()];
        let mut worker = row("worker", "process", "ended", 8081);
        (worker.group, worker.version) = (Group::Process, None);
        worker.endpoints.clear();
        worker.depends_on = vec!["api".to_owned(), "cache".to_owned()];
        Report {
            project: ProjectName::new("shop").unwrap(),
            held_by: HeldBy::Systemd,
            instances: vec![api, app, cache, reports, worker],
            orphaned: vec!["/home/u/.local/share/doze/projects/shop/data/old".to_owned()],
        }
    }

    #[test]
    fn a_pipe_has_everything() {
        assert_looks("status-piped.txt", &lines(&report(), None, Paint::none()));
    }

    #[test]
    fn a_wide_terminal_has_all_columns() {
        assert_looks(
            "status-160.txt",
            &lines(&report(), Some(160), Paint::none()),
        );
    }

    #[test]
    fn eighty_columns_have_what_matters() {
        assert_looks("status-80.txt", &lines(&report(), Some(80), Paint::none()));
    }

    #[test]
    fn forty_columns_have_the_name_the_state_and_the_address() {
        assert_looks("status-40.txt", &lines(&report(), Some(40), Paint::none()));
    }

    #[test]
    fn the_table_is_never_wider_than_the_terminal() {
        let report = report();
        let rows = report.instances.len() + 3;
        for width in 40..200 {
            let lines = lines(&report, Some(width), Paint::none());
            for line in lines.iter().take(rows) {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
        }
    }

    #[test]
    fn the_graph_shows_what_depends_on_what() {
        assert_looks("status-graph.txt", &graph::lines(&report(), Paint::none()));
    }
}
