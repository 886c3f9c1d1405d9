//! The client's side of SMTP, as little of it as a mail needs.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::DeliveryError;
use super::message::base64;
use crate::secret::Secret;

/// How long the server may take for one answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A reply may have so many lines, of so many bytes each.
const REPLY_LINES: usize = 64;
const LINE_BYTES: u64 = 2_048;

/// How the connection to a mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// From the first byte; port 465.
    #[default]
    Tls,
    /// Begun in the open, and nothing is said before it stands; port 587.
    StartTls,
    /// Not at all; port 25, and only on this machine.
    None,
}

/// User and password.
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: Secret,
}

/// A mail server.
pub(super) struct Server {
    host: String,
    port: u16,
    encryption: Encryption,
    name: ServerName<'static>,
    tls: Arc<ClientConfig>,
    login: Option<Login>,
}

impl Server {
    /// Checks what it is given; connects to nobody. An error names the setting.
    pub(super) fn new(
        host: &str,
        port: Option<u16>,
        encryption: Encryption,
        ca_pem: Option<&str>,
        login: Option<Login>,
    ) -> Result<Self, (&'static str, String)> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| ("server", "expected a host name or an address".to_owned()))?;
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(pem) = ca_pem {
            let refused =
                |reason: String| ("ca", format!("expected certificates as PEM: {reason}"));
            let mut count = 0;
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate = certificate.map_err(|error| refused(error.to_string()))?;
                roots.add(certificate).map_err(|error| refused(error.to_string()))?;
                count += 1;
            }
            if count == 0 {
                return Err(refused("none is in the file".to_owned()));
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| ("encryption", error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let port = port.unwrap_or(match encryption {
            Encryption::Tls => 465,
            Encryption::StartTls => 587,
            Encryption::None => 25,
        });
        Ok(Self { host: host.to_owned(), port, encryption, name, tls: Arc::new(tls), login })
    }

    /// Hands one mail over. Blocks.
    pub(super) fn send(&self, from: &str, to: &[String], mail: &str) -> Result<(), DeliveryError> {
        let tcp = self.connect()?;
        match self.encryption {
            Encryption::None => Session::greeted(tcp)?.deliver(self, from, to, mail),
            Encryption::Tls => Session::greeted(self.secure(tcp)?)?.deliver(self, from, to, mail),
            Encryption::StartTls => {
                let mut open = Session::greeted(tcp)?;
                // Whoever stands between may take the offer out of the answer; then nothing is said at all.
                if !open.hello()?.iter().any(|line| line.eq_ignore_ascii_case("STARTTLS")) {
                    return Err(DeliveryError::Refused {
                        reason: "the server offers no STARTTLS; nothing was sent".to_owned(),
                    });
                }
                open.ask("STARTTLS", 220)?;
                // What came in the open must not be taken for an answer under encryption (CVE-2011-0411).
                if !open.stream.buffer().is_empty() {
                    return Err(DeliveryError::Refused {
                        reason: "the server spoke before the encryption stood".to_owned(),
                    });
                }
                let secured = self.secure(open.stream.into_inner())?;
                Session { stream: BufReader::new(secured) }.deliver(self, from, to, mail)
            }
        }
    }

    fn connect(&self) -> Result<TcpStream, DeliveryError> {
        let mut last = None;
        for address in (self.host.as_str(), self.port).to_socket_addrs().map_err(later)? {
            match TcpStream::connect_timeout(&address, TIMEOUT) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(TIMEOUT)).map_err(later)?;
                    stream.set_write_timeout(Some(TIMEOUT)).map_err(later)?;
                    return Ok(stream);
                }
                Err(error) => last = Some(error),
            }
        }
        let unknown = || std::io::Error::other("its name stands for no address");
        Err(later(last.unwrap_or_else(unknown)))
    }

    fn secure(
        &self,
        tcp: TcpStream,
    ) -> Result<StreamOwned<ClientConnection, TcpStream>, DeliveryError> {
        let connection = ClientConnection::new(Arc::clone(&self.tls), self.name.clone());
        let connection = connection.map_err(|error| DeliveryError::Refused {
            reason: format!("no encryption: {error}"),
        })?;
        Ok(StreamOwned::new(connection, tcp))
    }
}

/// One conversation.
struct Session<S: Read> {
    stream: BufReader<S>,
}

impl<S: Read + Write> Session<S> {
    fn greeted(stream: S) -> Result<Self, DeliveryError> {
        let mut session = Self { stream: BufReader::new(stream) };
        session.expect(220)?;
        Ok(session)
    }

    /// What the server can do.
    fn hello(&mut self) -> Result<Vec<String>, DeliveryError> {
        self.ask("EHLO portcullis", 250)
    }

    fn deliver(
        mut self,
        server: &Server,
        from: &str,
        to: &[String],
        mail: &str,
    ) -> Result<(), DeliveryError> {
        self.hello()?;
        if let Some(Login { user, password }) = &server.login {
            let plain = base64(format!("\0{user}\0{}", password.expose()).as_bytes());
            self.ask(&format!("AUTH PLAIN {plain}"), 235)?;
        }
        self.ask(&format!("MAIL FROM:<{from}>"), 250)?;
        for to in to {
            self.ask(&format!("RCPT TO:<{to}>"), 250)?;
        }
        self.ask("DATA", 354)?;
        self.ask(&format!("{mail}."), 250)?;
        // It has the mail; how it says good-bye matters to nobody.
        self.ask("QUIT", 221).ok();
        Ok(())
    }

    /// Says a line and takes the answer; the texts of its lines.
    fn ask(&mut self, line: &str, wanted: u16) -> Result<Vec<String>, DeliveryError> {
        let stream = self.stream.get_mut();
        stream.write_all(format!("{line}\r\n").as_bytes()).map_err(later)?;
        stream.flush().map_err(later)?;
        self.expect(wanted)
    }

    fn expect(&mut self, wanted: u16) -> Result<Vec<String>, DeliveryError> {
        let mut texts = Vec::new();
        for _ in 0..REPLY_LINES {
            let mut line = String::new();
            self.stream.by_ref().take(LINE_BYTES).read_line(&mut line).map_err(later)?;
            let code = line.get(..3).and_then(|code| code.parse::<u16>().ok());
            let (Some(code), Some(text)) = (code, line.get(4..).map(str::trim)) else {
                return Err(DeliveryError::Retry {
                    reason: "the server does not answer as SMTP has it".to_owned(),
                    after: None,
                });
            };
            if code != wanted {
                let reason = format!("SMTP reply {code} {text}");
                // 4xx is for now, 5xx for good (RFC 5321, section 4.2.1).
                return Err(if (400..500).contains(&code) {
                    DeliveryError::Retry { reason, after: None }
                } else {
                    DeliveryError::Refused { reason }
                });
            }
            texts.push(text.to_owned());
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(texts);
            }
        }
        Err(DeliveryError::Refused { reason: "the server's answer does not end".to_owned() })
    }
}

fn later(error: std::io::Error) -> DeliveryError {
    DeliveryError::Retry { reason: error.to_string(), after: None }
}
