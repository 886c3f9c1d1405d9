//! The guard's door for people: what waits for an answer, and an answer handed in.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use ureq::Agent;
use ureq::http::Response;

use super::{SignedAnswer, Waiting};

/// How long the guard may take; it writes an answer to its disk before it says yes.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why the guard could not be asked, or did not take an answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// Nothing answers there.
    #[error("{guard}: {reason}")]
    Unreachable {
        /// Address asked.
        guard: String,
        /// The connection's own words.
        reason: String,
    },
    /// Something answers, and it is not a guard that asks people.
    #[error("{guard}: no guard that asks people answers there: expected {expected}, found {found}")]
    NotAGuard {
        /// Address asked.
        guard: String,
        /// What a guard answers.
        expected: &'static str,
        /// What was answered, shortened.
        found: String,
    },
    /// The guard refused the answer.
    #[error("not accepted (HTTP status {status}): {reason}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The guard's own words.
        reason: String,
    },
}

/// What waits for an answer at the guard at `guard` (`http://host:port`), the oldest first. Blocks.
///
/// # Errors
/// [`SubmitError::Unreachable`], [`SubmitError::NotAGuard`].
pub fn waiting(guard: &str) -> Result<Vec<Waiting>, SubmitError> {
    let answer = agent().get(format!("{guard}/waiting")).call();
    let (status, body) = read(guard, answer)?;
    let expected = "a list of what waits; `policy.approval` makes a guard ask";
    if status == 200 { parse(guard, expected, &body) } else { Err(strange(guard, expected, &body)) }
}

/// Hands an answer in. Blocks.
///
/// # Errors
/// [`SubmitError`].
pub fn hand_in(guard: &str, signed: &SignedAnswer) -> Result<(), SubmitError> {
    #[derive(Deserialize)]
    struct Refused {
        error: String,
    }
    let body = serde_json::to_string(signed).expect("an answer is plain data");
    let request = agent().post(format!("{guard}/answers"));
    let answer = request.header("Content-Type", "application/json").send(body);
    let (status, body) = read(guard, answer)?;
    if status == 200 {
        return Ok(());
    }
    let refused: Refused = parse(guard, "why an answer is refused", &body)?;
    Err(SubmitError::Refused { status, reason: refused.error })
}

fn agent() -> Agent {
    Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        // An answer is for this guard alone.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .build()
        .new_agent()
}

fn read(
    guard: &str,
    answer: Result<Response<ureq::Body>, ureq::Error>,
) -> Result<(u16, String), SubmitError> {
    let failed = |error: ureq::Error| SubmitError::Unreachable {
        guard: guard.to_owned(),
        reason: error.to_string(),
    };
    let mut response = answer.map_err(failed)?;
    let body = response.body_mut().with_config().limit(1 << 20).read_to_string().map_err(failed)?;
    Ok((response.status().as_u16(), body))
}

fn parse<T: DeserializeOwned>(
    guard: &str,
    expected: &'static str,
    body: &str,
) -> Result<T, SubmitError> {
    serde_json::from_str(body).map_err(|_| strange(guard, expected, body))
}

fn strange(guard: &str, expected: &'static str, body: &str) -> SubmitError {
    let found = body.trim().chars().take(120).collect();
    SubmitError::NotAGuard { guard: guard.to_owned(), expected, found }
}
