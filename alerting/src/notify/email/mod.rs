//! E-mail, handed to a mail server over SMTP (RFC 5321), encrypted unless the server is this machine.
//!
//! Mails of one incident form a thread: each refers to the incident's own identity.

mod message;
mod smtp;

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use self::message::Message;
use self::smtp::{Login, Server};
use super::{Alert, Clock, DeliveryError, NotifyError, Sink};
use crate::secret::Secret;

pub use self::smtp::Encryption;

/// What an e-mail channel is built from.
#[derive(Debug, Clone)]
pub struct EmailSettings {
    /// Name in logs and in the journal.
    pub name: String,
    /// Host name of the mail server; its certificate must be for it.
    pub server: String,
    /// Port; none takes the usual one of the encryption.
    pub port: Option<u16>,
    /// How the connection is encrypted.
    pub encryption: Encryption,
    /// Certificates to trust beside those of the public web, PEM.
    pub ca_pem: Option<String>,
    /// User and password, where the server asks for them.
    pub login: Option<(String, Secret)>,
    /// Who sends.
    pub from: String,
    /// Who receives.
    pub to: Vec<String>,
}

impl EmailSettings {
    pub(super) fn build(self, clock: &Clock) -> Result<Email, NotifyError> {
        let refused = |field, reason: &str| {
            Err(NotifyError { channel: self.name.clone(), field, reason: reason.to_owned() })
        };
        if !is_address(&self.from) {
            return refused("from", "expected an address such as `guard@example.org`");
        }
        if self.to.is_empty() || !self.to.iter().all(|to| is_address(to)) {
            return refused("to", "expected addresses such as `oncall@example.org`");
        }
        let is_local = matches!(self.server.as_str(), "localhost" | "127.0.0.1" | "::1");
        if self.encryption == Encryption::None && !is_local {
            return refused("encryption", "expected `tls` or `starttls` for a server elsewhere");
        }
        if self.login.as_ref().is_some_and(|(user, _)| user.is_empty() || user.contains('\0')) {
            return refused("user", "expected a user name");
        }
        let login = self.login.map(|(user, password)| Login { user, password });
        let server =
            Server::new(&self.server, self.port, self.encryption, self.ca_pem.as_deref(), login);
        let server = match server {
            Ok(server) => server,
            Err((field, reason)) => {
                return Err(NotifyError { channel: self.name, field, reason });
            }
        };
        let (from, to) = (self.from, self.to);
        Ok(Email { name: self.name, server: Arc::new(server), from, to, clock: clock.clone() })
    }
}

/// Whether it can stand in an envelope as it is: one `@`, and nothing that SMTP or a header could take for its own.
fn is_address(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_graphic() && !"<>()[]\\,;:\"".contains(c);
    text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.contains('@')
    }) && text.chars().all(is_plain)
}

pub(super) struct Email {
    name: String,
    server: Arc<Server>,
    from: String,
    to: Vec<String>,
    clock: Clock,
}

impl Email {
    fn send(&self, alert: &Alert, subject: &str) -> BoxFuture<'_, Result<(), DeliveryError>> {
        let message = Message {
            from: &self.from,
            to: &self.to,
            subject,
            text: &alert.text,
            incident: &alert.incident,
            at_ms: (self.clock)(),
        };
        let (server, message) = (Arc::clone(&self.server), message.encode());
        let (from, to) = (self.from.clone(), self.to.clone());
        async move {
            // The client blocks, so it runs where blocking is allowed.
            tokio::task::spawn_blocking(move || server.send(&from, &to, &message))
                .await
                .unwrap_or_else(|error| Err(DeliveryError::Refused { reason: error.to_string() }))
        }
        .boxed()
    }
}

impl Sink for Email {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), DeliveryError>> {
        self.send(alert, &format!("[{}] {}", alert.severity, alert.title))
    }

    fn resolve<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), DeliveryError>> {
        self.send(alert, &format!("[over] {}", alert.title))
    }
}
