//! What a fuzzer would drive, run over the committed corpus in `fixtures/fuzz/rule-pack`: whole, cut short, and with
//! bytes exchanged.
//!
//! The body takes any bytes and panics when a promise is broken. An input that once broke one is added to the corpus
//! and stays there.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use portcullis_rules::{
    Dictionary, Exchange, FactSpec, FactType, Pack, PackError, RuleSet, Subject, Value,
};

const fn fact(name: &'static str, subject: Subject, ty: FactType, unit: &'static str) -> FactSpec {
    FactSpec { name, subject, ty, unit, may_be_unknown: true, doc: "a fact of the corpus" }
}

const FACTS: &[FactSpec] = &[
    fact("touches_protected", Subject::Transaction, FactType::Bool, ""),
    fact("tx_succeeded", Subject::Transaction, FactType::Bool, ""),
    fact("sender", Subject::Transaction, FactType::Address, ""),
    fact("outflow_wei", Subject::Transaction, FactType::Uint, "wei"),
    fact("outflow_bps", Subject::Transaction, FactType::Uint, "bps"),
    fact("frames", Subject::Transaction, FactType::Uint, "count"),
    fact("depth", Subject::Transaction, FactType::Uint, "count"),
    fact("name", Subject::Function, FactType::Text, ""),
    fact("visibility", Subject::Function, FactType::Text, ""),
    fact("guarded", Subject::Function, FactType::Bool, ""),
    fact("deployer", Subject::Contract, FactType::Address, ""),
    fact("deployer_nonce", Subject::Contract, FactType::Uint, "count"),
];

/// Any bytes are refused, at a place that the text has, or are a pack that can be asked.
fn loader(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let dictionaries = [Subject::Transaction, Subject::Function, Subject::Contract]
        .map(|subject| Dictionary::new(subject, [FACTS]));
    let pack = match Pack::parse(&text, "corpus", &dictionaries) {
        Ok(pack) => pack,
        Err(error) => {
            let lines = text.lines().count() + 1;
            match &error {
                PackError::Shape { line, .. } => assert!(*line <= lines, "{error}"),
                PackError::Rule(rule) => assert!(rule.line <= lines, "{error}"),
                _ => {}
            }
            assert!(!error.to_string().is_empty());
            return false;
        }
    };
    let set = RuleSet::new(vec![pack.clone()]).unwrap();
    for dictionary in &dictionaries {
        let mut table = dictionary.empty_table();
        set.evaluate(dictionary.subject(), &table);
        for (position, spec) in dictionary.specs().iter().enumerate() {
            let value = match spec.ty {
                FactType::Bool => Value::Bool(true),
                FactType::Uint => Value::Uint(ruint::aliases::U256::MAX),
                FactType::Text => Value::Text("a".to_owned()),
                FactType::Address => Value::Address([0x11; 20]),
            };
            table.set(position, value);
        }
        set.evaluate(dictionary.subject(), &table);
    }
    // Read again, it says the same.
    let again = Pack::parse(&text, "corpus", &dictionaries).unwrap();
    let exchange = Exchange::between(&set, &RuleSet::new(vec![again]).unwrap());
    assert_eq!((exchange.added.len(), exchange.changed.len()), (0, 0));
    true
}

fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/fuzz/rule-pack");
    let mut inputs: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.display().to_string(), std::fs::read(path).unwrap())
        })
        .collect();
    inputs.sort();
    assert!(inputs.len() >= 4, "the corpus has inputs");
    inputs
}

#[test]
fn the_loader_survives_its_corpus_whole_and_cut_short() {
    let mut loaded = 0;
    for (_, bytes) in corpus() {
        for part in 1..=16 {
            loaded += usize::from(loader(&bytes[..bytes.len() * part / 16]));
        }
    }
    assert!(loaded >= 3, "a corpus of which nothing loads reaches no condition");
}

#[test]
fn the_loader_survives_bytes_that_were_exchanged() {
    // A fixed walk over places and bytes; the bytes are those that mean something to YAML and CEL.
    const BYTES: &[u8] = b"\"'{}[]():&*!?|>-%#,\n\t \0\\<=0x.\xff";
    for (_, bytes) in corpus() {
        for step in 0..60_usize {
            let mut changed = bytes.clone();
            for turn in 0..=step % 3 {
                let place = (step * 7_919 + turn * 104_729) % changed.len();
                changed[place] = BYTES[(step * 31 + turn * 17) % BYTES.len()];
            }
            loader(&changed);
        }
    }
}
