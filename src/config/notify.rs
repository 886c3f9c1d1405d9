//! `[[notify]]`: one entry per channel, told apart by `kind`.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use portcullis_alerting::notify::{
    AlertmanagerSettings, Clock, DiscordSettings, EmailSettings, Encryption, PagerDutySettings,
    Severity, Sink, SinkSettings, SlackSettings, TelegramSettings, Template, WebhookSettings,
    worded,
};
use portcullis_alerting::secret;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Secret, SecretOr};

/// One channel that is told of alerts and pauses.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Notify {
    /// Any HTTP server, with a signature that it can verify.
    Webhook(Webhook),
    /// A Slack channel, by an incoming webhook.
    Slack(ByAddress),
    /// A Discord channel, by its webhook.
    Discord(ByAddress),
    /// PagerDuty, Events API v2.
    PagerDuty(PagerDuty),
    /// A Telegram chat, by a bot.
    Telegram(Telegram),
    /// Prometheus Alertmanager.
    Alertmanager(ByAddress),
    /// E-mail, by a mail server.
    Email(Email),
}

/// A mail server, and who writes to whom through it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Email {
    /// Name in logs and in the journal.
    pub name: String,
    /// Lowest severity that it is told of: `info` (default), `low`, `medium`, `high`, `critical`.
    #[serde(default)]
    pub min_severity: Severity,
    /// Host name of the mail server.
    pub server: String,
    /// Port; default: 465 for `tls`, 587 for `starttls`, 25 for `none`.
    pub port: Option<u16>,
    /// `tls` (default), `starttls`, or `none`, which only a server on this machine may be spoken to with.
    #[serde(default)]
    pub encryption: Encryption,
    /// Certificates to trust beside those of the public web: a PEM file, relative to this file.
    pub ca: Option<PathBuf>,
    /// User, where the server asks for one.
    pub user: Option<String>,
    /// The user's password.
    #[serde(default, deserialize_with = "super::secret::optional_place")]
    pub password: Option<Secret>,
    /// Who sends.
    pub from: String,
    /// Who receives.
    pub to: Vec<String>,
    /// Text of a message, with places for `{title}`, `{text}`, `{severity}`, `{incident}`, `{chain}`, `{tx}`, `{contract}`
    /// and `{time}`; default: the alert's own text.
    pub template: Option<String>,
}

/// A server of one's own.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Webhook {
    /// Name in logs and in the journal.
    pub name: String,
    /// Lowest severity that it is told of: `info` (default), `low`, `medium`, `high`, `critical`.
    #[serde(default)]
    pub min_severity: Severity,
    /// Address; one that holds a token is a secret.
    #[serde(alias = "webhook")]
    pub url: SecretOr,
    /// Secret that signs the body (HMAC-SHA256).
    #[serde(deserialize_with = "super::secret::place")]
    pub signing_key: Secret,
    /// Text of a message, with places for `{title}`, `{text}`, `{severity}`, `{incident}`, `{chain}`, `{tx}`, `{contract}`
    /// and `{time}`; default: the alert's own text.
    pub template: Option<String>,
}

/// A channel that its address alone gives access to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ByAddress {
    /// Name in logs and in the journal.
    pub name: String,
    /// Lowest severity that it is told of: `info` (default), `low`, `medium`, `high`, `critical`.
    #[serde(default)]
    pub min_severity: Severity,
    /// Address; one that holds a token is a secret.
    pub url: SecretOr,
    /// Text of a message, with places for `{title}`, `{text}`, `{severity}`, `{incident}`, `{chain}`, `{tx}`, `{contract}`
    /// and `{time}`; default: the alert's own text.
    pub template: Option<String>,
}

/// A PagerDuty service.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PagerDuty {
    /// Name in logs and in the journal.
    pub name: String,
    /// Lowest severity that it is told of: `info` (default), `low`, `medium`, `high`, `critical`.
    #[serde(default)]
    pub min_severity: Severity,
    /// Integration key of the service.
    #[serde(deserialize_with = "super::secret::place")]
    pub routing_key: Secret,
    /// Where events are taken; default: `https://events.pagerduty.com/v2/enqueue`.
    pub url: Option<String>,
    /// Text of a message, with places for `{title}`, `{text}`, `{severity}`, `{incident}`, `{chain}`, `{tx}`, `{contract}`
    /// and `{time}`; default: the alert's own text.
    pub template: Option<String>,
}

/// A Telegram bot and a chat that it may write to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Telegram {
    /// Name in logs and in the journal.
    pub name: String,
    /// Lowest severity that it is told of: `info` (default), `low`, `medium`, `high`, `critical`.
    #[serde(default)]
    pub min_severity: Severity,
    /// Token of the bot.
    #[serde(deserialize_with = "super::secret::place")]
    pub token: Secret,
    /// The chat: its number, or `@name` of a public channel.
    pub chat_id: String,
    /// Where the bot API is served; default: `https://api.telegram.org`.
    pub url: Option<String>,
    /// Text of a message, with places for `{title}`, `{text}`, `{severity}`, `{incident}`, `{chain}`, `{tx}`, `{contract}`
    /// and `{time}`; default: the alert's own text.
    pub template: Option<String>,
}

