//! Bodies and requests, for the fuzz targets alone.

use anyhow::Context as _;
use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use axum::{Extension, Router};
use reveille_vault::EmbeddedVault;
use reveille_vault::agent::Problem;
use serde_json::json;
use tempfile::TempDir;
use tower::ServiceExt as _;

use super::Caller;
use super::jobs::wrong_with;
use super::vault_api::{Vaults, router};
use crate::config::FileLimits;
use crate::tokens::Tokens;

/// What a request about a vault came to.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Whether it says that it is JSON.
    pub json: bool,
    /// All of it.
    pub body: Vec<u8>,
}

/// The routes of a vault named `v` with three notes, asked by the operator.
pub struct VaultApi {
    runtime: tokio::runtime::Runtime,
    router: Router,
    _dir: TempDir,
}

impl VaultApi {
    /// A new vault in a directory of its own, which goes with it.
    ///
    /// # Errors
    /// It cannot be made there.
    pub fn new() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let dir = tempfile::tempdir()?;
        let guard = runtime.enter();
        let vault = EmbeddedVault::open("v", &dir.path().join("v.db"))?;
        let tokens = Tokens::open(&dir.path().join("tokens.db"))?;
        let vaults = Vaults::default();
        vaults.insert(vault);
        let router = router(vaults, &tokens, FileLimits::default()).layer(Extension(Caller::Operator));
        drop(guard);
        let api = Self {
            runtime,
            router,
            _dir: dir,
        };
        let notes = json!({"notes": [
            {"id": "n1", "path": "a/b", "content": "one [[c]]", "tags": ["x/y"], "metadata": {"agent": "eng", "due": 1}},
            {"id": "n2", "path": "c", "content": "two words", "tags": ["x"], "metadata": {"due": "2026-07-02"}},
            {"id": "n3", "content": "three", "metadata": {"list": [1, {"a": null}]}},
        ]});
        let made = api.ask(
            "POST",
            "/vault/v/api/notes",
            "application/json",
            notes.to_string().into_bytes(),
        );
        made.filter(|made| made.status == 201).context("the first notes")?;
        Ok(api)
    }

    /// Sends a request. `None`: its parts make none.
    #[must_use]
    pub fn ask(&self, method: &str, uri: &str, kind: &str, body: Vec<u8>) -> Option<Answer> {
        let request = Request::builder().method(method).uri(uri);
        // silent-ok: the caller knows that it may be none
        let request = request.header(header::CONTENT_TYPE, kind).body(Body::from(body)).ok()?;
        self.runtime.block_on(async {
            let Ok(response) = self.router.clone().oneshot(request).await;
            let status = response.status().as_u16();
            let kind = response.headers().get(header::CONTENT_TYPE);
            let json = kind.is_some_and(|kind| kind == "application/json");
            // silent-ok: an answer that breaks off is none
            let body = to_bytes(response.into_body(), usize::MAX).await.ok()?;
            Some(Answer {
                status,
                json,
                body: body.into(),
            })
        })
    }
}

/// Reads the change of a job, and tells what is wrong with it; `None`: it has not even the form of one.
#[must_use]
pub fn job_change(body: &[u8]) -> Option<Vec<Problem>> {
    wrong_with(body)
}
