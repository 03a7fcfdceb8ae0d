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
use super::{Target, Vaults, schema};
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

/// Lists tags, or shows one.
#[utoipa::path(
    get, path = "/vault/{name}/api/tags", operation_id = "listTags", tag = "notes",
    params(("name" = String, Path, description = "The vault."), ("tag" = Option<String>, Query, description = "Only that one."), ("include_schema" = Option<bool>, Query, description = "Also what they mean.")),
    responses(
        (status = 200, description = "The tags.", body = schema::TagsBody),
        (status = 404, description = "There is no such vault: `vault_not_found`."),
        (status = 501, description = "This kind of vault cannot do it: `unsupported`."),
    ),
)]
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

/// A tag. One that nobody knows is one that no note carries.
#[utoipa::path(
    get, path = "/vault/{name}/api/tags/{key}", operation_id = "getTag", tag = "notes",
    params(("name" = String, Path, description = "The vault."), ("key" = String, Path, description = "The tag, as one encoded segment.")),
    responses(
        (status = 200, description = "The tag.", body = schema::TagBody),
        (status = 404, description = "There is no such vault: `vault_not_found`."),
        (status = 501, description = "This kind of vault cannot do it: `unsupported`."),
    ),
)]
pub(super) async fn show(Target { vault, key, .. }: Target) -> Result<Response, Failure> {
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

/// Says what a tag means.
#[utoipa::path(
    put, path = "/vault/{name}/api/tags/{key}", operation_id = "putTag", tag = "notes",
    params(("name" = String, Path, description = "The vault."), ("key" = String, Path, description = "The tag, as one encoded segment.")),
    request_body = schema::TagPut,
    responses(
        (status = 200, description = "What it means now.", body = schema::TagPutDone),
        (status = 404, description = "There is no such vault: `vault_not_found`."),
        (status = 501, description = "This kind of vault cannot do it: `unsupported`."),
    ),
)]
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

/// Takes a tag from all notes.
#[utoipa::path(
    delete, path = "/vault/{name}/api/tags/{key}", operation_id = "deleteTag", tag = "notes",
    params(("name" = String, Path, description = "The vault."), ("key" = String, Path, description = "The tag, as one encoded segment.")),
    responses(
        (status = 200, description = "No note carries it any more.", body = schema::TagDeleted),
        (status = 404, description = "There is no such vault: `vault_not_found`."),
        (status = 409, description = "Tokens are limited to it: `tag_in_use_by_tokens`."),
        (status = 501, description = "This kind of vault cannot do it: `unsupported`."),
    ),
)]
pub(super) async fn delete(Target { vault, key, .. }: Target, tokens: Tokens) -> Result<Response, Failure> {
    refuse_in_use(&tokens, &*vault, &[&key])?;
    let untagged = vault.tags()?.delete_tag(&key).await?;
    Ok(answer::ok(&json!({
        "deleted": untagged.is_some(),
        "notes_untagged": untagged.unwrap_or_default(),
    })))
}

/// Renames a tag on all notes.
#[utoipa::path(
    post, path = "/vault/{name}/api/tags/{key}/rename", operation_id = "renameTag", tag = "notes",
    params(("name" = String, Path, description = "The vault."), ("key" = String, Path, description = "The tag, as one encoded segment.")),
    request_body = schema::TagRename,
    responses(
        (status = 200, description = "It has its new name.", body = schema::TagRenamed),
        (status = 404, description = "There is no such vault or tag: `vault_not_found`, `not_found`."),
        (status = 409, description = "The name is taken, or tokens are limited to the tag: `target_exists`, `tag_in_use_by_tokens`."),
        (status = 501, description = "This kind of vault cannot do it: `unsupported`."),
    ),
)]
pub(super) async fn rename_or_merge(
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

/// Makes one tag of several, on all notes.
#[utoipa::path(
    post, path = "/vault/{name}/api/tags/merge", operation_id = "mergeTags", tag = "notes",
    params(("name" = String, Path, description = "The vault.")),
    request_body = schema::TagMerge,
    responses(
        (status = 200, description = "They are one.", body = schema::TagMerged),
        (status = 404, description = "There is no such vault: `vault_not_found`."),
        (status = 409, description = "Tokens are limited to one of them: `tag_in_use_by_tokens`."),
        (status = 501, description = "This kind of vault cannot do it: `unsupported`."),
    ),
)]
pub(super) async fn merge(
    vault: &dyn Vault,
    tokens: &Tokens,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
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
