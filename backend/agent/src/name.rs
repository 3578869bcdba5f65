//! The names that servers give to terminals and execs.

use shellport_wire::agent::{MAX_NAME, Refusal, RefusalCode};

/// Refuses a name that is not allowed.
///
/// # Errors
/// When it is too long, or has other characters than it may have.
pub fn check(name: &str) -> Result<(), Refusal> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(Refusal {
        code: RefusalCode::Invalid,
        message: format!(
            "name: {name:?} is not 1 to {MAX_NAME} letters, digits, dots, hyphens or underscores"
        ),
    })
}
