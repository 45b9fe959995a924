//! The part of a project that the core reads itself: names, variables, and the blocks with their
//! meta keys. It needs nothing but the texts.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{EngineName, InstanceName, ProjectName};

use super::{
    ConfigError, Inputs,
    block::{self, Block, Reading},
    depend,
    files::{self, RESERVED, Texts},
    locals, outputs,
    reader::Reader,
    registries::{self, Registry},
    scope::{Evaluator, Names, Visible},
    toml_tree::{Table, Value},
    unused::Mentions,
    variables,
};
use crate::diagnostic::{Code, Diagnostic, Source, Sources, nearest};

/// A project whose own keys are read. It may still be wrong in what only drivers know.
#[derive(Debug)]
pub struct File {
    /// Its texts, for pointing into them.
    pub sources: Sources,
    /// The file that stands for it.
    pub path: Utf8PathBuf,
    /// The project's name.
    pub name: ProjectName,
    /// Where engines and drivers come from, besides this machine.
    pub registries: Vec<Registry>,
    /// The blocks, in the order of the files.
    pub blocks: Vec<Block>,
    pub(super) values: Values,
    /// What could refer to something.
    pub(super) mentions: Mentions,
    /// Expressions see nothing of the machine.
    pub(super) isolated: bool,
    /// What is wrong so far.
    pub(super) problems: Vec<Diagnostic>,
}

/// What expressions can refer to when the blocks are resolved, and the outputs that do.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub(super) variables: Names,
    pub(super) locals: Names,
    pub(super) engines: BTreeSet<String>,
    pub(super) outputs: Vec<outputs::Declared>,
}

impl File {
    /// Reads the file and those that belong to it. It fails only when not even the project's name
    /// can be told.
    pub fn read(path: &Utf8Path, inputs: &Inputs) -> Result<Self, ConfigError> {
        Self::from_texts(path, files::read(path)?, inputs)
    }

    /// Reads the text of a file that is a whole project.
    pub fn parse(source: &Source, inputs: &Inputs) -> Result<Self, ConfigError> {
        Self::from_texts(&source.path, files::parse(source)?, inputs)
    }

    pub(super) fn from_texts(
        path: &Utf8Path,
        mut texts: Texts,
        inputs: &Inputs,
    ) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let mentions = Mentions::of(&texts.table);
        texts.choose_profile(inputs.profile.as_deref(), &mut problems);
        let Texts {
            mut sources,
            table,
            values: files,
        } = texts;
        let mut reader = Reader::new("the project", table);
        let declared = variables::declared(&mut reader, &mut problems);
        for place in variables::hidden(&declared, &files) {
            sources.cover(place);
        }
        let given = variables::given(&declared, inputs, &mut sources);

        let evaluator = Evaluator::new(&sources, inputs.isolated);
        let variables = variables::values(&declared, &files, &given, &evaluator, &mut problems);
        let locals = locals::declared(&mut reader, &mut problems);
        let engines = reader.tables().map(ToOwned::to_owned);
        let engines = engines
            .filter(|word| !RESERVED.contains(&word.as_str()))
            .collect();
        let visible = Visible {
            variables: &variables,
            engines: &engines,
            ..Visible::NOTHING
        };
        let locals = locals::values(&locals, &visible, &evaluator, &mut problems);
        let visible = Visible {
            locals: &locals,
            ..visible
        };
        let outputs = outputs::declared(&mut reader, &visible, &evaluator, &mut problems);
        let name = project_name(&mut reader, path, &visible, &evaluator, &mut problems);
        let defaults = block::defaults(&mut reader, &visible, &evaluator, &mut problems);
        let registries = registries::registries(&mut reader, &visible, &evaluator, &mut problems);
        let reading = Reading {
            visible,
            evaluator: &evaluator,
            defaults,
        };
        let blocks = blocks(&reader.into_rest(), &reading, &mut problems);
        let items = outputs.iter().map(|output| &output.value).collect();
        let needs = depend::referred_by(items, &visible, &evaluator, &mut problems);
        depend::check(&blocks, &needs, &mut problems);
        let values = Values {
            variables,
            locals,
            engines,
            outputs,
        };
        let secrets = evaluator.secrets.into_inner();
        sources.hide(&secrets);
        match name {
            Some(name) => Ok(Self {
                sources,
                path: path.to_owned(),
                name,
                registries,
                blocks,
                values,
                mentions,
                isolated: inputs.isolated,
                problems,
            }),
            None => Err(ConfigError::Wrong { sources, problems }),
        }
    }

    /// The block of an instance.
    pub fn block(&self, name: &str) -> Option<&Block> {
        self.blocks.iter().find(|block| block.name.as_str() == name)
    }
}

