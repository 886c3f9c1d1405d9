//! Recordings written, read back and played; and recordings that are refused.

use std::{io::Cursor, path::Path, sync::Arc};

use alloy::{
    consensus::{SignableTransaction as _, TxEip1559, TxEnvelope},
    primitives::{Address, TxKind, U256, keccak256},
    signers::{SignerSync as _, local::PrivateKeySigner},
};
use serde_json::{Value, json};

use super::{
    AccountEntry, Entry, Header, Pace, RecordedAccount, RecordedChain, RecordedState, Recording,
    RecordingError, RecordingSource, RecordingWriter, recording_schema,
};
use crate::{
    source::{Hardfork, HardforkSchedule, Head, PendingTransaction, Source as _, SourceEvent},
    state::{AccountState, ChainRules, ForkedState, StateError},
};

fn sender() -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&keccak256("sender")).unwrap()
}

fn transfer(nonce: u64) -> Arc<PendingTransaction> {
    let tx = TxEip1559 {
        chain_id: 31337,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 5_000_000_000,
        max_priority_fee_per_gas: 1,
        to: TxKind::Call(Address::repeat_byte(0x42)),
        value: U256::from(5),
        ..TxEip1559::default()
    };
    let signature = sender().sign_hash_sync(&tx.signature_hash()).unwrap();
    let envelope = TxEnvelope::from(tx.into_signed(signature));
    Arc::new(PendingTransaction::from_envelope(envelope, 1_000 + nonce, "test".into()).unwrap())
}

fn accounts() -> [(Address, AccountState); 1] {
    let balance = U256::from(1_000_000_000_000_000_000_u64);
    [(sender().address(), AccountState { balance, ..AccountState::default() })]
}

fn header(complete: bool, head: Head) -> Header {
    Header {
        format: String::new(),
        version: 0,
        chain: RecordedChain {
            name: "toy".into(),
            id: 31337,
            hardfork: Hardfork::Prague,
            later_hardforks: Default::default(),
            block_time_s: 12,
        },
        contracts: Default::default(),
        complete,
        head,
        state: RecordedState {
            accounts: accounts()
                .iter()
                .map(|(address, account)| (*address, account.into()))
                .collect(),
        },
    }
}

/// Two pending transfers, each mined in a block of its own, as they were written down.
fn recorded(complete: bool) -> Vec<u8> {
    let rules = ChainRules {
        chain_id: 31337,
        hardforks: HardforkSchedule::always(Hardfork::Prague),
        block_time_s: 12,
    };
    let state = ForkedState::in_memory(rules, accounts()).unwrap();
    let mut writer = RecordingWriter::new(
        Path::new("toy.jsonl"),
        Vec::new(),
        header(complete, state.head().unwrap()),
    )
    .unwrap();
    writer.note("two transfers").unwrap();
    for nonce in 0..2 {
        let tx = transfer(nonce);
        writer.pending(&tx).unwrap();
        let (mut block, outcomes) = state.mine(&[tx]).unwrap();
        assert!(outcomes[0].is_success());
        block.seen_at_ms = 1_500 + nonce;
        writer.head(&block).unwrap();
    }
    writer.finish().unwrap()
}

fn read(bytes: &[u8]) -> Result<Recording, RecordingError> {
    Recording::read(Path::new("toy.jsonl"), Cursor::new(bytes))
}

/// The recording's lines, with one of them changed.
fn altered(line: usize, alter: impl FnOnce(&mut Value)) -> Vec<u8> {
    let text = String::from_utf8(recorded(true)).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut value: Value = serde_json::from_str(&lines[line - 1]).unwrap();
    alter(&mut value);
    lines[line - 1] = value.to_string();
    lines.join("\n").into_bytes()
}

fn refusal(bytes: &[u8]) -> String {
    read(bytes).unwrap_err().to_string()
}

