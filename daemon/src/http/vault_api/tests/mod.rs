//! The routes, against a real vault whose clock stands still.

mod files;
mod links;
mod patches;
mod reads;
mod tags;
mod tokens;
mod triggers;
mod writes;

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::{Extension, Router};
use jiff::Timestamp;
use pretty_assertions::assert_eq;
use reveille_vault::EmbeddedVault;
use reveille_vault::embedded::Options;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use super::{Caller, Tokens, Vaults, router};

/// Most bytes of a file.
const MAX_FILE: usize = 200_000;
const ROOT: &str = "/vault/v/api/notes";
const T0: &str = "1970-01-01T00:00:01.000Z";
const T1: &str = "1970-01-01T00:00:01.001Z";
const T2: &str = "1970-01-01T00:00:01.002Z";

struct Api {
    router: Router,
    vault: Arc<EmbeddedVault>,
    dir: TempDir,
}

impl Api {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(|| Timestamp::from_millisecond(1_000).unwrap());
        let options = Options {
            clock,
            ..Options::default()
        };
        let vault = EmbeddedVault::open_with("v", &dir.path().join("v.db"), options).unwrap();
        let tokens = Tokens::open(&dir.path().join("tokens.db")).unwrap();
        let vaults = Vaults::from(vault.clone());
        Self {
            router: router(vaults, &tokens, [("v", MAX_FILE)].into()).layer(Extension(Caller::Operator)),
            vault,
            dir,
        }
    }

    async fn raw(&self, method: &str, uri: &str, body: impl Into<Body>) -> (StatusCode, HeaderMap, Value) {
        let request = Request::builder().method(method).uri(uri).body(body.into()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        assert_eq!(headers[header::CONTENT_TYPE], "application/json", "{method} {uri}");
        (status, headers, serde_json::from_slice(&body).unwrap())
    }

    async fn get(&self, uri: &str) -> (u16, Value) {
        let (status, _, body) = self.raw("GET", uri, "").await;
        (status.as_u16(), body)
    }

    async fn post(&self, body: Value) -> (u16, Value) {
        let (status, _, body) = self.raw("POST", ROOT, body.to_string()).await;
        (status.as_u16(), body)
    }

    async fn patch(&self, key: &str, body: Value) -> (u16, Value) {
        let (status, _, body) = self.raw("PATCH", &format!("{ROOT}/{key}"), body.to_string()).await;
        (status.as_u16(), body)
    }

    /// Ids of a listing, joined.
    async fn ids(&self, query: &str) -> String {
        let (status, body) = self.get(&format!("{ROOT}?{query}")).await;
        assert_eq!(status, 200, "{query}: {body}");
        let ids = body.as_array().unwrap().iter().map(|note| note["id"].as_str().unwrap());
        ids.collect::<Vec<_>>().join(" ")
    }
}

/// What clients key on, without the sentence for people (which must be there).
fn coded((status, mut body): (u16, Value)) -> (u16, Value) {
    let message = body.as_object_mut().unwrap().remove("message");
    assert!(
        message.is_some_and(|text| text.as_str().is_some_and(|text| text.len() > 10)),
        "{body}"
    );
    (status, body)
}

fn wrong(field: &str) -> (u16, Value) {
    (
        400,
        json!({ "error": "invalid_request", "error_type": "invalid_request", "field": field }),
    )
}

fn not_found() -> (u16, Value) {
    (404, json!({ "error": "Not found", "error_type": "not_found" }))
}
