//! One attempt at a delivery.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use http::header;
use jiff::Timestamp;
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use reveille_vault::triggers::{Due, Secret};

use super::address::{self, Resolver};
use super::answer::Ending;
use super::sign::signature;

/// Longest way to the receiver.
const CONNECT: Duration = Duration::from_secs(10);

/// Most bytes of an answer.
const ANSWER_BYTES: usize = 1 << 20;

/// Sends deliveries. Cheap to clone.
#[derive(Clone)]
pub(super) struct Sender {
    http: Client,
}

impl Sender {
    /// One that follows no redirect, asks no proxy, and goes where it may go only.
    pub(super) fn new() -> anyhow::Result<Self> {
        let http = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .dns_resolver(Arc::new(Resolver))
            .connect_timeout(CONNECT)
            .user_agent(concat!("reveille/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("there is no HTTP client for triggers")?;
        Ok(Self { http })
    }

    /// Tells the receiver, and what came of it. Nothing of it is logged here: addresses may hold secrets.
    pub(super) async fn attempt(&self, vault: &str, due: &Due) -> Ending {
        match tokio::time::timeout(due.timeout, self.exchange(vault, due)).await {
            Ok(ending) => ending.without(due.bearer.as_ref()),
            Err(_late) => Ending::failed(format!("it did not answer within {:?}", due.timeout)),
        }
    }

    async fn exchange(&self, vault: &str, due: &Due) -> Ending {
        let now = Timestamp::now();
        let signed = match signature(&due.secret, &due.id, now.as_second(), &due.body) {
            Ok(signed) => signed,
            Err(why) => return Ending::failed(why),
        };
        // Judged again: what may be sent where can have changed since the trigger was made.
        let url = match address::parse(&due.webhook) {
            Ok(url) => url,
            Err(why) => return Ending::failed(format!("its address cannot be used: {why}")),
        };
        let mut request = self
            .http
            .post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", &due.id)
            .header("webhook-timestamp", now.as_second())
            .header("webhook-signature", signed)
            .header("reveille-vault", vault)
            .header("reveille-attempt", due.attempts.saturating_add(1))
            .body(due.body.clone());
        if let Some(bearer) = &due.bearer {
            request = request.bearer_auth(bearer.expose());
        }
        match request.send().await {
            Ok(response) => read(response).await,
            Err(error) => Ending::failed(format!("it cannot be reached: {}", cause(error))),
        }
    }
}

async fn read(mut response: Response) -> Ending {
    let status = response.status();
    let retry_after = response.headers().get(header::RETRY_AFTER);
    let retry_after = retry_after.and_then(|value| value.to_str().ok()).map(str::to_owned); // silent-ok: asks for nothing
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => return Ending::of(status, retry_after.as_deref(), &body, Timestamp::now()),
            Ok(Some(bytes)) if body.len() + bytes.len() <= ANSWER_BYTES => body.extend_from_slice(&bytes),
            Ok(Some(_)) if status.is_success() => {
                let error = format!("it answered {} with more than {ANSWER_BYTES} bytes", status.as_u16());
                return Ending::muddled(status.as_u16(), error);
            }
            // The status says enough.
            Ok(Some(_)) => return Ending::of(status, retry_after.as_deref(), &body, Timestamp::now()),
            Err(error) => {
                let why = cause(error);
                return Ending::failed(format!("its answer {} broke off: {why}", status.as_u16()));
            }
        }
    }
}

/// The innermost reason, without the address.
fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut innermost: &dyn std::error::Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

impl Ending {
    /// A receiver may say in an error what it was shown.
    fn without(self, bearer: Option<&Secret>) -> Self {
        match (self, bearer) {
            (
                Self::Failed {
                    status,
                    error,
                    retry_after,
                    most,
                },
                Some(bearer),
            ) => Self::Failed {
                error: error.replace(bearer.expose(), "…"),
                status,
                retry_after,
                most,
            },
            (other, _) => other,
        }
    }
}
