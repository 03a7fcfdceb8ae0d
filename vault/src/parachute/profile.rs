//! The vault as a whole, as its server tells it.

use async_trait::async_trait;
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::ParachuteVault;
use super::http::Ask;
use crate::note::{NoteId, millis};
use crate::profile::{Profile, Stats};
use crate::store::VaultError;

/// Longest description, in bytes.
const DESCRIPTION_BYTES: usize = 64 << 10;

impl ParachuteVault {
    async fn about(&self, path: &str, query: Vec<(&str, String)>) -> Result<Value, VaultError> {
        let mut ask = Ask::new(Method::GET, path.to_owned());
        ask.query = query;
        let answer = self.core.client.ask(ask).await?;
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        let reason = format!("it answered {} when asked about itself", answer.status);
        Err(self.core.client.garbled(&reason))
    }
}

#[async_trait]
impl Profile for ParachuteVault {
    async fn description(&self) -> Result<Option<String>, VaultError> {
        let about = self.about("/vault", Vec::new()).await?;
        let text = about.get("description").and_then(Value::as_str);
        Ok(text.filter(|text| !text.trim().is_empty()).map(str::to_owned))
    }

    async fn describe(&self, description: &str) -> Result<(), VaultError> {
        let description = description.trim();
        if description.len() > DESCRIPTION_BYTES {
            return Err(VaultError::Invalid(
                "a description has at most 64 KiB; nothing was written".into(),
            ));
        }
        let mut ask = Ask::new(Method::PATCH, "/vault".into());
        ask.body = Some(json!({ "description": description }));
        let answer = self.core.client.ask(ask).await?;
        if answer.status.is_success() {
            return Ok(());
        }
        Err(VaultError::Invalid(format!(
            "the vault refuses the description ({} {})",
            answer.status,
            answer.code()
        )))
    }

    async fn made_at(&self) -> Result<Timestamp, VaultError> {
        let about = self.about("", Vec::new()).await?;
        let made = about.get("createdAt").and_then(Value::as_str).map(millis::parse);
        made.and_then(Result::ok)
            .ok_or_else(|| self.core.client.garbled("it does not tell when it was made"))
    }

    async fn stats(&self) -> Result<Stats, VaultError> {
        let about = self.about("/vault", vec![("include_stats", "true".into())]).await?;
        Ok(stats(about.get("stats").unwrap_or(&Value::Null)))
    }
}

/// Numbers as the server writes them. What is missing or of another form counts as none.
fn stats(value: &Value) -> Stats {
    let number = |key: &str| value.get(key).and_then(Value::as_u64).unwrap_or_default();
    let note = |key: &str| {
        let note = value.get(key)?;
        let id = NoteId::new(note.get("id")?.as_str()?).ok()?; // silent-ok: for display
        let at = millis::parse(note.get("createdAt")?.as_str()?).ok()?; // silent-ok: for display
        Some((id, at))
    };
    Stats {
        notes: number("totalNotes"),
        earliest: note("earliestNote"),
        latest: note("latestNote"),
        by_month: pairs(value.get("notesByMonth"), "month"),
        top_tags: pairs(value.get("topTags"), "tag"),
        tags: number("tagCount"),
        links: number("linkCount"),
    }
}

/// A list of objects with a name and a count, or an object of counts.
fn pairs(value: Option<&Value>, name: &str) -> Vec<(String, u64)> {
    let named = |entry: &Value| Some((entry.get(name)?.as_str()?.to_owned(), entry.get("count")?.as_u64()?));
    match value {
        Some(Value::Array(list)) => list.iter().filter_map(named).collect(),
        Some(Value::Object(counts)) => counts
            .iter()
            .filter_map(|(name, count)| Some((name.clone(), count.as_u64()?)))
            .collect(),
        _ => Vec::new(),
    }
}
