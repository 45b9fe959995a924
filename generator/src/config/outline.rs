//! What of a project can be named on a command line, for shells that complete it.
//!
//! Whoever is typing does not want to hear what is wrong, so this reads what can be read, and
//! reports nothing.

use std::fs;

use camino::Utf8Path;
use toml_edit::Key;

use super::{
    File, Inputs,
    block::Block,
    files::{self, RESERVED},
};

/// The names of a project.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// Its instances, each with its engine.
    pub instances: Vec<(String, String)>,
    /// Its outputs.
    pub outputs: Vec<String>,
    /// Its profiles.
    pub profiles: Vec<String>,
}

impl Outline {
    /// Reads what the file and those that belong to it say.
    pub fn read(path: &Utf8Path, inputs: &Inputs) -> Self {
        let Ok(texts) = files::read(path) else {
            return Self::glance(&fs::read_to_string(path).unwrap_or_default());
        };
        let profiles = texts.table.0.get("profile");
        let profiles = profiles.and_then(|item| item.value.as_table());
        let profiles = profiles.map(|table| table.0.keys().cloned().collect());
        let file = File::from_texts(path, texts, inputs).ok();
        let (blocks, outputs) =
            file.map_or_else(Default::default, |file| (file.blocks, file.values.outputs));
        let names = |block: &Block| (block.name.to_string(), block.engine.to_string());
        Self {
            instances: blocks.iter().map(names).collect(),
            outputs: outputs.into_iter().map(|output| output.name).collect(),
            profiles: profiles.unwrap_or_default(),
        }
    }

    /// What the headings of a text say that is no TOML, for it is just being edited.
    fn glance(text: &str) -> Self {
        let mut outline = Self::default();
        for line in text.lines() {
            let heading = line.trim().strip_prefix('[');
            let heading = heading.and_then(|rest| Some(rest.split_once(']')?.0));
            let keys = heading.and_then(|heading| Key::parse(heading).ok());
            let Some([first, second, ..]) = keys.as_deref() else {
                continue;
            };
            let name = second.get().to_owned();
            match first.get() {
                "outputs" => add(&mut outline.outputs, name),
                "profile" => add(&mut outline.profiles, name),
                word if RESERVED.contains(&word) => {}
                engine => add(&mut outline.instances, (name, engine.to_owned())),
            }
        }
        outline
    }
}

/// The blocks below an instance repeat its name.
fn add<T: PartialEq>(names: &mut Vec<T>, name: T) {
    if !names.contains(&name) {
        names.push(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_enough() {
        let text = "[variables.x]\n[postgres.\"my app\"]\nversion = \n[postgres.\"my app\".role.a]\n\
                    [valkey.cache\n [ valkey . queue ] # x\n[profile.ci.valkey.queue]\n[outputs.url]\n";
        let names = |pairs: &[(&str, &str)]| {
            let owned = |(name, engine): &(&str, &str)| ((*name).into(), (*engine).into());
            pairs.iter().map(owned).collect::<Vec<_>>()
        };
        let outline = Outline {
            instances: names(&[("my app", "postgres"), ("queue", "valkey")]),
            outputs: vec!["url".into()],
            profiles: vec!["ci".into()],
        };
        assert_eq!(Outline::glance(text), outline);
    }
}