impl Notify {
    /// Its name in logs and in the journal.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Webhook(channel) => &channel.name,
            Self::Slack(channel) | Self::Discord(channel) | Self::Alertmanager(channel) => {
                &channel.name
            }
            Self::PagerDuty(channel) => &channel.name,
            Self::Telegram(channel) => &channel.name,
            Self::Email(channel) => &channel.name,
        }
    }

    /// Lowest severity that it is told of.
    pub(crate) fn min_severity(&self) -> Severity {
        match self {
            Self::Webhook(channel) => channel.min_severity,
            Self::Slack(channel) | Self::Discord(channel) | Self::Alertmanager(channel) => {
                channel.min_severity
            }
            Self::PagerDuty(channel) => channel.min_severity,
            Self::Telegram(channel) => channel.min_severity,
            Self::Email(channel) => channel.min_severity,
        }
    }

    fn template(&self) -> Option<&str> {
        let template = match self {
            Self::Webhook(channel) => &channel.template,
            Self::Slack(channel) | Self::Discord(channel) | Self::Alertmanager(channel) => {
                &channel.template
            }
            Self::PagerDuty(channel) => &channel.template,
            Self::Telegram(channel) => &channel.template,
            Self::Email(channel) => &channel.template,
        };
        template.as_deref()
    }

    /// The channel, ready to be told; `base` is the configuration's folder.
    ///
    /// # Errors
    /// A secret that cannot be had, a setting or a template that cannot work.
    pub(crate) fn sink(&self, base: &Path, clock: &Clock) -> anyhow::Result<Box<dyn Sink>> {
        let sink = self.settings(base)?.build(clock)?;
        let Some(template) = self.template() else { return Ok(sink) };
        let template = Template::parse(template)
            .with_context(|| format!("notify `{}`: template", self.name()))?;
        Ok(worded(sink, template))
    }

    /// Whether a literal address carries what is usually a key.
    pub(super) fn has_keyed_literal(&self) -> bool {
        match self {
            Self::Webhook(channel) => channel.url.is_keyed_literal(),
            Self::Slack(channel) | Self::Discord(channel) | Self::Alertmanager(channel) => {
                channel.url.is_keyed_literal()
            }
            Self::PagerDuty(_) | Self::Telegram(_) | Self::Email(_) => false,
        }
    }

    /// What the channel is built from, secrets read from their places; `base` is the configuration's folder.
    ///
    /// # Errors
    /// A secret that cannot be had: its place, never its value.
    fn settings(&self, base: &Path) -> anyhow::Result<SinkSettings> {
        let read = |value: Result<String, String>| {
            let value = value.map(secret::Secret::new).map_err(anyhow::Error::msg);
            value.with_context(|| format!("notify `{}`", self.name()))
        };
        let name = self.name().to_owned();
        let or = |url: &Option<String>, usual: &str| url.clone().unwrap_or_else(|| usual.into());
        Ok(match self {
            Self::Webhook(channel) => SinkSettings::Webhook(WebhookSettings {
                name,
                url: read(channel.url.reveal(base))?,
                signing_key: read(channel.signing_key.reveal(base))?,
            }),
            Self::Slack(channel) => {
                SinkSettings::Slack(SlackSettings { name, url: read(channel.url.reveal(base))? })
            }
            Self::Discord(channel) => {
                let url = read(channel.url.reveal(base))?;
                SinkSettings::Discord(DiscordSettings { name, url })
            }
            Self::Alertmanager(channel) => {
                let url = read(channel.url.reveal(base))?;
                SinkSettings::Alertmanager(AlertmanagerSettings { name, url })
            }
            Self::Email(channel) => SinkSettings::Email(EmailSettings {
                name,
                server: channel.server.clone(),
                port: channel.port,
                encryption: channel.encryption,
                ca_pem: match &channel.ca {
                    Some(path) => {
                        let path = base.join(path);
                        let pem = std::fs::read_to_string(&path);
                        Some(pem.with_context(|| {
                            format!("notify `{}`: ca {}", self.name(), path.display())
                        })?)
                    }
                    None => None,
                },
                login: match (&channel.user, &channel.password) {
                    (Some(user), Some(password)) => {
                        Some((user.clone(), read(password.reveal(base))?))
                    }
                    (None, None) => None,
                    _ => bail!("notify `{}`: `user` and `password` belong together", self.name()),
                },
                from: channel.from.clone(),
                to: channel.to.clone(),
            }),
            Self::PagerDuty(channel) => SinkSettings::PagerDuty(PagerDutySettings {
                name,
                routing_key: read(channel.routing_key.reveal(base))?,
                url: or(&channel.url, "https://events.pagerduty.com/v2/enqueue"),
            }),
            Self::Telegram(channel) => SinkSettings::Telegram(TelegramSettings {
                name,
                token: read(channel.token.reveal(base))?,
                chat_id: channel.chat_id.clone(),
                api: or(&channel.url, "https://api.telegram.org"),
            }),
        })
    }
}