#[tokio::test]
async fn what_was_written_plays_again_on_exact_state() {
    let recording = Arc::new(read(&recorded(true)).unwrap());
    let state = ForkedState::from_recording(&recording).unwrap();
    let (mut events, task) =
        Box::new(RecordingSource::new(Arc::clone(&recording), Pace::Unpaced)).start(1);
    let listen = async {
        let mut told = Vec::new();
        while let Some(event) = events.recv().await {
            told.push(match &event {
                SourceEvent::Up { node, .. } => format!("up {node}"),
                SourceEvent::Head(block) => format!("{:?}", state.advance(block).unwrap()),
                SourceEvent::Pending(tx) => {
                    assert_eq!(
                        (tx.sender, tx.hash),
                        (sender().address(), transfer(tx.nonce()).hash)
                    );
                    format!("pending {} at {}", tx.nonce(), tx.seen_at_ms)
                }
                SourceEvent::End => "end".into(),
                other => format!("{other:?}"),
            });
        }
        told
    };
    let (told, ended) = tokio::join!(listen, task);
    ended.unwrap();
    assert_eq!(
        told,
        [
            "up recording",
            "Known",
            "pending 0 at 1000",
            "Exact { transactions: 1 }",
            "pending 1 at 1001",
            "Exact { transactions: 1 }",
            "end"
        ]
    );
    assert_eq!(
        state.view().unwrap().balance_wei(Address::repeat_byte(0x42)).unwrap(),
        U256::from(10)
    );
    assert_eq!(state.counts().fetches, 0);
}

#[test]
fn hard_forks_of_a_recording_follow_one_another() {
    let later = |forks: Value| altered(1, |header| header["chain"]["later_hardforks"] = forks);
    let recording = read(&later(json!({ "7": "osaka" }))).unwrap();
    let at = [6, 7].map(|block| recording.hardforks().at(block));
    assert_eq!(at, [Hardfork::Prague, Hardfork::Osaka]);
    let message = refusal(&later(json!({ "7": "cancun" })));
    assert_eq!(
        message,
        "toy.jsonl:1: chain.later_hardforks: `cancun` cannot come into force at block 7, after `prague`"
    );
}

#[test]
fn an_incomplete_recording_has_what_was_fetched_and_says_what_was_not() {
    let mut bytes = recorded(false);
    let entry = Entry::Account(AccountEntry {
        block: 0,
        address: Address::repeat_byte(0x42),
        account: Some(RecordedAccount { nonce: 9, ..RecordedAccount::default() }),
    });
    bytes.extend_from_slice(serde_json::to_string(&entry).unwrap().as_bytes());
    let recording = read(&bytes).unwrap();
    let state = ForkedState::from_recording(&recording).unwrap();
    assert!(matches!(state.view(), Err(StateError::NoHead)));
    state.advance(&recording.first_block()).unwrap();
    let view = state.view().unwrap();
    assert_eq!(view.nonce(Address::repeat_byte(0x42)).unwrap(), 9);
    assert_eq!(view.nonce(sender().address()).unwrap(), 0);
    let missing = view.balance_wei(Address::repeat_byte(0x43)).unwrap_err();
    assert_eq!(
        missing.to_string(),
        format!("account {} at block 0 was not recorded", Address::repeat_byte(0x43))
    );
}

#[test]
fn another_version_and_other_files_are_refused() {
    let newer = altered(1, |header| header["version"] = json!(2));
    assert_eq!(refusal(&newer), "toy.jsonl:1: recording of version 2; expected version 1");
    let none = altered(1, |header| drop(header.as_object_mut().unwrap().remove("version")));
    assert_eq!(refusal(&none), "toy.jsonl:1: recording of version none; expected version 1");
    let expected =
        "toy.jsonl:1: not a recording: expected a header with \"format\":\"portcullis-recording\"";
    for bytes in [&b""[..], b"\n", b"{}\n", b"\x00\xff\n", b"[1,2]", b"PK\x03\x04"] {
        assert_eq!(refusal(bytes), expected);
    }
}

#[test]
fn an_unknown_field_is_refused_with_its_line() {
    let head = altered(4, |head| head["colour"] = json!("red"));
    let refused = refusal(&head);
    assert!(
        refused.starts_with("toy.jsonl:4: unknown field `colour`, expected one of `number`"),
        "{refused}"
    );
    let account = altered(1, |header| {
        let accounts = header["state"]["accounts"].as_object_mut().unwrap();
        accounts.values_mut().for_each(|account| account["colour"] = json!("red"));
    });
    assert!(
        refusal(&account)
            .starts_with("toy.jsonl:1: unknown field `colour`, expected one of `balance`")
    );
    let entry = altered(2, |note| note["type"] = json!("rumour"));
    assert!(
        refusal(&entry)
            .starts_with("toy.jsonl:2: unknown variant `rumour`, expected one of `head`")
    );
}

