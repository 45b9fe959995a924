//! From the namespaces that are there to those that are declared. Pure.

use std::{collections::BTreeMap, time::Duration};

use doze_contract::protocol::{Action, Change};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    api::{
        DeleteNamespaceRequest, Described, NamespaceConfig, RegisterNamespaceRequest, Span,
        UpdateNamespaceInfo, UpdateNamespaceRequest,
    },
    block,
};

/// Marks a namespace that was made for a declaration, in its data, which the server keeps for
/// whoever wants to know.
const MARK: (&str, &str) = ("doze", "declared");

/// All that is declared in the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Structure {
    namespaces: BTreeMap<String, Wanted>,
}

/// A declared namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// How long the history of a closed workflow is kept, in seconds.
    retention: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

impl From<&BTreeMap<String, block::Namespace>> for Structure {
    fn from(declared: &BTreeMap<String, block::Namespace>) -> Self {
        let wanted = |namespace: &block::Namespace| Wanted {
            retention: seconds(namespace.retention),
            description: namespace.description.clone(),
        };
        let each = declared.iter();
        Self {
            namespaces: each
                .map(|(name, namespace)| (name.clone(), wanted(namespace)))
                .collect(),
        }
    }
}

/// What a declaration may say fits.
fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// One call that makes the server more like its declaration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    Create(RegisterNamespaceRequest),
    Alter(UpdateNamespaceRequest),
    Drop(DeleteNamespaceRequest),
}

/// What has to be made or altered.
pub(crate) fn steps(wanted: &Structure, live: &[Described]) -> Vec<Step> {
    let there = |name: &str| live.iter().find(|namespace| name_of(namespace) == name);
    let step = |(name, wanted): (&String, &Wanted)| match there(name) {
        None => Some(Step::Create(RegisterNamespaceRequest {
            namespace: name.clone(),
            description: wanted.description.clone().unwrap_or_default(),
            workflow_execution_retention_period: Some(Span {
                seconds: wanted.retention,
            }),
            data: BTreeMap::from([(MARK.0.to_owned(), MARK.1.to_owned())]),
        })),
        Some(live) => altered(name, wanted, live).map(Step::Alter),
    };
    wanted.namespaces.iter().filter_map(step).collect()
}

fn altered(name: &str, wanted: &Wanted, live: &Described) -> Option<UpdateNamespaceRequest> {
    let described = live.namespace_info.as_ref().map(|info| &info.description);
    let description = wanted.description.clone();
    let description = description.filter(|description| described != Some(description));
    let config = live.config.as_ref();
    let retention = config.and_then(|config| config.workflow_execution_retention_ttl);
    let wanted = Span {
        seconds: wanted.retention,
    };
    let retention = (retention != Some(wanted)).then_some(wanted);
    (description.is_some() || retention.is_some()).then(|| UpdateNamespaceRequest {
        namespace: name.to_owned(),
        update_info: description.map(|description| UpdateNamespaceInfo { description }),
        config: retention.map(|retention| NamespaceConfig {
            workflow_execution_retention_ttl: Some(retention),
        }),
    })
}

/// The names of those that were made for a declaration that is no more.
pub(crate) fn strays<'a>(
    wanted: &'a Structure,
    live: &'a [Described],
) -> impl Iterator<Item = &'a str> {
    let infos = live.iter().filter_map(|live| live.namespace_info.as_ref());
    infos
        .filter(|info| info.data.get(MARK.0).is_some_and(|mark| mark == MARK.1))
        .map(|info| info.name.as_str())
        .filter(|name| !wanted.namespaces.contains_key(*name))
}

fn name_of(namespace: &Described) -> &str {
    let info = namespace.namespace_info.as_ref();
    info.map_or("", |info| info.name.as_str())
}