/// `name`, else the name of the folder.
fn project_name(
    reader: &mut Reader,
    path: &Utf8Path,
    visible: &Visible<'_>,
    evaluator: &Evaluator<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Option<ProjectName> {
    let before = problems.len();
    let item = reader.take("name");
    let item = item.and_then(|item| evaluator.item(&item, visible, problems).value);
    let written = item.and_then(|item| {
        let text = item.value.as_text().map(ToOwned::to_owned);
        if text.is_none() {
            problems.push(super::reader::wrong_type("name", "a string", &item));
        }
        text.map(|text| (text, item.span))
    });
    let (text, span) = match written {
        Some(written) => written,
        None if problems.len() > before => return None,
        None => {
            let folder = path
                .parent()
                .and_then(Utf8Path::file_name)
                .unwrap_or_default();
            (folder.to_owned(), 0..0)
        }
    };
    let from_folder = span == (0..0);
    match ProjectName::new(text.as_str()) {
        Ok(name) => Some(name),
        Err(error) => {
            let message = format!("the project name {text:?} {error}");
            let found = Diagnostic::new(Code::Name, span, message);
            let hint = "it is the name of the folder; write `name = \"…\"` at the top of the file";
            problems.push(if from_folder { found.hint(hint) } else { found });
            None
        }
    }
}

/// All `[ENGINE.NAME]` blocks, in the order of the files.
fn blocks(table: &Table, reading: &Reading<'_>, problems: &mut Vec<Diagnostic>) -> Vec<Block> {
    let mut blocks = Vec::new();
    for (word, item) in table.in_order() {
        let Value::Table(instances) = &item.value else {
            let message = format!("unknown key `{word}` in the project");
            let near = nearest(word, RESERVED);
            let hint = near.map(|near| format!("did you mean `{near}`?"));
            let found = Diagnostic::new(Code::UnknownKey, item.key.clone(), message);
            problems.push(found.maybe_hint(hint));
            continue;
        };
        let engine = match EngineName::new(word) {
            Ok(engine) => engine,
            Err(error) => {
                let message = format!("the engine name {word:?} {error}");
                problems.push(Diagnostic::new(
                    Code::UnknownEngine,
                    item.key.clone(),
                    message,
                ));
                continue;
            }
        };
        for (name, inner) in instances.in_order() {
            blocks.extend(block::instances(
                &engine, item, name, inner, reading, problems,
            ));
        }
    }
    blocks.sort_by_key(|block| block.name_span.start);
    refuse_duplicates(&blocks, problems);
    blocks
}

fn refuse_duplicates(blocks: &[Block], problems: &mut Vec<Diagnostic>) {
    let mut seen: BTreeMap<&InstanceName, &Block> = BTreeMap::new();
    for block in blocks {
        if let Some(first) = seen.get(&block.name) {
            let message = format!("there are two instances called `{}`", block.name);
            let found = Diagnostic::new(Code::Duplicate, block.name_span.clone(), message)
                .label("and this one")
                .see(first.name_span.clone(), "this one")
                .hint("an instance is called by its name alone, so names are unique in a project");
            problems.push(found);
        }
        seen.entry(&block.name).or_insert(block);
    }
}
