//! What holds for a token whatever the door lets in: these routers have none in front.

use pretty_assertions::assert_eq;

use super::*;
use crate::tokens::{NewGrant, Scope, Verb};

impl Api {
    /// The same, for who holds a token.
    pub(super) async fn held(self, scope: Scope, tags: &[&str]) -> Self {
        let tokens = Tokens::open(&self.dir.path().join("held.db")).unwrap();
        let new = NewGrant {
            scopes: vec![scope],
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            ..NewGrant::default()
        };
        let (grant, _) = tokens.create(new, None).await.unwrap();
        let vaults = Vaults::from(self.vault.clone());
        Self {
            router: router(vaults, &tokens, [("v", MAX_FILE)].into()).layer(Extension(Caller::Token(grant))),
            ..self
        }
    }
}

fn forbidden() -> (u16, Value) {
    (403, json!({ "error": "forbidden", "error_type": "forbidden" }))
}

#[tokio::test]
async fn a_token_that_reads_writes_nothing_by_any_route() {
    let api = Api::new();
    api.post(json!({ "path": "a", "content": "a" })).await;
    let api = api.held(Scope::vault("v", Verb::Read), &[]).await;
    assert_eq!(api.ids("").await.split(' ').count(), 1);
    assert_eq!(coded(api.post(json!({ "content": "x" })).await), forbidden());
    assert_eq!(coded(api.patch("a", json!({ "append": "x" })).await), forbidden());
    let upsert = json!({ "content": "x", "if_missing": "create", "force": true });
    assert_eq!(coded(api.patch("new", upsert).await), forbidden());
    let (status, _, body) = api.raw("DELETE", &format!("{ROOT}/a"), "").await;
    assert_eq!(coded((status.as_u16(), body)), forbidden());
    assert_eq!(api.get(&format!("{ROOT}/a")).await.1["content"], "a");
}

#[tokio::test]
async fn a_token_of_another_vault_opens_nothing() {
    for scope in [Scope::vault("w", Verb::Admin), Scope::daemon(Verb::Admin)] {
        let api = Api::new().held(scope, &[]).await;
        assert_eq!(coded(api.get(ROOT).await), forbidden());
        assert_eq!(coded(api.get("/vault/v").await), forbidden());
    }
}

#[tokio::test]
async fn a_token_for_tags_is_held_to_them() {
    let api = Api::new();
    for (path, tag) in [("in", "work/x"), ("out", "private")] {
        api.post(json!({ "path": path, "tags": [tag] })).await;
    }
    let api = api.held(Scope::vault("v", Verb::Write), &["work"]).await;
    let (status, listed) = api.get(&format!("{ROOT}?limit=1&sort=desc")).await;
    assert_eq!(
        (status, &listed[0]["path"], listed.as_array().map(Vec::len)),
        (200, &json!("in"), Some(1))
    );
    assert_eq!(coded(api.get(&format!("{ROOT}/out")).await), not_found());
    assert_eq!(coded(api.patch("out", json!({ "append": "x" })).await), not_found());
    // No precondition is told for what is not there.
    assert_eq!(coded(api.patch("out", json!({ "content": "x" })).await), not_found());
    let outside = json!({ "error": "Forbidden", "error_type": "tag_scope_violation", "scoped_tags": ["work"] });
    assert_eq!(coded(api.post(json!({ "content": "x" })).await), (403, outside));
}
