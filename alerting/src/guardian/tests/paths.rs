//! Relays and builders: a stand-in that speaks the published JSON-RPC over HTTP and refuses whoever does not sign.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;

use alloy::primitives::{Signature, keccak256};

use super::*;

/// A request that a stand-in took, and who signed it.
#[derive(Debug)]
struct Taken {
    request: Value,
    signer: Option<Address>,
}

/// Listens on a port of its own, and answers as relays do. What it accepts and what it refuses is handed over.
struct StandIn {
    url: String,
    taken: mpsc::Receiver<Result<Taken, String>>,
}

impl StandIn {
    /// A relay that wants its requests signed, or a plain RPC.
    fn start(wants_signature: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (tell, taken) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut length, mut header) = (0, None);
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    let Some((name, value)) = line.trim().split_once(": ") else {
                        if line.trim().is_empty() {
                            break;
                        }
                        continue;
                    };
                    if name.eq_ignore_ascii_case("content-length") {
                        length = value.parse().unwrap();
                    }
                    if name.eq_ignore_ascii_case(FLASHBOTS_SIGNATURE) {
                        header = Some(value.to_owned());
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let outcome = judge(&body, header.as_deref(), wants_signature);
                let (status, answer) = match &outcome {
                    Ok(taken) => ("200 OK", accepted(&taken.request)),
                    Err(error) => (
                        "403 Forbidden",
                        json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": -32600, "message": error } }),
                    ),
                };
                let answer = answer.to_string();
                write!(
                    stream,
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
                    answer.len()
                )
                .unwrap();
                if tell.send(outcome).is_err() {
                    break;
                }
            }
        });
        Self { url, taken }
    }

    fn next(&self) -> Taken {
        self.taken.recv_timeout(Duration::from_secs(10)).unwrap().unwrap()
    }
}

/// What a relay checks before it looks at a bundle: the address in the header signed the hash of this very body.
fn judge(body: &[u8], header: Option<&str>, wants_signature: bool) -> Result<Taken, String> {
    let request: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    if request["jsonrpc"] != "2.0" || request["params"].as_array().map(Vec::len) != Some(1) {
        return Err("invalid request".into());
    }
    let signer = match header {
        None if wants_signature => return Err("no signature".into()),
        None => None,
        Some(header) => {
            let (address, signature) = header.split_once(':').ok_or("signature: no colon")?;
            let address: Address = address.parse().map_err(|_| "signature: no address")?;
            let signature: Signature = signature.parse().map_err(|_| "signature: malformed")?;
            let digest = format!("0x{}", alloy::hex::encode(keccak256(body)));
            let signer = signature
                .recover_address_from_msg(digest.as_bytes())
                .map_err(|_| "signature: not one")?;
            if signer != address {
                return Err("signature: of somebody else".into());
            }
            Some(signer)
        }
    };
    Ok(Taken { request, signer })
}

fn accepted(request: &Value) -> Value {
    let result = match request["method"].as_str().unwrap() {
        "eth_sendBundle" => json!({ "bundleHash": B256::repeat_byte(0xb0) }),
        _ => json!(B256::repeat_byte(0xa0)),
    };
    json!({ "jsonrpc": "2.0", "id": 1, "result": result })
}

fn relay(stand_in: &StandIn, method: RelayMethod, builders: &[&str]) -> Relay {
    Relay::new(RelaySettings {
        name: format!("{method:?}"),
        url: Secret::new(stand_in.url.clone()),
        method,
        builders: builders.iter().map(|name| (*name).to_owned()).collect(),
        identity: None,
    })
    .unwrap()
}

fn engine_with(nodes: &[&Arc<Node>], relays: Vec<Relay>) -> PauseEngine {
    engine(nodes).with_relays(relays)
}

