//! API errors as the CLI reports them.

/// One kind of error.
pub(super) struct ApiError {
    /// `api_error_status` of the result.
    pub(super) status: Option<u16>,
    /// `error` of the message that the CLI makes.
    pub(super) word: &'static str,
    pub(super) text: &'static str,
    pub(super) terminal_reason: &'static str,
    pub(super) stop_reason: &'static str,
    /// Status and word of the retries that come first.
    pub(super) retried: Option<(Option<u16>, &'static str)>,
}

const PLAIN: ApiError = ApiError {
    status: None,
    word: "unknown",
    text: "",
    terminal_reason: "completed",
    stop_reason: "stop_sequence",
    retried: None,
};

/// The error of a directive's word; `None` when there is none of that name.
pub(super) fn api_error(kind: &str) -> Option<ApiError> {
    Some(match kind {
        "400" => ApiError {
            status: Some(400),
            text: "API Error: 400 messages: this was not understood",
            ..PLAIN
        },
        "401" => ApiError {
            status: Some(401),
            word: "authentication_failed",
            text: "Invalid API key · Fix external API key",
            retried: Some((Some(401), "authentication_failed")),
            ..PLAIN
        },
        "403" => ApiError {
            status: Some(403),
            word: "authentication_failed",
            text: "Failed to authenticate. API Error: 403 Your API key does not have permission to use this resource.",
            ..PLAIN
        },
        "404" => ApiError {
            status: Some(404),
            word: "model_not_found",
            text: "There's an issue with the selected model. It may not exist or you may not have access to it.",
            ..PLAIN
        },
        "413" => ApiError {
            status: Some(413),
            word: "invalid_request",
            text: "Request too large (max 32MB).",
            terminal_reason: "image_error",
            ..PLAIN
        },
        "429" => ApiError {
            status: Some(429),
            word: "rate_limit",
            text: "API Error: Request rejected (429) · This request would exceed the rate limit of 50 requests per minute.",
            retried: Some((Some(429), "rate_limit")),
            ..PLAIN
        },
        "usage-limit" => ApiError {
            status: Some(429),
            word: "rate_limit",
            text: "You've hit your session limit · resets 11:46pm (UTC)",
            ..PLAIN
        },
        "500" => ApiError {
            status: Some(500),
            word: "server_error",
            text: "API Error: 500 Internal server error. This is a server-side issue, usually temporary.",
            retried: Some((Some(500), "server_error")),
            ..PLAIN
        },
        "529" => ApiError {
            word: "server_error",
            text: "API Error: Repeated 529 Overloaded errors. The API is at capacity — this is usually temporary.",
            retried: Some((Some(529), "overloaded")),
            ..PLAIN
        },
        "connection" => ApiError {
            word: "server_error",
            text: "API Error: Unable to connect to API (ConnectionRefused)",
            retried: Some((None, "unknown")),
            ..PLAIN
        },
        "credit" => ApiError {
            status: Some(400),
            word: "billing_error",
            text: "Credit balance is too low",
            ..PLAIN
        },
        "too-long" => ApiError {
            status: Some(400),
            word: "invalid_request",
            text: "Prompt is too long · the request is ~250000 tokens (limit 200000)",
            terminal_reason: "prompt_too_long",
            ..PLAIN
        },
        "refusal" => ApiError {
            word: "invalid_request",
            text: "API Error: Claude Code is unable to respond to this request, which appears to violate our Usage Policy.",
            stop_reason: "refusal",
            ..PLAIN
        },
        _ => return None,
    })
}
