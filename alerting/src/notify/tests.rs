use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use alloy::primitives::{address, b256};
use futures_util::FutureExt;

use super::*;
use crate::secret::Secret;

mod channels;
mod email;

const KEY: &str = "a key that both sides know";
const NOW_MS: u64 = 1_750_000_000_123;

fn alert(severity: Severity) -> Alert {
    Alert {
        incident: "local/vault/1".into(),
        severity,
        title: "attack on vault".into(),
        text: "ether leaves \"vault\"\nwithout a deposit".into(),
        chain: "local".into(),
        tx_hash: Some(b256!("11111111111111111111111111111111111111111111111111111111111111ff")),
        contract: Some(address!("00000000000000000000000000000000000000bb")),
        at_ms: 1_750_000_000_000,
    }
}

/// A request as the receiver saw it.
struct Seen {
    line: String,
    headers: BTreeMap<String, String>,
    body: String,
}

/// A server that gives one prepared answer per connection and ends after the last.
fn receiver(answers: &'static [&'static str]) -> (String, JoinHandle<Vec<Seen>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook?token=s3cret", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        answers
            .iter()
            .map(|answer| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let mut headers = BTreeMap::new();
                loop {
                    let mut header = String::new();
                    reader.read_line(&mut header).unwrap();
                    let Some((name, value)) = header.trim().split_once(':') else { break };
                    headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
                }
                let mut body = vec![0; headers["content-length"].parse().unwrap()];
                reader.read_exact(&mut body).unwrap();
                write!(
                    stream,
                    "HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                )
                .unwrap();
                Seen { line, headers, body: String::from_utf8(body).unwrap() }
            })
            .collect()
    });
    (url, thread)
}

fn webhook(url: &str) -> Box<dyn Sink> {
    let settings = WebhookSettings {
        name: "ops".into(),
        url: Secret::new(url),
        signing_key: Secret::new(KEY),
    };
    let clock: Clock = Arc::new(|| NOW_MS);
    SinkSettings::Webhook(settings).build(&clock).unwrap()
}

fn dispatcher(sinks: Vec<(Severity, Box<dyn Sink>)>) -> Dispatcher {
    let policy = RetryPolicy {
        attempts: 3,
        timeout: Duration::from_secs(5),
        first_wait: Duration::from_millis(1),
        longest_wait: Duration::from_millis(5),
        seed: 7,
    };
    Dispatcher::new(sinks, policy)
}

#[tokio::test]
async fn the_receiver_can_verify_what_it_gets() {
    let (url, receiver) = receiver(&["204 No Content"]);
    webhook(&url).deliver(&alert(Severity::Critical)).await.unwrap();
    let seen = receiver.join().unwrap().remove(0);
    assert_eq!(seen.line.trim(), "POST /hook?token=s3cret HTTP/1.1");
    assert_eq!(seen.headers["content-type"], "application/json");
    let timestamp = &seen.headers["x-portcullis-timestamp"];
    assert_eq!(*timestamp, NOW_MS.to_string());
    assert_eq!(serde_json::from_str::<Alert>(&seen.body).unwrap(), alert(Severity::Critical));

    // RFC 2104 written out, so that the signature is not checked with the code that made it.
    use sha2::{Digest, Sha256};
    let mut key = [0u8; 64];
    key[..KEY.len()].copy_from_slice(KEY.as_bytes());
    let inner = Sha256::digest(
        [&key.map(|byte| byte ^ 0x36)[..], format!("{timestamp}.{}", seen.body).as_bytes()]
            .concat(),
    );
    let outer = Sha256::digest([&key.map(|byte| byte ^ 0x5c)[..], &inner].concat());
    assert_eq!(seen.headers["x-portcullis-signature"], format!("sha256={outer:x}"));
}