impl Step {
    /// The step as people read it: the method, and its message as JSON.
    pub(crate) fn change(&self) -> Change {
        let span = |span: &Span| format!("{}s", span.seconds);
        let (action, name, mut said) = match self {
            Self::Create(call) => {
                let retention = call.workflow_execution_retention_period.as_ref();
                let said = json!({
                    "namespace": call.namespace,
                    "description": call.description,
                    "workflowExecutionRetentionPeriod": retention.map(span),
                    "data": call.data,
                });
                (Action::Create, &call.namespace, said)
            }
            Self::Alter(call) => {
                let info = call.update_info.as_ref();
                let config = call.config.as_ref();
                let retention = config.and_then(|it| it.workflow_execution_retention_ttl);
                let said = json!({
                    "namespace": call.namespace,
                    "updateInfo": info.map(|it| json!({ "description": it.description })),
                    "config": retention
                        .map(|it| json!({ "workflowExecutionRetentionTtl": span(&it) })),
                });
                (Action::Alter, &call.namespace, said)
            }
            Self::Drop(call) => {
                let said = json!({ "namespace": call.namespace });
                (Action::Drop, &call.namespace, said)
            }
        };
        if let Some(fields) = said.as_object_mut() {
            // What has the default of its type does not travel.
            fields.retain(|_, value| !value.is_null() && value != "");
        }
        let method = match action {
            Action::Create => "RegisterNamespace",
            Action::Alter => "UpdateNamespace",
            Action::Drop => "DeleteNamespace",
        };
        Change {
            action,
            object: format!("namespace {name}"),
            statement: format!("{method} {said}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::NamespaceInfo;

    fn structure(name: &str, hours: i64, description: Option<&str>) -> Structure {
        let wanted = Wanted {
            retention: hours * 3600,
            description: description.map(str::to_owned),
        };
        Structure {
            namespaces: BTreeMap::from([(name.to_owned(), wanted)]),
        }
    }

    fn live(name: &str, hours: i64, description: &str) -> Described {
        Described {
            namespace_info: Some(NamespaceInfo {
                name: name.to_owned(),
                description: description.to_owned(),
                data: BTreeMap::new(),
            }),
            config: Some(NamespaceConfig {
                workflow_execution_retention_ttl: Some(Span {
                    seconds: hours * 3600,
                }),
            }),
        }
    }

    fn statements(wanted: &Structure, live: &[Described]) -> Vec<String> {
        let steps = steps(wanted, live);
        steps.iter().map(|step| step.change().statement).collect()
    }

    #[test]
    fn what_is_missing_is_made_with_a_mark() {
        assert_eq!(
            statements(&structure("orders", 168, None), &[live("default", 24, "")]),
            [concat!(
                r#"RegisterNamespace {"data":{"doze":"declared"},"namespace":"orders","#,
                r#""workflowExecutionRetentionPeriod":"604800s"}"#
            )]
        );
    }

    #[test]
    fn only_what_differs_and_is_declared_is_altered() {
        let wanted = structure("orders", 168, Some("it's \"new\""));
        for (live, expected) in [
            (live("orders", 168, "it's \"new\""), None),
            (
                live("orders", 24, "it's \"new\""),
                Some(r#","config":{"workflowExecutionRetentionTtl":"604800s"}"#),
            ),
            (
                live("orders", 168, "old"),
                Some(r#","updateInfo":{"description":"it's \"new\""}"#),
            ),
        ] {
            let found = statements(&wanted, &[live]);
            assert_eq!(found.len(), usize::from(expected.is_some()), "{found:?}");
            for (found, expected) in found.iter().zip(expected) {
                assert!(found.contains(expected.trim_start_matches(',')), "{found}");
            }
        }
        let left_alone = statements(&structure("orders", 24, None), &[live("orders", 24, "old")]);
        assert_eq!(left_alone, [""; 0]);
    }

    #[test]
    fn a_stray_has_the_mark_and_no_declaration() {
        let mut all = [
            live("orders", 24, ""),
            live("old", 24, ""),
            live("by hand", 24, ""),
        ];
        for marked in all.iter_mut().take(2) {
            let info = marked.namespace_info.as_mut().unwrap();
            info.data.insert(MARK.0.to_owned(), MARK.1.to_owned());
        }
        let wanted = structure("orders", 24, None);
        assert_eq!(strays(&wanted, &all).collect::<Vec<_>>(), ["old"]);
    }
}
