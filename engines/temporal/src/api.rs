//! The messages of Temporal's API that matter here, with the fields that matter (temporal.api of
//! Temporal, grpc.health.v1 of gRPC). It must not know how they travel.

use std::collections::BTreeMap;

use prost::Message;

/// The paths of the methods.
pub(crate) mod path {
    pub(crate) const HEALTH: &str = "/grpc.health.v1.Health/Check";
    pub(crate) const LIST: &str = "/temporal.api.workflowservice.v1.WorkflowService/ListNamespaces";
    pub(crate) const REGISTER: &str =
        "/temporal.api.workflowservice.v1.WorkflowService/RegisterNamespace";
    pub(crate) const UPDATE: &str =
        "/temporal.api.workflowservice.v1.WorkflowService/UpdateNamespace";
    pub(crate) const DELETE: &str =
        "/temporal.api.operatorservice.v1.OperatorService/DeleteNamespace";
    pub(crate) const COUNT: &str =
        "/temporal.api.workflowservice.v1.WorkflowService/CountWorkflowExecutions";
    pub(crate) const SCHEDULES: &str =
        "/temporal.api.workflowservice.v1.WorkflowService/ListSchedules";
}

/// What a server's health is asked of.
pub(crate) const SERVICE: &str = "temporal.api.workflowservice.v1.WorkflowService";

/// A service serves.
pub(crate) const SERVING: i32 = 1;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    pub(crate) service: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    pub(crate) status: i32,
}

/// `google.protobuf.Duration`.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Span {
    #[prost(int64, tag = "1")]
    pub(crate) seconds: i64,
}

/// The answer of what has nothing to say, or nothing that matters.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Done {}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ListNamespacesRequest {
    #[prost(int32, tag = "1")]
    pub(crate) page_size: i32,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) next_page_token: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ListNamespacesResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) namespaces: Vec<Described>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) next_page_token: Vec<u8>,
}

/// `DescribeNamespaceResponse`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Described {
    #[prost(message, optional, tag = "1")]
    pub(crate) namespace_info: Option<NamespaceInfo>,
    #[prost(message, optional, tag = "2")]
    pub(crate) config: Option<NamespaceConfig>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct NamespaceInfo {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "3")]
    pub(crate) description: String,
    #[prost(btree_map = "string, string", tag = "5")]
    pub(crate) data: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct NamespaceConfig {
    #[prost(message, optional, tag = "1")]
    pub(crate) workflow_execution_retention_ttl: Option<Span>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RegisterNamespaceRequest {
    #[prost(string, tag = "1")]
    pub(crate) namespace: String,
    #[prost(string, tag = "2")]
    pub(crate) description: String,
    #[prost(message, optional, tag = "4")]
    pub(crate) workflow_execution_retention_period: Option<Span>,
    #[prost(btree_map = "string, string", tag = "7")]
    pub(crate) data: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct UpdateNamespaceRequest {
    #[prost(string, tag = "1")]
    pub(crate) namespace: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) update_info: Option<UpdateNamespaceInfo>,
    #[prost(message, optional, tag = "3")]
    pub(crate) config: Option<NamespaceConfig>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct UpdateNamespaceInfo {
    #[prost(string, tag = "1")]
    pub(crate) description: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct DeleteNamespaceRequest {
    #[prost(string, tag = "1")]
    pub(crate) namespace: String,
}

/// Of all workflows, whatever became of them.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CountWorkflowExecutionsRequest {
    #[prost(string, tag = "1")]
    pub(crate) namespace: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CountWorkflowExecutionsResponse {
    #[prost(int64, tag = "1")]
    pub(crate) count: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ListSchedulesRequest {
    #[prost(string, tag = "1")]
    pub(crate) namespace: String,
    #[prost(int32, tag = "2")]
    pub(crate) maximum_page_size: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ListSchedulesResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) schedules: Vec<Done>,
}