/// An attacker who has seen requests, and knows the address, makes none that a receiver believes.
#[tokio::test]
async fn a_forged_or_replayed_request_is_not_believed() {
    let (url, receiver) = receiver(&["204 No Content"]);
    webhook(&url).deliver(&alert(Severity::Info)).await.unwrap();
    let seen = receiver.join().unwrap().remove(0);
    let (stamp, signature) =
        (&*seen.headers["x-portcullis-timestamp"], &*seen.headers["x-portcullis-signature"]);
    let believed = |key: &str, (stamp, signature): (&str, &str), body: &str, now_ms| {
        verify(&Secret::new(key), (stamp, signature), body.as_bytes(), now_ms, 300_000)
    };
    assert_eq!(believed(KEY, (stamp, signature), &seen.body, NOW_MS + 299_999), Ok(()));

    let worse = seen.body.replace("\"info\"", "\"critical\"");
    assert_ne!(worse, seen.body);
    let later = (NOW_MS + 1).to_string();
    // Where the stamp ends and the body begins cannot be shifted: a stamp is digits, and a full stop follows.
    let shifted = format!("{}.{}", stamp.split_at(12).1, seen.body);
    let forged = [
        believed("another key", (stamp, signature), &seen.body, NOW_MS),
        believed(KEY, (stamp, signature), &worse, NOW_MS),
        believed(KEY, (&later, signature), &seen.body, NOW_MS),
        believed(KEY, (stamp.split_at(12).0, signature), &shifted, NOW_MS),
        believed(KEY, (stamp, &signature[..signature.len() - 2]), &seen.body, NOW_MS),
        believed(KEY, (stamp, "sha256="), &seen.body, NOW_MS),
        believed(KEY, (stamp, &signature.replace("sha256=", "")), &seen.body, NOW_MS),
    ];
    assert_eq!(forged, [Err(Forgery::Signature); 7]);
    let stale = Err(Forgery::Stale { tolerance_ms: 300_000 });
    assert_eq!(believed(KEY, (stamp, signature), &seen.body, NOW_MS + 300_001), stale);
    assert_eq!(believed(KEY, (stamp, signature), &seen.body, NOW_MS - 300_001), stale);
}

#[tokio::test]
async fn a_server_that_stumbles_is_asked_again() {
    let (url, receiver) = receiver(&[
        "503 Service Unavailable",
        "429 Too Many Requests\r\nRetry-After: 3600",
        "200 OK",
    ]);
    let started = Instant::now();
    let deliveries =
        dispatcher(vec![(Severity::Info, webhook(&url))]).deliver(&alert(Severity::High)).await;
    let arrived = Delivery { sink: "ops".into(), attempts: 3, failure: None, is_folded: false };
    assert_eq!(deliveries, [arrived]);
    assert_eq!(receiver.join().unwrap().len(), 3);
    assert!(
        started.elapsed() < Duration::from_secs(600),
        "an hour asked for is not an hour granted"
    );
}

#[tokio::test]
async fn a_refusal_is_final_and_a_redirect_is_one() {
    for (answer, words) in [
        ("401 Unauthorized", "HTTP status 401"),
        ("307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/", "307"),
    ] {
        let (url, receiver) = receiver(Vec::leak(vec![answer]));
        let delivery = dispatcher(vec![(Severity::Info, webhook(&url))])
            .deliver(&alert(Severity::High))
            .await
            .remove(0);
        assert_eq!(delivery.attempts, 1);
        let failure = delivery.failure.unwrap();
        assert!(failure.contains(words) && !failure.contains("s3cret"), "{failure}");
        receiver.join().unwrap();
    }
}

#[tokio::test]
async fn nobody_there_is_given_up_after_the_last_attempt() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sink = webhook(&format!("http://{free}/s3cret"));
    let delivery =
        dispatcher(vec![(Severity::Info, sink)]).deliver(&alert(Severity::High)).await.remove(0);
    assert_eq!(delivery.attempts, 3);
    assert!(!delivery.failure.unwrap().contains("s3cret"));
}

/// Counts, and answers only ever with silence.
struct Silent(Arc<AtomicU32>);

impl Sink for Silent {
    fn name(&self) -> &str {
        "silent"
    }

    fn deliver<'a>(&'a self, _alert: &'a Alert) -> BoxFuture<'a, Result<(), DeliveryError>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        std::future::pending().boxed()
    }
}

