//! Who waits for the answer to a call. The library runs a call to its end whoever hears of it; what waits for long, or takes
//! something, ends with its client.

use http::request::Parts;
use rmcp::RoleServer;
use rmcp::service::RequestContext;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::http::socket::Ears;

/// The client of one call. Goes with the request to the tool.
#[derive(Clone)]
pub(super) struct Hearer(CancellationToken);

impl Hearer {
    /// It is there until the guard is dropped, which is kept with the answer.
    pub(super) fn new() -> (Self, DropGuard) {
        let gone = CancellationToken::new();
        (Self(gone.clone()), gone.drop_guard())
    }
}

/// Waits until nobody wants the answer to a call any more: its client has gone, or says so.
pub(super) async fn gone(context: &RequestContext<RoleServer>) {
    let parts = context.extensions.get::<Parts>();
    let left = async {
        match parts.and_then(|parts| parts.extensions.get::<Hearer>()) {
            Some(Hearer(gone)) => gone.cancelled().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = left => {}
        () = context.ct.cancelled() => {}
    }
}

/// The same for what is taken for a client: it may be gone as soon as it has stopped to send.
pub(super) async fn perhaps_gone(context: &RequestContext<RoleServer>) {
    let parts = context.extensions.get::<Parts>();
    let silence = async {
        match parts.and_then(|parts| parts.extensions.get::<Ears>()) {
            Some(ears) => ears.silence().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = silence => {}
        () = gone(context) => {}
    }
}
