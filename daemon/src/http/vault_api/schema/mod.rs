//! What goes in and out of the notes API, for its description. The contract is somebody else's: what a request does not say
//! and what it says too much is read by [`super::body`] and [`super::listing`] field by field.
#![expect(
    dead_code,
    reason = "these are shapes to be described; the values are made where they are known"
)]

mod notes;
mod tags;
mod tokens;
mod triggers;
mod vault;

use utoipa::OpenApi;

pub(super) use self::notes::*;
pub(super) use self::tags::*;
pub(super) use self::tokens::*;
pub(super) use self::triggers::*;
pub(super) use self::vault::*;
use super::{about, files, graph};

/// The routes of a vault.
#[derive(OpenApi)]
#[openapi(
    components(schemas(NotesError)),
    paths(
        about::about,
        about::change,
        about::show,
        files::attach,
        files::attachments,
        files::detach,
        files::detach_or_delete,
        files::download,
        files::list_or_show,
        files::upload,
        graph::find_path,
        graph::unresolved,
        super::notes::create,
        super::notes::list,
        super::notes::patch,
        super::health,
        super::tags::delete,
        super::tags::list,
        super::tags::merge,
        super::tags::put,
        super::tags::rename_or_merge,
        super::tags::show,
        super::tokens::list,
        super::tokens::make,
        super::tokens::revoke,
        super::triggers::deliveries,
        super::triggers::enable,
        super::triggers::list,
        super::triggers::put,
        super::triggers::redrive,
        super::triggers::remove,
        super::triggers::show,
    )
)]
pub(in crate::http) struct NotesApi;
