//! Metrics and health over HTTP, for whoever may reach the address; and, where people are asked before some pauses,
//! what waits for them and the place to hand an answer in.
//!
//! Nothing else is served, and nothing is believed: an answer counts by its signature alone. A request must be small, quick and of a host that is
//! expected: a page in somebody's browser must not be able to read it under a name of its own (DNS rebinding).

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::timeout,
};

use portcullis_alerting::guardian::{AnswerError, SignedAnswer};
use serde_json::json;

use super::metrics::Board;
use crate::act::{Consent, Refusal};

/// Longest head of a request, bytes.
const HEAD_LIMIT_BYTES: usize = 8 * 1024;
/// Longest answer of a person, bytes.
const BODY_LIMIT_BYTES: usize = 4 * 1024;
/// Headers of a request.
const HEADERS_LIMIT: usize = 64;
/// Connections at the same time; more wait in the system's own queue.
const CONNECTIONS: usize = 16;
/// How long a client may take over its request, and again over its answer.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait after a connection could not be taken.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until it is stopped; `hosts` are names beside addresses and `localhost` that a client may call us.
pub(super) async fn serve(
    listener: TcpListener,
    hosts: Vec<String>,
    board: Arc<Board>,
    mut stop: watch::Receiver<bool>,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let hosts: Arc<[String]> = hosts.into();
    let mut clients = JoinSet::new();
    loop {
        let taken = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            Some(_) = clients.join_next() => continue,
            taken = take(&listener, &room) => taken,
        };
        match taken {
            Ok((stream, place)) => {
                let (board, hosts) = (Arc::clone(&board), Arc::clone(&hosts));
                clients.spawn(async move {
                    answer(stream, &hosts, &board).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(target: "watcher::daemon", %error, "HTTP connection not taken");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn take(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(room).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, _): (TcpStream, SocketAddr) = listener.accept().await?;
    Ok((stream, place))
}

/// One request, one answer, and the connection ends.
async fn answer(mut stream: TcpStream, hosts: &[String], board: &Board) {
    let page = match timeout(CLIENT_TIMEOUT, read(&mut stream, hosts)).await {
        Ok(Ok(page)) => page,
        Ok(Err(refused)) => return send(stream, refused.into()).await,
        Err(_) => return send(stream, Refused(408, "Request Timeout").into()).await,
    };
    let response = match page {
        Page::Metrics => Response {
            status: (200, "OK"),
            kind: "text/plain; version=0.0.4; charset=utf-8",
            body: board.exposition(),
        },
        Page::Health => Response::json(board.health()),
        Page::Readiness => Response::json(board.readiness()),
        Page::Waiting => match &board.consent {
            Some(consent) => Response::json((true, json!(consent.waiting()).to_string() + "\n")),
            None => Refused(404, "Not Found").into(),
        },
        Page::Answers(body) => match &board.consent {
            Some(consent) => take_answer(Arc::clone(consent), board.desk.now_ms(), body).await,
            None => Refused(404, "Not Found").into(),
        },
    };
    send(stream, response).await;
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Page {
    Metrics,
    Health,
    Readiness,
    Waiting,
    /// With what was posted.
    Answers(Vec<u8>),
}

/// What a whole head asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    Page(Page),
    /// An answer of so many bytes follows the head, which ends here.
    Body {
        from: usize,
        length: usize,
    },
}

/// Status and reason of an answer that is not a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refused(u16, &'static str);

struct Response {
    status: (u16, &'static str),
    kind: &'static str,
    body: String,
}

impl Response {
    fn json((is_good, body): (bool, String)) -> Self {
        let status = if is_good { (200, "OK") } else { (503, "Service Unavailable") };
        Self { status, kind: "application/json", body }
    }
}

impl From<Refused> for Response {
    fn from(Refused(code, reason): Refused) -> Self {
        Self {
            status: (code, reason),
            kind: "text/plain; charset=utf-8",
            body: format!("{reason}\n"),
        }
    }
}

async fn read(stream: &mut TcpStream, hosts: &[String]) -> Result<Page, Refused> {
    let mut head = Vec::with_capacity(1024);
    loop {
        let mut part = [0; 1024];
        let length = stream.read(&mut part).await.map_err(|_| Refused(400, "Bad Request"))?;
        if length == 0 {
            return Err(Refused(400, "Bad Request"));
        }
        head.extend_from_slice(&part[..length]);
        match asked(&head, hosts)? {
            Some(Asked::Page(page)) => return Ok(page),
            Some(Asked::Body { from, length }) => {
                let body = head.get(from..).unwrap_or_default().to_vec();
                return read_body(stream, body, length).await.map(Page::Answers);
            }
            None => {}
        }
        if head.len() > HEAD_LIMIT_BYTES {
            return Err(Refused(431, "Request Header Fields Too Large"));
        }
    }
}

async fn read_body(
    stream: &mut TcpStream,
    mut body: Vec<u8>,
    length: usize,
) -> Result<Vec<u8>, Refused> {
    while body.len() < length {
        let mut part = [0; 1024];
        let read = stream.read(&mut part).await.map_err(|_| Refused(400, "Bad Request"))?;
        if read == 0 {
            return Err(Refused(400, "Bad Request"));
        }
        body.extend_from_slice(&part[..read]);
    }
    body.truncate(length);
    Ok(body)
}

/// Takes an answer in; checking a signature and writing it down block.
async fn take_answer(consent: Arc<Consent>, now_ms: u64, body: Vec<u8>) -> Response {
    let taken = tokio::task::spawn_blocking(move || {
        let signed: SignedAnswer = serde_json::from_slice(&body)
            .map_err(|error| (400, "Bad Request", format!("expected a signed answer: {error}")))?;
        consent.answer(&signed, now_ms).map_err(|refusal| {
            let (code, reason) = status_of(&refusal);
            (code, reason, refusal.to_string())
        })
    });
    let crashed = |_| Err((500, "Internal Server Error", "the answer was not taken".to_owned()));
    let (status, body) = match taken.await.unwrap_or_else(crashed) {
        Ok(said) => ((200, "OK"), json!({ "accepted": said.say, "signer": said.signer })),
        Err((code, reason, words)) => ((code, reason), json!({ "error": words })),
    };
    Response { status, kind: "application/json", body: body.to_string() + "\n" }
}

fn status_of(refusal: &Refusal) -> (u16, &'static str) {
    match refusal {
        Refusal::Journal(_) => (503, "Service Unavailable"),
        Refusal::Answer(error) => match error {
            AnswerError::NothingWaits { .. } => (404, "Not Found"),
            AnswerError::Used { .. } => (409, "Conflict"),
            AnswerError::Lapsed { .. } => (410, "Gone"),
            AnswerError::OtherChain { .. } | AnswerError::OtherGuardian { .. } => {
                (422, "Unprocessable Content")
            }
            _ => (403, "Forbidden"),
        },
    }
}

/// What a request asks for; none while its head is not whole.
fn asked(head: &[u8], hosts: &[String]) -> Result<Option<Asked>, Refused> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_LIMIT];
    let mut request = httparse::Request::new(&mut headers);
    let from = match request.parse(head) {
        Ok(httparse::Status::Complete(from)) => from,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Refused(431, "Request Header Fields Too Large"));
        }
        Err(_) => return Err(Refused(400, "Bad Request")),
    };
    if from > HEAD_LIMIT_BYTES {
        return Err(Refused(431, "Request Header Fields Too Large"));
    }
    let named = |name: &str| {
        let found = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        found
            .map(|header| std::str::from_utf8(header.value).unwrap_or_default().trim())
            .collect::<Vec<_>>()
    };
    match named("host").as_slice() {
        [host] if is_expected(host, hosts) => {}
        [_] => return Err(Refused(421, "Misdirected Request")),
        _ => return Err(Refused(400, "Bad Request")),
    }
    let path = request.path.unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default();
    if (request.method, path) == (Some("POST"), "/answers") {
        // A page in a browser cannot send this without being asked first whether it may (CORS), and it may not.
        if named("content-type").as_slice() != ["application/json"] {
            return Err(Refused(415, "Unsupported Media Type"));
        }
        let lengths = named("content-length");
        let ([length], []) = (lengths.as_slice(), named("transfer-encoding").as_slice()) else {
            return Err(Refused(411, "Length Required"));
        };
        return match length.parse() {
            Ok(length @ ..=BODY_LIMIT_BYTES) => Ok(Some(Asked::Body { from, length })),
            _ => Err(Refused(413, "Content Too Large")),
        };
    }
    if request.method != Some("GET") {
        return Err(Refused(405, "Method Not Allowed"));
    }
    // A page takes no body; one that is not read would be taken for the next request by something in between.
    let has_body = named("content-length").iter().any(|length| *length != "0");
    if has_body || !named("transfer-encoding").is_empty() {
        return Err(Refused(413, "Content Too Large"));
    }
    let page = match path {
        "/metrics" => Page::Metrics,
        "/healthz" => Page::Health,
        "/readyz" => Page::Readiness,
        "/waiting" => Page::Waiting,
        _ => return Err(Refused(404, "Not Found")),
    };
    Ok(Some(Asked::Page(page)))
}

/// An address cannot be somebody else's name for us; names must be known.
fn is_expected(host: &str, hosts: &[String]) -> bool {
    let (name, rest) = match host.strip_prefix('[') {
        Some(bracketed) => match bracketed.split_once(']') {
            Some(parts) => parts,
            None => return false,
        },
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let has_port = match rest.strip_prefix(':') {
        Some(port) => port.parse::<u16>().is_ok(),
        None => rest.is_empty(),
    };
    has_port
        && (name.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || hosts.iter().any(|known| known.eq_ignore_ascii_case(name)))
}

async fn send(mut stream: TcpStream, response: Response) {
    let Response { status: (code, reason), kind, body } = response;
    let allow = if code == 405 { "Allow: GET\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 {code} {reason}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{allow}Cache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let writing = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        stream.shutdown().await
    };
    // A client that went away, or takes too long, has no answer to get.
    drop(timeout(CLIENT_TIMEOUT, writing).await);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(request: &str) -> Result<Option<Page>, Refused> {
        let asked = super::asked(request.as_bytes(), &["guard.internal".to_owned()])?;
        Ok(asked.map(|asked| match asked {
            Asked::Page(page) => page,
            Asked::Body { from, length } => {
                Page::Answers(request.as_bytes()[from..from + length].to_vec())
            }
        }))
    }

    #[test]
    fn only_known_pages_are_served_and_only_to_hosts_that_are_expected() {
        let get =
            |path: &str, host: &str| asked(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        for host in [
            "127.0.0.1:9616",
            "[::1]:9616",
            "localhost",
            "LocalHost:1",
            "guard.internal:80",
            "10.0.0.7",
        ] {
            assert_eq!(get("/metrics", host), Ok(Some(Page::Metrics)), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
            "[::1",
            "[::1]x",
            "localhost:x",
        ] {
            assert_eq!(get("/metrics", host), Err(Refused(421, "Misdirected Request")), "{host}");
        }
        assert_eq!(get("/healthz", "localhost"), Ok(Some(Page::Health)));
        assert_eq!(get("/readyz?verbose", "localhost"), Ok(Some(Page::Readiness)));
        for path in ["/", "/metrics/", "/../metrics", "http://localhost/metrics"] {
            assert_eq!(get(path, "localhost"), Err(Refused(404, "Not Found")), "{path}");
        }
    }

    #[test]
    fn an_answer_is_taken_as_json_of_a_stated_and_small_size() {
        let post =
            |rest: &str| asked(&format!("POST /answers HTTP/1.1\r\nHost: localhost\r\n{rest}"));
        let json = "Content-Type: application/json\r\n";
        let whole = post(&format!("{json}Content-Length: 2\r\n\r\n{{}}"));
        assert_eq!(whole, Ok(Some(Page::Answers(b"{}".to_vec()))));
        let code = |rest: String| post(&rest).map_err(|refused| refused.0);
        assert_eq!(code("Content-Length: 2\r\n\r\n{}".into()), Err(415));
        assert_eq!(
            code("Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}".into()),
            Err(415)
        );
        assert_eq!(code(format!("{json}\r\n{{}}")), Err(411));
        assert_eq!(code(format!("{json}Content-Length: 2\r\nContent-Length: 3\r\n\r\n")), Err(411));
        assert_eq!(
            code(format!("{json}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n")),
            Err(411)
        );
        assert_eq!(code(format!("{json}Content-Length: 4097\r\n\r\n")), Err(413));
        assert_eq!(code(format!("{json}Content-Length: -1\r\n\r\n")), Err(413));
    }

    #[test]
    fn what_is_no_plain_get_is_refused() {
        let status = |request: &str| asked(request).map_err(|refused| refused.0);
        assert_eq!(status("GET /metrics HTTP/1.1\r\n\r\n"), Err(400), "no host");
        assert_eq!(
            status("GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"),
            Err(400)
        );
        assert_eq!(status("POST /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"), Err(405));
        assert_eq!(
            status("GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"),
            Err(413)
        );
        assert_eq!(
            status(
                "GET /metrics HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            ),
            Err(413)
        );
        assert_eq!(status("\u{0}\u{1}\r\n\r\n"), Err(400));
        assert_eq!(status("GET /metrics HTT"), Ok(None), "not whole yet");
        let many = "X: y\r\n".repeat(HEADERS_LIMIT);
        assert_eq!(
            status(&format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{many}\r\n")),
            Err(431)
        );
        let long = "y".repeat(HEAD_LIMIT_BYTES);
        assert_eq!(
            status(&format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: {long}\r\n\r\n")),
            Err(431)
        );
    }
}