#[test]
fn broken_lines_are_refused_with_what_was_expected() {
    let broken = altered(3, |pending| pending["raw"] = json!("0x02c0"));
    assert!(refusal(&broken).starts_with("toy.jsonl:3: `raw`: transaction cannot be decoded"));
    let missing = altered(3, |pending| drop(pending.as_object_mut().unwrap().remove("raw")));
    assert!(refusal(&missing).starts_with("toy.jsonl:3: missing field `raw`"));
    let mined = altered(4, |head| head["transactions"] = json!(["0x"]));
    assert!(
        refusal(&mined)
            .starts_with("toy.jsonl:4: `transactions[0]`: transaction cannot be decoded")
    );
    let implausible = altered(4, |head| head["gas_limit"] = json!(0));
    assert!(refusal(&implausible).contains("toy.jsonl:4: expected a gas limit of at least 5000"));
    let overflowing = altered(1, |header| header["head"]["base_fee_wei"] = json!(u64::MAX));
    assert!(refusal(&overflowing).contains("toy.jsonl:1: head: expected a base fee of at most"));

    let whole = recorded(true);
    let cut = read(&whole[..whole.len() - 20]).unwrap_err();
    assert!(matches!(cut, RecordingError::Line { line: 6, .. }), "{cut}");
    let blank = [&whole[..], b"\n"].concat();
    assert!(refusal(&blank).starts_with("toy.jsonl:7: EOF while parsing"));
}

#[test]
fn a_line_without_end_is_refused_before_it_fills_the_memory() {
    let endless = Cursor::new(recorded(true)).chain_endless();
    let refused = Recording::read(Path::new("toy.jsonl"), endless).unwrap_err();
    assert!(matches!(refused, RecordingError::TooLong { line: 7, .. }), "{refused}");
}

/// What it holds, then `x` for ever.
trait ChainEndless: std::io::Read + Sized {
    fn chain_endless(self) -> std::io::BufReader<std::io::Chain<Self, std::io::Repeat>> {
        std::io::BufReader::new(self.chain(std::io::repeat(b'x')))
    }
}
impl<R: std::io::Read> ChainEndless for R {}

#[test]
fn the_schema_knows_every_line_and_names_every_field() {
    let schema = recording_schema().to_string();
    for name in [
        "header",
        "pending",
        "account",
        "slot",
        "block_hash",
        "note",
        "parent_hash",
        "complete",
        "at_ms",
    ] {
        assert!(schema.to_lowercase().contains(name), "{name}");
    }
}

#[test]
fn a_compressed_recording_reads_as_a_plain_one_and_says_where_it_was_cut() {
    let folder = tempfile::tempdir().unwrap();
    let [plain, packed] =
        ["session.jsonl", "session.jsonl.gz"].map(|name| folder.path().join(name));
    let rules = ChainRules {
        chain_id: 31337,
        hardforks: HardforkSchedule::always(Hardfork::Prague),
        block_time_s: 12,
    };
    let head = ForkedState::in_memory(rules, accounts()).unwrap().head().unwrap();
    for path in [&plain, &packed] {
        let mut writer = RecordingWriter::create(path, header(false, head.clone())).unwrap();
        for nonce in 0..50 {
            writer.pending(&transfer(nonce)).unwrap();
        }
        writer.flush().unwrap();
        // Whatever ends the program now, this much is there.
        let so_far = std::fs::read(path).unwrap();
        writer.pending(&transfer(50)).unwrap();
        writer.end().unwrap();
        assert!(std::fs::read(path).unwrap().len() > so_far.len());
    }
    let length = |path: &Path| std::fs::metadata(path).unwrap().len();
    assert!(length(&packed) * 2 < length(&plain), "{} of {}", length(&packed), length(&plain));
    let (read, unpacked) = (Recording::open(&plain).unwrap(), Recording::open(&packed).unwrap());
    assert_eq!(read.steps().len(), 51);
    assert_eq!(format!("{:?}", read.steps()), format!("{:?}", unpacked.steps()));
    assert_eq!(read.header(), unpacked.header());

    // Its first bytes tell what it is, not its name.
    let bytes = std::fs::read(&packed).unwrap();
    let other = folder.path().join("session");
    let open = |bytes: &[u8]| {
        std::fs::write(&other, bytes).unwrap();
        Recording::open(&other)
    };
    assert_eq!(open(&bytes).unwrap().steps().len(), 51);
    let cut = open(&bytes[..bytes.len() - 30]).unwrap_err();
    assert!(cut.to_string().contains("was cut off here"), "{cut}");
    let mut damaged = bytes.clone();
    damaged[bytes.len() / 2] ^= 0xff;
    damaged[bytes.len() / 2 + 1] ^= 0xff;
    assert!(open(&damaged).is_err());
    assert!(open(&bytes[..1]).is_err() && open(&[]).is_err());
}
