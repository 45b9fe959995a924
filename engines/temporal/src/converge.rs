//! Making the namespaces of a running server what is declared, over one connection. It must not
//! know what has to be made.

use std::io;

use doze_contract::{
    Endpoint,
    protocol::{ConvergeCall, Converged, Kept},
};
use tokio::runtime;

use crate::{
    api::{
        CountWorkflowExecutionsRequest, CountWorkflowExecutionsResponse, DeleteNamespaceRequest,
        Described, Done, ListNamespacesRequest, ListNamespacesResponse, ListSchedulesRequest,
        ListSchedulesResponse, path,
    },
    diff::{self, Step, Structure},
    grpc::{Connection, GrpcError},
};

/// How many namespaces are asked for at a time.
const PAGE: i32 = 1000;

/// Why the namespaces are not as declared.
#[derive(Debug, thiserror::Error)]
pub enum ConvergeError {
    /// The plan is not one of this driver.
    #[error("the plan is not one of this driver")]
    Foreign,
    /// What the plan says of the namespaces cannot be read.
    #[error("the plan is not one of this driver")]
    Structure(#[source] serde_json::Error),
    /// There is nothing to wait for the server with.
    #[error("cannot wait for the server")]
    Runtime(#[source] io::Error),
    /// The server is not there, or does not tell what it has.
    #[error("cannot ask the server")]
    Server(#[from] GrpcError),
    /// A call failed.
    #[error("`{statement}` failed")]
    Statement {
        /// The call.
        statement: String,
        /// Why.
        #[source]
        source: GrpcError,
    },
}

pub(crate) fn converge(call: &ConvergeCall) -> Result<Converged, ConvergeError> {
    let body = &call.plan.body;
    let declared = body.converge.as_ref().ok_or(ConvergeError::Foreign)?;
    let wanted: Structure = declared.block.read().map_err(ConvergeError::Structure)?;
    let endpoint = call.upstream.as_ref().or(body.upstream.as_ref());
    let endpoint = endpoint.or(call.plan.endpoints.first());
    runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(ConvergeError::Runtime)?
        .block_on(work(endpoint.ok_or(ConvergeError::Foreign)?, &wanted, call))
}

async fn work(
    endpoint: &Endpoint,
    wanted: &Structure,
    call: &ConvergeCall,
) -> Result<Converged, ConvergeError> {
    let mut server = Server(Connection::open(endpoint).await?);
    let live = server.namespaces().await?;
    let mut steps = diff::steps(wanted, &live);
    let mut kept = Vec::new();
    if call.prune {
        // The server tells them in no order.
        let mut strays: Vec<_> = diff::strays(wanted, &live).collect();
        strays.sort_unstable();
        for name in strays {
            match server.reason_to_keep(name).await? {
                Some(reason) => kept.push(Kept {
                    object: format!("namespace {name}"),
                    reason,
                }),
                None => steps.push(Step::Drop(DeleteNamespaceRequest {
                    namespace: name.to_owned(),
                })),
            }
        }
    }
    let mut changes = Vec::new();
    for step in &steps {
        let change = step.change();
        if !call.dry_run {
            let done = server.make(step).await;
            done.map_err(|source| ConvergeError::Statement {
                statement: change.statement.clone(),
                source,
            })?;
        }
        changes.push(change);
    }
    Ok(Converged { changes, kept })
}

/// A running server.
struct Server(Connection);

impl Server {
    /// All namespaces, but for those that are being deleted.
    async fn namespaces(&mut self) -> Result<Vec<Described>, GrpcError> {
        let mut all = Vec::new();
        let mut next_page_token = Vec::new();
        loop {
            let question = ListNamespacesRequest {
                page_size: PAGE,
                next_page_token,
            };
            let page: ListNamespacesResponse = self.0.call(path::LIST, &question).await?;
            all.extend(page.namespaces);
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            next_page_token = page.next_page_token;
        }
    }

    /// What of its user's a namespace holds: workflows, as long as their histories are kept, and
    /// schedules, which are no workflows to whoever counts them.
    async fn reason_to_keep(&mut self, name: &str) -> Result<Option<String>, GrpcError> {
        let question = CountWorkflowExecutionsRequest {
            namespace: name.to_owned(),
        };
        let counted: CountWorkflowExecutionsResponse = self.0.call(path::COUNT, &question).await?;
        let question = ListSchedulesRequest {
            namespace: name.to_owned(),
            maximum_page_size: 1,
        };
        let scheduled: ListSchedulesResponse = self.0.call(path::SCHEDULES, &question).await?;
        Ok(match (counted.count, scheduled.schedules.is_empty()) {
            (0, true) => None,
            (0, false) => Some("has schedules".to_owned()),
            (1, _) => Some("has 1 workflow".to_owned()),
            (count, _) => Some(format!("has {count} workflows")),
        })
    }

    async fn make(&mut self, step: &Step) -> Result<(), GrpcError> {
        let Done {} = match step {
            Step::Create(question) => self.0.call(path::REGISTER, question).await?,
            Step::Alter(question) => self.0.call(path::UPDATE, question).await?,
            Step::Drop(question) => self.0.call(path::DELETE, question).await?,
        };
        Ok(())
    }
}
