//! The routes of tags. A name is one encoded segment by contract; raw slashes are understood as well, and a leading `#` is
//! the same tag.

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::Uri;
use axum::response::Response;
use axum::routing::get;
use reveille_vault::note::bare_tag;
use reveille_vault::{Tag, TagChange, Vault};
use serde_json::{Map, Value, json};

use super::answer::{self, Failure};
use super::body::Object;
use super::listing::Parameters;
use super::{Target, Vaults};
use crate::tokens::Tokens;

/// The routes.
pub(super) fn routes(tokens: &Tokens) -> Router<Vaults> {
    let (for_change, for_delete) = (tokens.clone(), tokens.clone());
    let change = move |target, uri, body| rename_or_merge(target, uri, body, for_change.clone());
    Router::new().route("/vault/{name}/api/tags", get(list)).route(
        "/vault/{name}/api/tags/{*key}",
        get(show)
            .put(put)
            .post(change)
            .delete(move |target| delete(target, for_delete.clone())),
    )
}

/// What a token is limited to keeps its name: otherwise it would see nothing any more, or something else.
fn refuse_in_use(tokens: &Tokens, vault: &dyn Vault, tags: &[&str]) -> Result<(), Failure> {
    for tag in tags {
        let tag = bare(tag);
        let of_vault = tokens.list().into_iter().filter(|grant| grant.reads(vault.name()));
        let named = of_vault.filter(|grant| grant.new.tags.contains(&tag));
        let ids: Vec<String> = named.map(|grant| grant.id.clone()).collect();
        if !ids.is_empty() {
            return Err(Failure::TagInUse { tag, tokens: ids });
        }
    }
    Ok(())
}

/// `GET /api/tags`: all of them, or one by `?tag=`.
pub(super) async fn list(Target { vault, .. }: Target, uri: Uri) -> Result<Response, Failure> {
    let parameters = Parameters::of(&uri)?;
    if let Some(name) = parameters.first("tag") {
        return show_tag(&*vault, name).await;
    }
    let with_schema = parameters.switch("include_schema", false)?;
    let tags = vault.tags()?.all_tags().await?;
    let render = |tag: &Tag| {
        if with_schema {
            rendered(tag)
        } else {
            json!({ "name": tag.name, "count": tag.count })
        }
    };
    Ok(answer::ok(&tags.iter().map(render).collect()))
}

/// `GET /api/tags/{name}`.
async fn show(Target { vault, key, .. }: Target) -> Result<Response, Failure> {
    show_tag(&*vault, &key).await
}

/// A tag that nobody knows is one that no note carries.
async fn show_tag(vault: &dyn Vault, name: &str) -> Result<Response, Failure> {
    let tag = vault.tags()?.tag(name).await?.unwrap_or_else(|| Tag {
        name: bare(name),
        ..Tag::default()
    });
    Ok(answer::ok(&rendered(&tag)))
}

fn rendered(tag: &Tag) -> Value {
    json!({
        "name": tag.name,
        "count": tag.count,
        "description": tag.description,
        "fields": tag.fields,
        "parent_names": tag.parents,
    })
}

/// `PUT /api/tags/{name}`: what is not named stays as it is.
pub(super) async fn put(
    Target { vault, key, .. }: Target,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    let mut object = Object::parse(body)?;
    let change = TagChange {
        description: object.text("description")?,
        fields: object.object("fields")?.unwrap_or_default(),
        parents: object.texts("parent_names")?,
    };
    let tag = vault.tags()?.put_tag(&key, change).await?;
    Ok(answer::ok(&json!({
        "tag": tag.name,
        "description": tag.description,
        "fields": tag.fields,
        "parent_names": tag.parents,
    })))
}

/// `DELETE /api/tags/{name}`.
pub(super) async fn delete(Target { vault, key, .. }: Target, tokens: Tokens) -> Result<Response, Failure> {
    refuse_in_use(&tokens, &*vault, &[&key])?;
    let untagged = vault.tags()?.delete_tag(&key).await?;
    Ok(answer::ok(&json!({
        "deleted": untagged.is_some(),
        "notes_untagged": untagged.unwrap_or_default(),
    })))
}

/// `POST /api/tags/{name}/rename` and `POST /api/tags/merge`. The last slash must be raw: an encoded one is part of a name.
async fn rename_or_merge(
    Target { vault, key, .. }: Target,
    uri: Uri,
    body: Result<Bytes, BytesRejection>,
    tokens: Tokens,
) -> Result<Response, Failure> {
    if key == "merge" {
        return merge(&*vault, &tokens, body).await;
    }
    match key.strip_suffix("/rename").filter(|_| uri.path().ends_with("/rename")) {
        Some(name) => {
            refuse_in_use(&tokens, &*vault, &[name])?;
            rename(&*vault, name, body).await
        }
        None => Err(Failure::UnknownRoute),
    }
}

async fn rename(vault: &dyn Vault, name: &str, body: Result<Bytes, BytesRejection>) -> Result<Response, Failure> {
    let mut object = Object::parse(body)?;
    let Some(new) = object.text("new_name")? else {
        return Err(object.invalid("new_name", "is required"));
    };
    let renamed = vault.tags()?.rename_tag(name, &new).await?;
    Ok(answer::ok(&json!({ "renamed": renamed })))
}

async fn merge(vault: &dyn Vault, tokens: &Tokens, body: Result<Bytes, BytesRejection>) -> Result<Response, Failure> {
    let mut object = Object::parse(body)?;
    let sources = object.texts("sources")?.filter(|sources| !sources.is_empty());
    let Some(sources) = sources else {
        return Err(object.invalid("sources", "must be an array of at least one tag"));
    };
    let Some(target) = object.text("target")? else {
        return Err(object.invalid("target", "is required"));
    };
    let names: Vec<&str> = sources.iter().map(String::as_str).collect();
    refuse_in_use(tokens, vault, &names)?;
    let merged = vault.tags()?.merge_tags(&sources, &target).await?;
    let merged: Map<String, Value> = merged.into_iter().map(|(tag, count)| (tag, count.into())).collect();
    Ok(answer::ok(&json!({ "merged": merged, "target": bare(&target) })))
}

fn bare(name: &str) -> String {
    bare_tag(name.trim()).trim().to_owned()
}
