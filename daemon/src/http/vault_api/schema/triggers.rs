//! Triggers.

use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

/// Which notes a trigger is about.
#[derive(Serialize, ToSchema)]
pub(crate) struct TriggerWhen {
    tags: Option<Vec<String>>,
    has_metadata: Option<Vec<String>>,
    missing_metadata: Option<Vec<String>>,
    has_content: Option<bool>,
}

/// How a trigger tells its receiver.
#[derive(Serialize, ToSchema)]
pub(crate) struct TriggerAction {
    webhook: String,
    /// Always `json`.
    send: Option<String>,
    /// Milliseconds that the receiver may take.
    timeout: Option<u64>,
    auth: Option<TriggerAuth>,
}

/// What a trigger shows its receiver. Answers do not have the text.
#[derive(Serialize, ToSchema)]
pub(crate) struct TriggerAuth {
    bearer: Option<String>,
}

/// A trigger that is to be made or changed.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewTriggerBody {
    name: String,
    /// `created` and `updated`.
    events: Option<Vec<String>>,
    when: Option<TriggerWhen>,
    action: TriggerAction,
    enabled: Option<bool>,
    /// A new signing secret.
    rotate_secret: Option<bool>,
}

/// A trigger.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TriggerBody {
    name: String,
    events: Vec<String>,
    when: TriggerWhen,
    action: TriggerAction,
    enabled: bool,
    /// `enabled`, `disabled`, or why it was stopped.
    state: String,
    /// Deliveries that wait.
    waiting: u64,
    /// Deliveries that were given up.
    dead: u64,
    created_at: String,
    updated_at: String,
    /// The signing secret, when it is new.
    secret: Option<String>,
}

/// Triggers of a vault.
#[derive(Serialize, ToSchema)]
pub(crate) struct TriggersBody {
    triggers: Vec<TriggerBody>,
}

/// Lets a trigger run or pause.
#[derive(Serialize, ToSchema)]
pub(crate) struct TriggerEnable {
    enabled: bool,
}

/// A trigger that is gone.
#[derive(Serialize, ToSchema)]
pub(crate) struct TriggerDeleted {
    deleted: bool,
    name: String,
}

/// Something that a trigger tells.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeliveryBody {
    id: String,
    number: u64,
    note_id: String,
    event: String,
    /// `waiting`, `delivered` or `dead`.
    state: String,
    attempts: u64,
    #[schema(required)]
    next_at: Option<String>,
    /// Of the last answer.
    #[schema(required)]
    status: Option<u64>,
    #[schema(required)]
    error: Option<String>,
    #[schema(required)]
    remark: Option<String>,
    created_at: String,
    #[schema(required)]
    settled_at: Option<String>,
}

/// Deliveries of a trigger, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeliveriesBody {
    deliveries: Vec<DeliveryBody>,
    /// For `before`; null on the last page.
    #[schema(required)]
    next: Option<u64>,
}

/// What is to be told again.
#[derive(Serialize, ToSchema)]
pub(crate) struct RedriveBody {
    /// All that are dead or wait for their next attempt, when nothing is said.
    ids: Option<Vec<String>>,
}

/// How many are told again.
#[derive(Serialize, ToSchema)]
pub(crate) struct Redriven {
    redriven: u64,
}

/// Which deliveries are listed.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeliveriesParams {
    /// `waiting`, `delivered` or `dead`.
    state: Option<String>,
    /// `next` of the page before.
    before: Option<u64>,
    limit: Option<u64>,
}
