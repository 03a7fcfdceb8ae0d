//! Tags, links and the vault as a whole, as the holder of a token has them. Who is limited to tags sees links between notes
//! that it sees, and nothing that counts or changes the others.

use async_trait::async_trait;
use jiff::Timestamp;
use reveille_vault::{
    Key, Link, Links, Near, Neighbour, Note, Patch, Profile, Stats, Tag, TagChange, TagScope, Tags, Trail, Unresolved,
    VaultError,
};

use super::vault::ScopedVault;
use crate::renames::rewritten_by;

impl ScopedVault {
    /// What reaches over single notes is not for who is limited to tags.
    async fn whole(&self, what: &str) -> Result<(), VaultError> {
        match self.scope().await? {
            None => Ok(()),
            Some(_) => Err(VaultError::Forbidden(format!(
                "a token that is limited to tags may not {what}; nothing was done"
            ))),
        }
    }

    /// What lies near a note, over notes that are seen.
    pub(super) async fn bounded(&self, near: &Near, scope: &TagScope) -> Result<Near, VaultError> {
        let note = self.existing(&near.note).await?;
        Ok(Near {
            note: Key::Id(note.id),
            scope: Some(scope.clone()),
            ..near.clone()
        })
    }

    /// With a new path the links to the note are written anew where they stand, and that may be where the token may not write.
    pub(super) async fn check_rename(
        &self,
        scope: Option<&TagScope>,
        before: &Note,
        patch: &Patch,
    ) -> Result<(), VaultError> {
        if scope.is_none() {
            return Ok(());
        }
        for source in rewritten_by(&*self.inner, before, patch).await? {
            if self.seen(&Key::Id(source)).await?.is_none() {
                return Err(VaultError::Forbidden(
                    "a note outside the tags of this token links to this one, and a new path would change it; nothing was \
                     written"
                        .into(),
                ));
            }
        }
        Ok(())
    }
}

/// The tag, if it is one of those that are seen, without the parents that are not. Its count is of notes that are seen,
/// because they carry it.
fn seen(mut tag: Tag, scope: Option<&TagScope>) -> Option<Tag> {
    let Some(scope) = scope else { return Some(tag) };
    tag.parents.retain(|parent| scope.covers(parent));
    scope.covers(&tag.name).then_some(tag)
}

#[async_trait]
impl Links for ScopedVault {
    async fn links_of(&self, note: &Key) -> Result<Vec<Link>, VaultError> {
        let note = self.existing(note).await?;
        let mut links = self.inner.links()?.links_of(&Key::Id(note.id.clone())).await?;
        if self.scope().await?.is_none() {
            return Ok(links);
        }
        let mut seen = Vec::new();
        for link in links.drain(..) {
            let other = if link.source == note.id {
                &link.target
            } else {
                &link.source
            };
            if self.seen(&Key::Id(other.clone())).await?.is_some() {
                seen.push(link);
            }
        }
        Ok(seen)
    }

    async fn unresolved_links(&self) -> Result<Vec<Unresolved>, VaultError> {
        self.whole("list the links of all notes").await?;
        self.inner.links()?.unresolved_links().await
    }

    async fn neighbours(&self, near: &Near) -> Result<Vec<Neighbour>, VaultError> {
        match self.scope().await? {
            None => self.inner.links()?.neighbours(near).await,
            Some(scope) => self.inner.links()?.neighbours(&self.bounded(near, &scope).await?).await,
        }
    }

    async fn find_path(&self, source: &Key, target: &Key, max_depth: u32) -> Result<Option<Trail>, VaultError> {
        self.whole("look for ways over all notes").await?;
        self.inner.links()?.find_path(source, target, max_depth).await
    }
}

#[async_trait]
impl Tags for ScopedVault {
    async fn all_tags(&self) -> Result<Vec<Tag>, VaultError> {
        let scope = self.scope().await?;
        let tags = self.inner.tags()?.all_tags().await?.into_iter();
        Ok(tags.filter_map(|tag| seen(tag, scope.as_ref())).collect())
    }

    async fn tag(&self, name: &str) -> Result<Option<Tag>, VaultError> {
        let scope = self.scope().await?;
        let tag = self.inner.tags()?.tag(name).await?;
        Ok(tag.and_then(|tag| seen(tag, scope.as_ref())))
    }

    async fn kinds_of(&self, names: &[String]) -> Result<Vec<String>, VaultError> {
        let scope = self.scope().await?;
        let mut kinds = self.inner.tags()?.kinds_of(names).await?;
        kinds.retain(|kind| scope.as_ref().is_none_or(|scope| scope.covers(kind)));
        Ok(kinds)
    }

    async fn put_tag(&self, name: &str, change: TagChange) -> Result<Tag, VaultError> {
        self.may_write()?;
        self.whole("change tags").await?;
        self.inner.tags()?.put_tag(name, change).await
    }

    async fn rename_tag(&self, name: &str, new: &str) -> Result<u64, VaultError> {
        self.may_write()?;
        self.whole("change tags").await?;
        self.inner.tags()?.rename_tag(name, new).await
    }

    async fn merge_tags(&self, sources: &[String], target: &str) -> Result<Vec<(String, u64)>, VaultError> {
        self.may_write()?;
        self.whole("change tags").await?;
        self.inner.tags()?.merge_tags(sources, target).await
    }

    async fn delete_tag(&self, name: &str) -> Result<Option<u64>, VaultError> {
        self.may_write()?;
        self.whole("change tags").await?;
        self.inner.tags()?.delete_tag(name).await
    }
}

#[async_trait]
impl Profile for ScopedVault {
    async fn description(&self) -> Result<Option<String>, VaultError> {
        self.inner.profile().description().await
    }

    async fn describe(&self, description: &str) -> Result<(), VaultError> {
        self.may_write()?;
        self.whole("describe the vault").await?;
        self.inner.profile().describe(description).await
    }

    async fn made_at(&self) -> Result<Timestamp, VaultError> {
        self.inner.profile().made_at().await
    }

    async fn stats(&self) -> Result<Stats, VaultError> {
        self.whole("count all notes").await?;
        self.inner.profile().stats().await
    }
}
