//! One attempt at a delivery.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use jiff::Timestamp;
use reveille_vault::triggers::{Due, Secret};

use super::address;
use super::answer::Ending;
use super::client::{Client, innermost};
use super::sign::signature;

/// Most bytes of an answer.
const ANSWER_BYTES: usize = 1 << 20;

/// Sends deliveries. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Sender {
    client: Client,
}

impl Sender {
    /// Tells the receiver, and what came of it. Nothing of it is logged here: addresses may hold secrets.
    pub(super) async fn attempt(&self, vault: &str, due: &Due) -> Ending {
        match tokio::time::timeout(due.timeout, self.exchange(vault, due)).await {
            Ok(ending) => ending.without(due.bearer.as_ref()),
            Err(_late) => Ending::failed(format!("it did not answer within {:?}", due.timeout)),
        }
    }

    async fn exchange(&self, vault: &str, due: &Due) -> Ending {
        let request = match request(vault, due) {
            Ok(request) => request,
            Err(why) => return Ending::failed(why),
        };
        match self.client.send(request).await {
            Ok(response) => read(response).await,
            Err(why) => Ending::failed(format!("it cannot be reached: {why}")),
        }
    }
}

/// # Errors
/// Why there can be none, for a person.
fn request(vault: &str, due: &Due) -> Result<Request<Full<Bytes>>, String> {
    let now = Timestamp::now().as_second();
    let signed = signature(&due.secret, &due.id, now, &due.body)?;
    // Judged again: what may be sent where can have changed since the trigger was made.
    let url = address::parse(&due.webhook).map_err(|why| format!("its address cannot be used: {why}"))?;
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(url.as_str())
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, concat!("reveille/", env!("CARGO_PKG_VERSION")))
        .header("webhook-id", &due.id)
        .header("webhook-timestamp", now)
        .header("webhook-signature", signed)
        .header("reveille-vault", vault)
        .header("reveille-attempt", due.attempts.saturating_add(1));
    if let Some(bearer) = &due.bearer {
        let value = HeaderValue::try_from(format!("Bearer {}", bearer.expose()));
        let mut value = value.map_err(|_| "its bearer secret fits no header; register it again".to_owned())?;
        value.set_sensitive(true);
        request = request.header(header::AUTHORIZATION, value);
    }
    let body = Full::new(Bytes::from(due.body.clone()));
    // The error would name the address.
    request
        .body(body)
        .map_err(|_| "its address or its name fits no request; register it again".to_owned())
}

async fn read(response: Response<Incoming>) -> Ending {
    let status = response.status();
    let retry_after = response.headers().get(header::RETRY_AFTER);
    let retry_after = retry_after.and_then(|value| value.to_str().ok()).map(str::to_owned); // silent-ok: asks for nothing
    let (mut parts, mut body) = (response.into_body(), Vec::new());
    while let Some(frame) = parts.frame().await {
        let data = match frame {
            Ok(frame) => frame.into_data().unwrap_or_default(),
            Err(error) => {
                let why = innermost(&error);
                return Ending::failed(format!("its answer {} broke off: {why}", status.as_u16()));
            }
        };
        if body.len() + data.len() > ANSWER_BYTES {
            if status.is_success() {
                let error = format!("it answered {} with more than {ANSWER_BYTES} bytes", status.as_u16());
                return Ending::muddled(status.as_u16(), error);
            }
            // The status says enough.
            break;
        }
        body.extend_from_slice(&data);
    }
    Ending::of(status, retry_after.as_deref(), &body, Timestamp::now())
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
