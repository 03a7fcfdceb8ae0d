//! One request and its answer.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{Hub, HubError};

/// Most bytes of an answer.
const ANSWER_BYTES: usize = 1 << 20;
/// Most characters of what the hub says that go on.
const SAID_CHARS: usize = 300;
/// What stands unencoded in an address.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A text as one part of an address.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// An answer with a good status.
pub(super) struct Answer {
    /// 2xx.
    pub(super) status: u16,
    /// `None`: no JSON.
    pub(super) body: Option<Value>,
}

impl Hub {
    /// Asks once. `path` is encoded.
    ///
    /// # Errors
    /// There is no answer, or it is a refusal.
    pub(super) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, HubError> {
        let token = self.shared.token.reveal().map_err(|why| HubError {
            status: 0,
            code: "no_token".into(),
            detail: format!("the daemon's token for it cannot be read: {why}"),
        })?;
        let patience = self.shared.patience;
        let exchange = self.exchange(method, path, body, &token);
        match tokio::time::timeout(patience, exchange).await {
            Ok(answer) => answer,
            Err(_late) => Err(HubError::unreachable(format!("it did not answer within {patience:?}"))),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        token: &str,
    ) -> Result<Answer, HubError> {
        let request = self.request(method, path, body, token)?;
        let sent = self.shared.http.send(request).await;
        let (status, bytes) = read(sent.map_err(HubError::unreachable)?).await?;
        let body: Option<Value> = serde_json::from_slice(&bytes).ok(); // silent-ok: whoever needs JSON says so
        match status.is_success() {
            true => Ok(Answer {
                status: status.as_u16(),
                body,
            }),
            false => Err(refusal(status, body.as_ref(), token)),
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        token: &str,
    ) -> Result<Request<Full<Bytes>>, HubError> {
        let bearer = HeaderValue::try_from(format!("Bearer {token}"));
        let mut bearer = bearer.map_err(|_| HubError {
            status: 0,
            code: "no_token".into(),
            detail: "the daemon's token for it holds characters that no token has".into(),
        })?;
        bearer.set_sensitive(true);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.shared.origin))
            .header(header::AUTHORIZATION, bearer)
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, concat!("reveille/", env!("CARGO_PKG_VERSION")));
        let mut bytes = Bytes::new();
        if let Some(json) = body {
            request = request.header(header::CONTENT_TYPE, "application/json");
            bytes = json.to_string().into();
        }
        request
            .body(Full::new(bytes))
            .map_err(|error| HubError::unreachable(format!("its address can be none ({error})")))
    }
}

async fn read(response: Response<Incoming>) -> Result<(StatusCode, Bytes), HubError> {
    let status = response.status();
    match Limited::new(response.into_body(), ANSWER_BYTES).collect().await {
        Ok(body) => Ok((status, body.to_bytes())),
        // The status says enough.
        Err(_) if !status.is_success() => Ok((status, Bytes::new())),
        Err(error) if error.is::<LengthLimitError>() => Err(HubError::garbled(
            status.as_u16(),
            format!("it answered with more than {ANSWER_BYTES} bytes"),
        )),
        Err(_) => Err(HubError::unreachable(
            "the connection broke in the middle of its answer",
        )),
    }
}

/// What the hub says about itself: its code, and a sentence. It may repeat what it was shown.
fn refusal(status: StatusCode, body: Option<&Value>, token: &str) -> HubError {
    let word = |key: &str| {
        let text = body?.get(key)?.as_str()?.trim();
        let text = text.replace(token, "…").replace(char::is_control, " ");
        (!text.is_empty()).then(|| text.chars().take(SAID_CHARS).collect::<String>())
    };
    HubError {
        status: status.as_u16(),
        code: word("error").unwrap_or_else(|| "refused".into()),
        detail: word("error_description")
            .or_else(|| word("message"))
            .unwrap_or_else(|| format!("HTTP {}", status.as_u16())),
    }
}
