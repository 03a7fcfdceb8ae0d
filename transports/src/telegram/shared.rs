use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::outbox::Outbox;

use crate::telegram::access::AccessFile;
use crate::telegram::api::{Api, ApiError, Sent, Upload};
use crate::telegram::lanes::Lanes;
use crate::telegram::options::Options;
use crate::telegram::permission::Pending;

/// Media that Telegram shows as a picture is at most so large (Bot API, `sendPhoto`).
const PHOTO_BYTES: usize = 10_000_000;

/// What the bridge and its runs have in common.
pub(super) struct Shared {
    pub(super) options: Options,
    pub(super) access: AccessFile,
    pub(super) api: Api,
    pub(super) lanes: Lanes,
    pending: Mutex<Pending>,
}

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) chat: String,
    pub(super) thread: Option<i64>,
    pub(super) reply_to: Option<i64>,
}

impl Shared {
    pub(super) fn new(options: Options, api: Api, outbox: Outbox) -> Self {
        Self {
            access: AccessFile::in_dir(&options.state_dir, options.require_access_file),
            lanes: Lanes::new(outbox, &options.name),
            pending: Mutex::default(),
            options,
            api,
        }
    }

    pub(super) fn inbox(&self) -> PathBuf {
        self.options.state_dir.join("inbox")
    }

    pub(super) fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn send_text(&self, to: &Target, text: &str) -> Result<i64, ApiError> {
        let mut arguments = json!({"chat_id": to.chat, "text": text});
        for (name, value) in to.fields() {
            arguments[name] = value;
        }
        let sent: Sent = self.api.call("sendMessage", &arguments).await?;
        Ok(sent.message_id)
    }

    /// Sends a file as what its name says; what Telegram does not take as a picture or a voice goes as a document.
    pub(super) async fn send_file(&self, to: &Target, name: &str, content: &[u8]) -> Result<i64, ApiError> {
        let (method, field, mime) = kind_of(name, content.len());
        match self.send_as(to, (method, field, mime), name, content).await {
            Err(error) if field != "document" && unfit(&error) => {
                let document = ("sendDocument", "document", "application/octet-stream");
                self.send_as(to, document, name, content).await
            }
            sent => sent,
        }
    }

    async fn send_as(
        &self,
        to: &Target,
        (method, field, mime): (&str, &'static str, &str),
        name: &str,
        content: &[u8],
    ) -> Result<i64, ApiError> {
        let mut fields = vec![("chat_id", to.chat.clone())];
        fields.extend(to.fields().map(|(name, value)| (name, value.to_string())));
        let file = Upload {
            field,
            name,
            mime,
            content,
        };
        let sent: Sent = self.api.send(method, &fields, &file).await?;
        Ok(sent.message_id)
    }

    /// Something small that nobody misses if it fails.
    pub(super) async fn try_call(&self, method: &str, arguments: &Value) {
        if let Err(error) = self.api.call::<Value>(method, arguments).await {
            tracing::debug!(bridge = self.options.name, %error, "a small thing for Telegram failed");
        }
    }

    /// A short message that says something about now; later it would be of no use.
    pub(super) async fn tell(&self, to: &Target, text: &str) {
        if let Err(error) = self.send_text(to, text).await {
            tracing::warn!(bridge = self.options.name, %error, "a note to a chat was not sent");
        }
    }

    /// The pause after so many failures, with some jitter.
    pub(super) fn pause(&self, failures: u32, longest: Duration) -> Duration {
        let doubled = self.options.pace.first_pause.saturating_mul(1 << failures.min(16));
        jittered(doubled.min(longest))
    }
}

impl Target {
    pub(super) fn of(chat: i64, thread: Option<i64>, reply_to: Option<i64>) -> Self {
        Self {
            chat: chat.to_string(),
            thread,
            reply_to,
        }
    }

    fn fields(&self) -> impl Iterator<Item = (&'static str, Value)> {
        let thread = self.thread.map(|thread| ("message_thread_id", json!(thread)));
        // The message that is answered may be gone by then.
        let reply = self.reply_to.map(|message| {
            let parameters = json!({"message_id": message, "allow_sending_without_reply": true});
            ("reply_parameters", parameters)
        });
        thread.into_iter().chain(reply)
    }
}

/// Between nine tenths and all of it, so that many bridges do not ask at once.
fn jittered(pause: Duration) -> Duration {
    use std::hash::{BuildHasher as _, RandomState};
    let share = u32::try_from(RandomState::new().hash_one(0) % 100).unwrap_or(0);
    pause - pause / 1000 * share
}

fn kind_of(name: &str, bytes: usize) -> (&'static str, &'static str, &'static str) {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    let photo = |mime| ("sendPhoto", "photo", mime);
    let voice = |mime| ("sendVoice", "voice", mime);
    match ending.as_deref() {
        Some("jpg" | "jpeg") if bytes <= PHOTO_BYTES => photo("image/jpeg"),
        Some("png") if bytes <= PHOTO_BYTES => photo("image/png"),
        Some("gif") if bytes <= PHOTO_BYTES => photo("image/gif"),
        Some("webp") if bytes <= PHOTO_BYTES => photo("image/webp"),
        Some("ogg" | "oga" | "opus") => voice("audio/ogg"),
        _ => ("sendDocument", "document", "application/octet-stream"),
    }
}

/// Whether another kind of message would do.
fn unfit(error: &ApiError) -> bool {
    let text = error.text.to_ascii_uppercase();
    let words = ["PHOTO", "IMAGE", "VOICE", "PROCESS_FAILED"];
    error.fault == super::api::Fault::Refused && words.iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_goes_as_what_its_name_says() {
        for (name, method) in [
            ("a.JPG", "sendPhoto"),
            ("a.jpeg", "sendPhoto"),
            ("a.png", "sendPhoto"),
            ("a.gif", "sendPhoto"),
            ("a.webp", "sendPhoto"),
            ("a.ogg", "sendVoice"),
            ("a.oga", "sendVoice"),
            ("a.opus", "sendVoice"),
            ("a.pdf", "sendDocument"),
            ("png", "sendDocument"),
        ] {
            assert_eq!(kind_of(name, 5).0, method, "{name}");
        }
        assert_eq!(kind_of("a.png", PHOTO_BYTES + 1).0, "sendDocument");
    }

    #[test]
    fn jitter_makes_a_pause_shorter_by_a_tenth_at_most() {
        let pause = Duration::from_secs(10);
        for _ in 0..100 {
            let jittered = jittered(pause);
            assert!(jittered <= pause && jittered >= Duration::from_secs(9), "{jittered:?}");
        }
    }
}
