//! E-mail against a mail server of the test's own, in the open and encrypted.

use std::io::Read;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;

const CERTIFICATE: &str = include_str!("../testdata/localhost.pem");
const CERTIFICATE_KEY: &str = include_str!("../testdata/localhost.key.pem");

/// What a mail server was told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Mail {
    commands: Vec<String>,
    data: String,
}

/// How the server behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ways {
    encryption: Encryption,
    /// Says that it can be encrypted.
    offers: bool,
    /// Says something in the open behind its word that encryption begins.
    injects: bool,
    /// What it says to a recipient.
    to_recipient: &'static str,
}

const WAYS: Ways =
    Ways { encryption: Encryption::None, offers: true, injects: false, to_recipient: "250 fine" };

/// Takes one mail and says what it was told.
fn server(ways: Ways) -> (u16, JoinHandle<Mail>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let (mut tcp, _) = listener.accept().unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut mail = Mail::default();
        if ways.encryption == Encryption::None {
            converse(tcp, ways, true, &mut mail);
            return mail;
        }
        if ways.encryption == Encryption::StartTls {
            if !converse(tcp.try_clone().unwrap(), ways, true, &mut mail) {
                return mail;
            }
            let more = if ways.injects { "250 injected\r\n" } else { "" };
            tcp.write_all(format!("220 go ahead\r\n{more}").as_bytes()).unwrap();
        }
        let chain = vec![CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(CERTIFICATE_KEY.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let connection = ServerConnection::new(Arc::new(config)).unwrap();
        let greets = ways.encryption == Encryption::Tls;
        converse(StreamOwned::new(connection, tcp), ways, greets, &mut mail);
        mail
    });
    (port, thread)
}

/// Speaks until the client leaves, or asks for encryption: then true.
fn converse<S: Read + Write>(mut stream: S, ways: Ways, greets: bool, mail: &mut Mail) -> bool {
    let say = |stream: &mut S, text: &str| {
        stream.write_all(format!("{text}\r\n").as_bytes()).and_then(|()| stream.flush()).is_ok()
    };
    if greets && !say(&mut stream, "220-the test's own\r\n220 mail server") {
        return false;
    }
    let mut reads_data = false;
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            match stream.read(&mut byte) {
                Ok(1) => line.push(byte[0]),
                _ => return false,
            }
        }
        let line = String::from_utf8(line).unwrap();
        let line = line.trim_end_matches("\r\n");
        if reads_data {
            reads_data = line != ".";
            if reads_data {
                mail.data.push_str(&format!("{line}\n"));
                continue;
            }
            say(&mut stream, "250 kept");
            continue;
        }
        mail.commands.push(line.to_owned());
        let answer = match line.split([' ', ':']).next().unwrap() {
            "EHLO" if ways.offers => "250-here\r\n250-SIZE 1000\r\n250 STARTTLS",
            "EHLO" => "250-here\r\n250 SIZE 1000",
            "STARTTLS" => return true,
            "AUTH" => "235 welcome",
            "RCPT" => ways.to_recipient,
            "DATA" => {
                reads_data = true;
                "354 go on"
            }
            "QUIT" => "221 bye",
            _ => "250 fine",
        };
        say(&mut stream, answer);
    }
}

fn settings(encryption: Encryption, port: u16) -> EmailSettings {
    EmailSettings {
        name: "mail".into(),
        server: "localhost".into(),
        port: Some(port),
        encryption,
        ca_pem: Some(CERTIFICATE.into()),
        login: None,
        from: "guard@example.org".into(),
        to: vec!["oncall@example.org".into(), "lead@example.org".into()],
    }
}

fn built(settings: EmailSettings) -> Result<Box<dyn Sink>, NotifyError> {
    let clock: Clock = Arc::new(|| NOW_MS);
    SinkSettings::Email(settings).build(&clock)
}