#[tokio::test]
async fn silence_is_cut_short_and_severity_decides_who_hears() {
    let calls = Arc::new(AtomicU32::new(0));
    let sinks: Vec<(Severity, Box<dyn Sink>)> = vec![
        (Severity::Critical, Box::new(Silent(Arc::clone(&calls)))),
        (Severity::Medium, Box::new(Silent(Arc::clone(&calls)))),
    ];
    let mut dispatcher = dispatcher(sinks);
    dispatcher.policy.timeout = Duration::from_millis(20);
    let deliveries = dispatcher.deliver(&alert(Severity::Medium)).await;
    assert_eq!(deliveries.len(), 1);
    assert_eq!(deliveries[0].failure.as_deref(), Some("no answer within 20 ms"));
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

#[test]
fn a_setting_that_cannot_work_is_an_error_at_once_and_shows_no_secret() {
    let clock: Clock = Arc::new(|| 0);
    for (url, key, field) in [
        ("ftp://h/s3cret", "k", "url"),
        ("not a url s3cret", "k", "url"),
        ("http://h/s3cret", "", "signing_key"),
    ] {
        let settings = WebhookSettings {
            name: "ops".into(),
            url: Secret::new(url),
            signing_key: Secret::new(key),
        };
        assert!(!format!("{settings:?}").contains("s3cret"));
        let error = SinkSettings::Webhook(settings).build(&clock).map(|_| ()).unwrap_err();
        assert_eq!(error.field, field);
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}

/// Keeps what it is told, and fails as often as it was asked to.
#[derive(Default)]
struct Listener {
    told: Mutex<Vec<Alert>>,
    resolved: AtomicU32,
    failures: AtomicU32,
    folds: bool,
}

impl Sink for Arc<Listener> {
    fn name(&self) -> &str {
        "listener"
    }

    fn folds_incidents(&self) -> bool {
        self.folds
    }

    fn deliver<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), DeliveryError>> {
        let fails = self.failures.load(Ordering::SeqCst);
        let outcome = if fails > 0 {
            self.failures.store(fails - 1, Ordering::SeqCst);
            Err(DeliveryError::Refused { reason: "not now".into() })
        } else {
            self.told.lock().unwrap().push(alert.clone());
            Ok(())
        };
        Box::pin(std::future::ready(outcome))
    }

    fn resolve<'a>(&'a self, _alert: &'a Alert) -> BoxFuture<'a, Result<(), DeliveryError>> {
        self.resolved.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::ready(Ok(())))
    }
}

impl Listener {
    fn heard(self: &Arc<Self>) -> Dispatcher {
        dispatcher(vec![(Severity::Info, Box::new(Arc::clone(self)))])
    }

    fn count(&self) -> usize {
        self.told.lock().unwrap().len()
    }
}

/// An alert of incident `incident`, `after_s` seconds later.
fn later(severity: Severity, incident: &str, after_s: u64) -> Alert {
    let mut alert = alert(severity);
    alert.incident = incident.into();
    alert.at_ms += after_s * 1_000;
    alert
}

#[tokio::test]
async fn an_incident_is_told_once_then_folded_then_told_with_the_count() {
    let listener = Arc::new(Listener::default());
    let dispatcher = listener.heard();
    for after_s in [0, 10, 599] {
        let delivery = dispatcher.deliver(&later(Severity::High, "a", after_s)).await.remove(0);
        assert_eq!((delivery.is_folded, delivery.failure), (after_s > 0, None));
    }
    assert_eq!(listener.count(), 1);
    dispatcher.deliver(&later(Severity::High, "b", 599)).await;
    assert_eq!(listener.count(), 2, "another incident is another alert");
    dispatcher.deliver(&later(Severity::Critical, "b", 599)).await;
    assert_eq!(listener.count(), 3, "what is worse is told");
    dispatcher.deliver(&later(Severity::High, "a", 600)).await;
    let told = listener.told.lock().unwrap().pop().unwrap();
    assert!(
        told.text.ends_with("(2 more of this incident since it was last told)"),
        "{}",
        told.text
    );
}