#[tokio::test]
async fn the_same_pause_goes_to_the_pool_and_to_every_relay_at_once() {
    let (bundles, private, sequencer) =
        (StandIn::start(true), StandIn::start(true), StandIn::start(false));
    let node = Node::new(Manner::Accepts);
    let engine = engine_with(
        &[&node],
        vec![
            relay(&bundles, RelayMethod::Bundle, &["titan", "rsync"]),
            relay(&private, RelayMethod::Private, &[]),
            relay(&sequencer, RelayMethod::Raw, &[]),
        ],
    );
    let sent = engine.fire(&request(TARGET)).await.unwrap();
    assert_eq!(sent.accepted_by, "node");

    let bundle = bundles.next();
    assert_eq!(bundle.request["method"], "eth_sendBundle");
    assert_eq!(
        bundle.request["params"][0],
        json!({ "txs": [sent.raw], "blockNumber": "0x65", "builders": ["titan", "rsync"] })
    );
    let single = private.next();
    assert_eq!(single.request["method"], "eth_sendPrivateTransaction");
    assert_eq!(
        single.request["params"][0],
        json!({ "tx": sent.raw, "maxBlockNumber": "0x7d", "preferences": { "fast": true } })
    );
    let plain = sequencer.next();
    assert_eq!(plain.request["method"], "eth_sendRawTransaction");
    assert_eq!(plain.request["params"], json!([sent.raw]));

    // Relays know one sender, who is not the pauser: what is public of it tells nobody whom it protects.
    assert_eq!(bundle.signer, single.signer);
    assert!(bundle.signer.is_some_and(|signer| signer != engine.address()));
    assert_eq!(plain.signer, None);
}

#[tokio::test]
async fn a_relay_alone_carries_the_pause_where_no_node_does() {
    let stand_in = StandIn::start(true);
    let node = Node::new(Manner::Refuses("txpool is full"));
    let engine = engine_with(&[&node], vec![relay(&stand_in, RelayMethod::Bundle, &[])]);
    assert_eq!(engine.fire(&request(TARGET)).await.unwrap().accepted_by, "Bundle");
}

#[tokio::test]
async fn a_relay_that_takes_anything_does_not_hide_a_used_nonce() {
    let stand_in = StandIn::start(true);
    let node = Node::new(Manner::RefusesOnce("nonce too low"));
    let engine = engine_with(&[&node], vec![relay(&stand_in, RelayMethod::Bundle, &[])]);
    let stale = PauseRequest { nonce: Some(3), ..request(TARGET) };
    let sent = engine.fire(&stale).await.unwrap();
    assert_eq!((sent.nonce, sent.accepted_by.as_str()), (7, "node"));
}

#[tokio::test]
async fn a_request_that_is_not_signed_is_refused_and_said() {
    // A relay that wants a signature, spoken to as one that wants none.
    let stand_in = StandIn::start(true);
    let node = Node::new(Manner::Refuses("txpool is full"));
    let engine = engine_with(&[&node], vec![relay(&stand_in, RelayMethod::Raw, &[])]);
    let error = engine.fire(&request(TARGET)).await.unwrap_err().to_string();
    assert!(error.contains("no signature") && error.contains("txpool is full"), "{error}");
}

#[test]
fn the_stand_in_refuses_forgeries() {
    let key = Key::from_env_value("KEY", &Secret::new(KEY)).unwrap();
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_sendBundle", "params": [{}] });
    let digest = format!("{:#x}", keccak256(body.to_string()));
    let signature = key.sign_message(digest.as_bytes()).unwrap();
    let (good, other) = (format!("{}:{signature}", key.address()), format!("{TARGET}:{signature}"));
    assert!(judge(body.to_string().as_bytes(), Some(&good), true).is_ok());
    let changed = body.to_string().replace("eth_sendBundle", "eth_cancelBundle");
    for (body, header) in [
        (changed.as_str(), Some(good.as_str())),
        (&body.to_string(), Some(&other)),
        (&body.to_string(), None),
    ] {
        assert!(judge(body.as_bytes(), header, true).is_err(), "{header:?}");
    }
}

#[test]
fn an_address_that_is_none_is_refused_without_being_shown() {
    for url in ["ws://relay/s3cret", "s3cret", "https:///s3cret"] {
        let settings = RelaySettings {
            name: "builder".into(),
            url: Secret::new(url),
            method: RelayMethod::Bundle,
            builders: Vec::new(),
            identity: None,
        };
        let error = Relay::new(settings).map(|_| ()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "relay builder: url: expected http:// or https:// and a host"
        );
    }
}
