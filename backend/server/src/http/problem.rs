//! Errors as the API tells them: RFC 9457 problems.
//!
//! Each module has its own error type; this is where they become statuses and stable codes. What an
//! internal error was is logged here, once, and not told.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use shellport_wire::agent::{Refusal, RefusalCode};
use utoipa::ToSchema;

use crate::agent::AgentError;
use crate::auth::OriginError;
use crate::id::random_tag;
use crate::image::ImageError;
use crate::policy::PolicyError;
use crate::runtime::RuntimeError;
use crate::runtime::oci::ImagesError;
use crate::session::{CommandError, Record, RegistryError};
use crate::store::StoreError;

/// An error of the API.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the code says more.
    #[schema(example = "about:blank")]
    pub r#type: &'static str,
    /// The status in words.
    #[schema(example = "Unprocessable Entity")]
    pub title: &'static str,
    /// The HTTP status.
    #[schema(example = 422)]
    pub status: u16,
    /// What happened, and what to do.
    #[schema(example = "cpus: 9 is not allowed; it can be 0.01 to 4")]
    pub detail: String,
    /// A stable word for it.
    #[schema(example = "not_allowed")]
    pub code: &'static str,
    /// Under which it is in the server's log.
    pub request_id: String,
    /// Whether the same request may work later.
    pub retryable: bool,
    /// The field of the request that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl Problem {
    /// A problem with this status and code.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            code,
            request_id: random_tag(),
            retryable: matches!(
                status,
                StatusCode::TOO_MANY_REQUESTS
                    | StatusCode::BAD_GATEWAY
                    | StatusCode::SERVICE_UNAVAILABLE
                    | StatusCode::GATEWAY_TIMEOUT
            ),
            field: None,
        }
    }

    /// A request that is not understood.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", detail)
    }

    /// No such session.
    pub fn no_session(id: &str) -> Self {
        let detail = format!("there is no session {id:?}");
        Self::new(StatusCode::NOT_FOUND, "session_not_found", detail)
    }

    /// A session that was to run, and does not.
    pub fn not_made(record: &Record) -> Self {
        let code = match record.reason.as_deref() {
            Some("image_not_available") => "image_not_available",
            _ => "session_not_running",
        };
        let why = record.message.as_deref().unwrap_or("it has ended");
        let detail = format!("the session is {}: {why}", record.state.as_str());
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// A server that ends, before what was asked for has.
    pub fn shutting_down() -> Self {
        let detail = "the server is shutting down; ask again, and it goes on where it was";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "shutting_down", detail)
    }

    /// About this field.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// An error whose cause is the operator's business.
    pub(super) fn internal(error: &dyn std::error::Error) -> Self {
        let detail = "something went wrong in the server; its log has the cause under request_id";
        let problem = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail);
        tracing::error!(request.id = %problem.request_id, %error, "internal error");
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        if status == StatusCode::UPGRADE_REQUIRED {
            let headers = response.headers_mut();
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        }
        response
    }
}

impl From<PolicyError> for Problem {
    fn from(error: PolicyError) -> Self {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self::new(status, "not_allowed", error.to_string()).with_field(error.field)
    }
}

impl From<OriginError> for Problem {
    fn from(error: OriginError) -> Self {
        let (status, code) = match error {
            OriginError::Host(_) => (StatusCode::MISDIRECTED_REQUEST, "foreign_host"),
            OriginError::Origin(_) => (StatusCode::FORBIDDEN, "foreign_origin"),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        let (status, code) = match &error {
            RegistryError::TooMany(_) => (StatusCode::TOO_MANY_REQUESTS, "too_many_sessions"),
            RegistryError::KeyReused => {
                (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused")
            }
            RegistryError::KeySpent => (StatusCode::GONE, "idempotency_key_spent"),
            RegistryError::KeyBusy => (StatusCode::CONFLICT, "idempotency_key_busy"),
            RegistryError::Closing => (StatusCode::SERVICE_UNAVAILABLE, "shutting_down"),
            RegistryError::Store(error) => return Self::internal(error),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::State(_) => {
                Self::new(StatusCode::CONFLICT, "wrong_state", error.to_string())
            }
            CommandError::Version(_) => Self::new(
                StatusCode::PRECONDITION_FAILED,
                "version_mismatch",
                error.to_string(),
            ),
            CommandError::Gone => Self::new(StatusCode::GONE, "session_gone", error.to_string()),
            CommandError::Runtime(error) => error.into(),
            CommandError::Store(error) => Self::internal(&error),
        }
    }
}

impl From<RuntimeError> for Problem {
    fn from(error: RuntimeError) -> Self {
        let status = match error {
            RuntimeError::Host { .. } => return Self::internal(&error),
            RuntimeError::Missing => StatusCode::CONFLICT,
            RuntimeError::Image { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            RuntimeError::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::BAD_GATEWAY,
        };
        Self::new(status, error.code(), error.to_string())
    }
}

impl From<ImagesError> for Problem {
    fn from(error: ImagesError) -> Self {
        let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;
        let (status, code) = match &error {
            ImagesError::Busy => (StatusCode::TOO_MANY_REQUESTS, "too_many"),
            ImagesError::Pull(_) => (unprocessable, "image_not_available"),
            ImagesError::Archive(_) => (StatusCode::BAD_REQUEST, "invalid_request"),
            ImagesError::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            ImagesError::Import(_) => (unprocessable, "image_not_usable"),
            ImagesError::Image(error) => match error {
                ImageError::Missing(_) => (StatusCode::NOT_FOUND, "image_not_found"),
                ImageError::Ambiguous(_) => (StatusCode::CONFLICT, "image_ambiguous"),
                ImageError::Name { .. } => {
                    let problem = Self::new(unprocessable, "not_allowed", error.to_string());
                    return problem.with_field("image");
                }
                ImageError::Store { .. } => return Self::internal(error),
                _ => (unprocessable, "image_not_usable"),
            },
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::internal(&error)
    }
}

impl From<AgentError> for Problem {
    fn from(error: AgentError) -> Self {
        match error {
            AgentError::Refused(refusal) => refusal.into(),
            AgentError::Io(cause) if cause.kind() == std::io::ErrorKind::InvalidInput => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                cause.to_string(),
            ),
            error => Self::new(
                StatusCode::BAD_GATEWAY,
                "agent_unreachable",
                error.to_string(),
            ),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (status, code) = match refusal.code {
            RefusalCode::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "not_allowed"),
            RefusalCode::NotFound => (StatusCode::NOT_FOUND, "terminal_not_found"),
            RefusalCode::Exists => (StatusCode::CONFLICT, "terminal_exists"),
            RefusalCode::TooMany => (StatusCode::TOO_MANY_REQUESTS, "too_many"),
            RefusalCode::Ended => (StatusCode::CONFLICT, "exec_ended"),
            RefusalCode::StartFailed => (StatusCode::CONFLICT, "start_failed"),
            RefusalCode::NotListening => (StatusCode::BAD_GATEWAY, "port_not_open"),
            RefusalCode::ShuttingDown => (StatusCode::CONFLICT, "wrong_state"),
            RefusalCode::Other => (StatusCode::BAD_GATEWAY, "agent_error"),
        };
        // The message is the tenant's: it is shown to the caller, and bounded.
        let message: String = refusal.message.chars().take(500).collect();
        let field = message.split_once(": ").map(|(field, _)| field.to_owned());
        let problem = Self::new(status, code, message);
        match field {
            Some(field) if field.bytes().all(|byte| byte.is_ascii_lowercase()) => {
                problem.with_field(field)
            }
            _ => problem,
        }
    }
}