#[tokio::test]
async fn a_mail_is_handed_over_whole_in_the_open_and_encrypted() {
    for encryption in [Encryption::None, Encryption::Tls, Encryption::StartTls] {
        let (port, receiver) = server(Ways { encryption, ..WAYS });
        let login = Some(("guard".to_owned(), Secret::new("s3cret")));
        let sink = built(EmailSettings { login, ..settings(encryption, port) }).unwrap();
        sink.deliver(&alert(Severity::Critical)).await.unwrap();
        let mail = receiver.join().unwrap();
        let told: Vec<&str> = mail
            .commands
            .iter()
            .map(String::as_str)
            .skip_while(|line| !line.starts_with("AUTH"))
            .collect();
        assert_eq!(
            told,
            [
                // RFC 4616: nothing, user, password, parted by zero bytes.
                "AUTH PLAIN AGd1YXJkAHMzY3JldA==",
                "MAIL FROM:<guard@example.org>",
                "RCPT TO:<oncall@example.org>",
                "RCPT TO:<lead@example.org>",
                "DATA",
                "QUIT"
            ],
            "{encryption:?}"
        );
        assert!(
            mail.data.contains("Subject: =?UTF-8?B?W2NyaXRpY2FsXSBhdHRhY2sgb24gdmF1bHQ=?=\n"),
            "{}",
            mail.data
        );
        assert!(
            mail.data.contains("To: oncall@example.org,\n lead@example.org\n"),
            "{}",
            mail.data
        );
    }
}

#[tokio::test]
async fn nothing_is_said_in_the_open_where_encryption_was_asked_for() {
    let refusal = |told: Result<(), DeliveryError>| match told {
        Err(DeliveryError::Refused { reason }) => reason,
        other => panic!("{other:?}"),
    };
    let starttls = Encryption::StartTls;
    // The offer was taken out on the way.
    let (port, receiver) = server(Ways { encryption: starttls, offers: false, ..WAYS });
    let sink = built(settings(starttls, port)).unwrap();
    let reason = refusal(sink.deliver(&alert(Severity::High)).await);
    assert!(reason.contains("offers no STARTTLS"), "{reason}");
    drop(sink);
    assert_eq!(receiver.join().unwrap().commands, ["EHLO portcullis"]);
    // An answer was slipped in before.
    let (port, _receiver) = server(Ways { encryption: starttls, injects: true, ..WAYS });
    let sink = built(settings(starttls, port)).unwrap();
    let reason = refusal(sink.deliver(&alert(Severity::High)).await);
    assert!(reason.contains("before the encryption stood"), "{reason}");
    // A certificate that nobody vouches for.
    let (port, receiver) = server(Ways { encryption: Encryption::Tls, ..WAYS });
    let trusting = EmailSettings { ca_pem: None, ..settings(Encryption::Tls, port) };
    let told = built(trusting).unwrap().deliver(&alert(Severity::High)).await;
    assert!(
        matches!(&told, Err(DeliveryError::Retry { reason, .. }) if reason.contains("certificate")),
        "{told:?}"
    );
    assert_eq!(receiver.join().unwrap(), Mail::default(), "it was told nothing");
}

#[tokio::test]
async fn what_is_refused_for_now_is_tried_again_and_what_is_refused_for_good_is_not() {
    for (answer, is_final) in [("451 greylisted", false), ("550 nobody here", true)] {
        let (port, _receiver) = server(Ways { to_recipient: answer, ..WAYS });
        let sink = built(settings(Encryption::None, port)).unwrap();
        match (sink.deliver(&alert(Severity::High)).await, is_final) {
            (Err(DeliveryError::Retry { reason, .. }), false)
            | (Err(DeliveryError::Refused { reason }), true) => {
                assert!(reason.contains(answer), "{reason}");
            }
            (other, _) => panic!("{answer}: {other:?}"),
        }
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let told =
        built(settings(Encryption::None, port)).unwrap().deliver(&alert(Severity::High)).await;
    assert!(matches!(told, Err(DeliveryError::Retry { .. })), "{told:?}");
}

#[test]
fn mail_settings_that_cannot_work_are_refused() {
    let good = || settings(Encryption::Tls, 465);
    let refused = |settings: EmailSettings| built(settings).map(|_| ()).unwrap_err().field;
    assert!(built(good()).is_ok());
    for from in ["", "guard", "a b@example.org", "a@b@c", "<a@b>", "a@b\r\nRCPT TO:<c@d>"] {
        assert_eq!(refused(EmailSettings { from: from.into(), ..good() }), "from", "{from}");
    }
    assert_eq!(refused(EmailSettings { to: Vec::new(), ..good() }), "to");
    assert_eq!(refused(EmailSettings { server: "no host".into(), ..good() }), "server");
    assert_eq!(refused(EmailSettings { ca_pem: Some("none".into()), ..good() }), "ca");
    let open =
        EmailSettings { server: "mail.example.org".into(), ..settings(Encryption::None, 25) };
    assert_eq!(refused(open), "encryption", "a password would be read by everybody on the way");
}
