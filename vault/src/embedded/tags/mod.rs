//! Tags of the embedded vault: their schemas, and which is a kind of which.

pub(super) mod hierarchy;
mod rows;

use async_trait::async_trait;

pub(super) use self::rows::know;
use super::{EmbeddedVault, rules};
use crate::store::VaultError;
use crate::tags::{Tag, TagChange, Tags};

#[async_trait]
impl Tags for EmbeddedVault {
    async fn all_tags(&self) -> Result<Vec<Tag>, VaultError> {
        self.readers.run(rows::all).await
    }

    async fn tag(&self, name: &str) -> Result<Option<Tag>, VaultError> {
        let name = name.to_owned();
        self.readers.run(move |conn| rows::find(conn, &name)).await
    }

    async fn kinds_of(&self, names: &[String]) -> Result<Vec<String>, VaultError> {
        let names = names.to_vec();
        self.readers
            .run(move |conn| {
                let mut kinds = Vec::new();
                for name in &names {
                    let of_one = hierarchy::kinds_of(conn, rules::bare(name))?;
                    kinds.extend(of_one.into_iter().skip(1));
                }
                kinds.sort_unstable();
                kinds.dedup();
                Ok(kinds)
            })
            .await
    }

    async fn put_tag(&self, name: &str, change: TagChange) -> Result<Tag, VaultError> {
        let name = name.to_owned();
        self.write(move |conn, _now| rows::put(conn, &name, change)).await
    }

    async fn rename_tag(&self, name: &str, new: &str) -> Result<u64, VaultError> {
        let (name, new) = (name.to_owned(), new.to_owned());
        self.write(move |conn, now| rows::rename(conn, &name, &new, now)).await
    }

    async fn merge_tags(&self, sources: &[String], target: &str) -> Result<Vec<(String, u64)>, VaultError> {
        let (sources, target) = (sources.to_vec(), target.to_owned());
        self.write(move |conn, now| rows::merge(conn, &sources, &target, now))
            .await
    }

    async fn delete_tag(&self, name: &str) -> Result<Option<u64>, VaultError> {
        let name = name.to_owned();
        self.write(move |conn, now| rows::delete(conn, &name, now)).await
    }
}