#[tokio::test]
async fn what_did_not_arrive_silences_nothing() {
    let listener = Arc::new(Listener { failures: AtomicU32::new(1), ..Listener::default() });
    let dispatcher = listener.heard();
    let first = dispatcher.deliver(&later(Severity::High, "a", 0)).await.remove(0);
    assert_eq!(first.failure.as_deref(), Some("refused: not now"));
    let second = dispatcher.deliver(&later(Severity::High, "a", 1)).await.remove(0);
    assert!(!second.is_folded && second.failure.is_none());
}

#[tokio::test]
async fn a_receiver_that_keeps_incidents_gets_updates_and_the_end() {
    let listener = Arc::new(Listener { folds: true, ..Listener::default() });
    let dispatcher = listener.heard();
    for after_s in [0, 10, 20] {
        dispatcher.deliver(&later(Severity::High, "a", after_s)).await;
    }
    assert_eq!(listener.count(), 3);
    assert_eq!(
        dispatcher.resolve(&later(Severity::Info, "b", 30)).await,
        [],
        "nobody was told of it"
    );
    assert_eq!(dispatcher.resolve(&later(Severity::Info, "a", 30)).await.len(), 1);
    assert_eq!(dispatcher.resolve(&later(Severity::Info, "a", 40)).await, [], "it is over already");
    assert_eq!(listener.resolved.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_flood_is_held_back_and_critical_alerts_pass() {
    let listener = Arc::new(Listener::default());
    let quiet = Quiet { alerts_per_minute: 3, ..Quiet::default() };
    let dispatcher = listener.heard().with_quiet(quiet);
    let mut held_back = 0;
    for n in 0..10 {
        let delivery =
            dispatcher.deliver(&later(Severity::High, &n.to_string(), 0)).await.remove(0);
        held_back += usize::from(
            delivery.failure.is_some_and(|failure| failure.contains("more than 3 alerts")),
        );
    }
    assert_eq!((listener.count(), held_back), (3, 7));
    dispatcher.deliver(&later(Severity::Critical, "worst", 1)).await;
    assert_eq!(listener.count(), 4);
    dispatcher.deliver(&later(Severity::High, "next minute", 60)).await;
    assert_eq!(listener.count(), 5);
}

/// The clock is the caller's: an hour passes without anybody waiting for it.
#[tokio::test]
async fn an_incident_is_over_after_an_hour_of_silence() {
    const HOUR_S: u64 = 3_600;
    let (keeper, other) =
        (Arc::new(Listener { folds: true, ..Listener::default() }), Arc::new(Listener::default()));
    let dispatcher = dispatcher(vec![
        (Severity::Info, Box::new(Arc::clone(&keeper))),
        (Severity::Critical, Box::new(Arc::clone(&other))),
    ]);
    let start_ms = later(Severity::High, "a", 0).at_ms;
    let after = |seconds: u64| start_ms + seconds * 1_000;
    dispatcher.deliver(&later(Severity::Critical, "a", 0)).await;
    // Folded for one channel, and told to the other: it was heard of.
    dispatcher.deliver(&later(Severity::Critical, "a", 60)).await;
    dispatcher.deliver(&later(Severity::High, "b", 120)).await;
    assert_eq!(dispatcher.resolve_quiet(after(60 + HOUR_S) - 1).await, []);

    let over = dispatcher.resolve_quiet(after(60 + HOUR_S)).await;
    let [(alert, deliveries)] = over.as_slice() else { panic!("{over:?}") };
    assert_eq!((alert.incident.as_str(), deliveries.len()), ("a", 2), "both were told of it");
    let over = dispatcher.resolve_quiet(after(120 + HOUR_S)).await;
    let [(alert, deliveries)] = over.as_slice() else { panic!("{over:?}") };
    assert_eq!((alert.incident.as_str(), deliveries.len()), ("b", 1), "one wanted to hear of it");
    assert_eq!(dispatcher.resolve_quiet(after(24 * HOUR_S)).await, [], "each is over once");
    assert_eq!(keeper.resolved.load(Ordering::SeqCst), 2);
}
