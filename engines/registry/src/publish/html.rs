//! The pages of a registry that people look at: plain, without scripts, and nothing from elsewhere.
//!
//! Must not know files. Every text of a publisher is escaped, and every link is made of names that
//! have no character of meaning.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;

use super::catalogue::Catalogue;
use crate::{Artefact, Index, Kind, Package, PublicKey, Triple, index::Channel};

const STYLE: &str = "\
:root{--ink:#222;--dim:#666;--line:#ddd;--paper:#fff;--link:#0550ae}
@media(prefers-color-scheme:dark){:root{--ink:#ddd;--dim:#999;--line:#444;--paper:#181818;--link:#79b8ff}}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;\
color:var(--ink);background:var(--paper)}
a{color:var(--link)}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.3rem 1rem .3rem 0;border-bottom:1px solid var(--line)}
code,.dim{font-size:.85em}.dim{color:var(--dim)}code{overflow-wrap:anywhere}
.revoked a{text-decoration:line-through}";

/// The page of one publisher.
pub(super) fn namespace(index: &Index, key: PublicKey) -> impl fmt::Display {
    fmt::from_fn(move |f| {
        let name = &index.namespace;
        head(f, name.as_str())?;
        let (counter, issued, expires) = (index.counter, Day(index.issued), Day(index.expires));
        write!(
            f,
            "<p><a href=\"../index.html\">All publishers</a></p>\n<h1>{name}</h1>\n\
             <p>Key <code>{key}</code><br>\n\
             <a href=\"index\">Index {counter}</a>, signed {issued}, valid until {expires}</p>\n"
        )?;
        writeln!(f, "<h2>Engines</h2>\n{TABLE}")?;
        for (name, versions) in &index.engines {
            for (version, release) in versions.iter().rev() {
                let package = Package {
                    kind: Kind::Engine,
                    name: name.clone(),
                    version: version.clone(),
                };
                row(f, index, &package, release.channel, &release.artefacts)?;
                let (licence, origin) = (Escaped(&release.licence), Escaped(&release.origin));
                writeln!(
                    f,
                    "<td>{licence}<br><span class=\"dim\">{origin}</span></td></tr>"
                )?;
            }
        }
        writeln!(f, "</table>\n<h2>Drivers</h2>\n{TABLE}")?;
        for (name, versions) in &index.modules {
            for (version, release) in versions.iter().rev() {
                let package = Package {
                    kind: Kind::Module,
                    name: name.clone(),
                    version: version.clone(),
                };
                row(f, index, &package, release.channel, &release.artefacts)?;
                let majors: Vec<_> = release.majors.iter().map(ToString::to_string).collect();
                let (licence, majors) = (Escaped(&release.licence), majors.join(", "));
                let protocol = release.protocol;
                writeln!(
                    f,
                    "<td>{licence}<br><span class=\"dim\">for {name} {majors}; protocol \
                     {protocol}</span></td></tr>"
                )?;
            }
        }
        f.write_str("</table>\n</body>\n</html>\n")
    })
}

/// The page of the registry.
pub(super) fn registry(all: &Catalogue) -> impl fmt::Display {
    fmt::from_fn(move |f| {
        head(f, "Registry")?;
        f.write_str(
            "<h1>Registry</h1>\n<p>Engines and drivers for doze; \
             <a href=\"catalogue.json\">the same for programs</a>.</p>\n<table>\n\
             <tr><th>Publisher</th><th>Engines</th><th>Drivers</th></tr>\n",
        )?;
        for (name, publisher) in &all.namespaces {
            let engines: Vec<_> = publisher.engines.keys().map(ToString::to_string).collect();
            let modules: Vec<_> = publisher.modules.keys().map(ToString::to_string).collect();
            let (engines, modules) = (engines.join(", "), modules.join(", "));
            writeln!(
                f,
                "<tr><td><a href=\"{name}/index.html\">{name}</a></td><td>{engines}</td>\
                 <td>{modules}</td></tr>"
            )?;
        }
        f.write_str("</table>\n</body>\n</html>\n")
    })
}

const TABLE: &str =
    "<table>\n<tr><th>Name</th><th>Channel</th><th>Archives</th><th>What it is</th></tr>";

fn head(f: &mut fmt::Formatter<'_>, title: &str) -> fmt::Result {
    let title = Escaped(title);
    write!(
        f,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>\n{STYLE}\n</style>\n</head>\n<body>\n"
    )
}

/// The cells of a release that both kinds have.
fn row(
    f: &mut fmt::Formatter<'_>,
    index: &Index,
    package: &Package,
    channel: Channel,
    artefacts: &BTreeMap<Triple, Artefact>,
) -> fmt::Result {
    let Package { name, version, .. } = package;
    let channel = match channel {
        Channel::Stable => "stable",
        Channel::Preview => "preview",
    };
    write!(f, "<tr><td>{name} {version}</td><td>{channel}</td><td>")?;
    for (triple, Artefact { size, sha256 }) in artefacts {
        let path = package.path(triple);
        let revoked = index.revoked(sha256);
        let class = if revoked.is_some() {
            " class=\"revoked\""
        } else {
            ""
        };
        write!(
            f,
            "<div{class}><a href=\"{path}\">{triple}</a> <span class=\"dim\">{size} bytes</span>\
             <br><code>{sha256}</code>"
        )?;
        if let Some(reason) = revoked {
            write!(f, "<br>Revoked: {}", Escaped(reason))?;
        }
        f.write_str("</div>")?;
    }
    f.write_str("</td>")
}

/// Text of which a browser makes that text.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            '\n' => f.write_str("<br>"),
            c => write!(f, "{c}"),
        })
    }
}

/// The day of a time in seconds since 1970, in UTC.
struct Day(u64);

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = i64::try_from(self.0).unwrap_or(i64::MAX);
        match Timestamp::from_second(seconds) {
            Ok(time) => write!(f, "{}", time.strftime("%Y-%m-%d")),
            Err(_) => f.write_str("the end of time"),
        }
    }
}
