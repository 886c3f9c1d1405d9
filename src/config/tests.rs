//! What a configuration is refused for, and with which words.

use std::path::Path;

use super::{Config, ConfigError, parse};

const CHAIN: &str = "[[chains]]\nname = 'local'\nchain_id = 31337\nblock_time_ms = 1000\nnodes = ['ws://127.0.0.1:8545']\n";

fn read(text: &str) -> Result<Config, ConfigError> {
    parse(text, Path::new("portcullis.toml"))
}

/// The message that `text` is refused with.
fn refusal(text: &str) -> String {
    read(text).expect_err("the configuration should be refused").to_string()
}

#[test]
fn name_chain_and_addresses_suffice() {
    let text = format!(
        "version = 1\n{CHAIN}[[protected]]\nname = 'vault'\nchain = 'local'\naddresses = ['0x00000000000000000000000000000000000000aa']\n"
    );
    let config = read(&text).unwrap();
    assert_eq!(config.protected[0].name, "vault");
    assert_eq!(
        config.mode,
        portcullis_alerting::record::Mode::Observe,
        "the default is to observe"
    );
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let message = refusal(&format!("version = 1\nmoed = 'armed'\n{CHAIN}"));
    assert!(message.contains("line 2") && message.contains("moed"), "{message}");
}

#[test]
fn another_version_is_refused_before_its_keys() {
    let message = refusal("version = 2\nnovelty = true\n");
    assert_eq!(
        message,
        "portcullis.toml: version: expected 1, found 2; this program reads version 1 only"
    );
}

#[test]
fn an_unknown_chain_name_lists_the_known_ones() {
    let text =
        format!("version = 1\n{CHAIN}[[protected]]\nname = 'v'\nchain = 'lcal'\naddresses = []\n");
    assert_eq!(
        refusal(&text),
        "portcullis.toml: protected[0].chain: no chain is named `lcal`; expected one of: local"
    );
}

#[test]
fn an_armed_contract_needs_a_key() {
    let text = format!(
        "version = 1\nmode = 'armed'\n{CHAIN}[[protected]]\nname = 'v'\nchain = 'local'\naddresses = ['0x00000000000000000000000000000000000000aa']\n"
    );
    assert!(refusal(&text).contains("guardian.key: `v` is armed"));
}

#[test]
fn a_keyed_node_address_is_not_a_literal() {
    let text = "version = 1\n[[chains]]\nname='m'\npreset='mainnet'\nnodes=['wss://node.example/v3/0123456789abcdef']\n";
    let message = refusal(text);
    assert!(
        message.contains("chains[0].nodes") && message.contains("{ env = \"NAME\" }"),
        "{message}"
    );
    assert!(!message.contains("0123456789abcdef"), "the key must not be repeated: {message}");
}

#[test]
fn a_preset_and_a_chain_id_must_agree() {
    let text = "version = 1\n[[chains]]\nname='m'\npreset='base'\nchain_id=1\nnodes=['ws://127.0.0.1:1']\n";
    assert!(refusal(text).contains("chains[0].chain_id: the preset is chain 8453, not 1"));
}

#[test]
fn hard_forks_are_known_and_follow_one_another() {
    let text = |forks: &str| format!("version = 1\n{CHAIN}hardforks = [{forks}]\n");
    let message = refusal(&text("{ name = 'prauge' }"));
    assert!(message.contains("line 7") && message.contains("`prague`"), "{message}");
    let message =
        refusal(&text("{ name = 'prague', from_block = 5 }, { name = 'cancun', from_block = 9 }"));
    assert_eq!(
        message,
        "portcullis.toml: chains[0].hardforks: `cancun` cannot come into force at block 9, after `prague`"
    );
    let config = read(&text("{ name = 'osaka', from_block = 9 }, { name = 'cancun' }")).unwrap();
    let schedule = config.chains[0].schedule().unwrap();
    assert_eq!([8, 9].map(|block| schedule.at(block).to_string()), ["cancun", "osaka"]);
}

#[test]
fn a_clickhouse_server_is_an_address_without_credentials() {
    let text = |rest: &str| format!("version = 1\n{CHAIN}[journal.clickhouse]\n{rest}\n");
    for (rest, expected) in [
        ("url = 'tcp://10.0.0.7:9000'", "journal.clickhouse.url: expected an `http://`"),
        (
            "url = 'http://me:hunter2@10.0.0.7:8123'",
            "journal.clickhouse.url: expected host and port",
        ),
        ("url = 'http://10.0.0.7:8123'\ndatabase = 'a b'", "journal.clickhouse.database: expected"),
        ("url = 'http://10.0.0.7:8123'\npassword = 'hunter2'", "a secret never stands here itself"),
        ("url = 'http://10.0.0.7:8123'\nretention_days = 0", "journal.clickhouse.retention_days"),
    ] {
        let message = refusal(&text(rest));
        assert!(message.contains(expected) && !message.contains("hunter2"), "{message}");
    }
    let config = read(&text("url = 'http://10.0.0.7:8123'")).unwrap();
    assert_eq!(config.journal.clickhouse.unwrap().database, "portcullis");
}

#[test]
fn a_kit_that_does_not_ship_is_refused_with_those_that_do() {
    let text = |kit: &str| format!("version = 1\n{CHAIN}[rules]\nkits = ['{kit}']\n");
    assert_eq!(
        refusal(&text("erc20")),
        "portcullis.toml: rules.kits: no kit is named `erc20`; expected: amm, bridge-escrow, erc4626, governor, \
         lending, staking"
    );
    assert_eq!(read(&text("erc4626")).unwrap().rules.kits, ["erc4626"]);
}

#[test]
fn a_key_has_one_place() {
    let text = format!(
        "version = 1\n{CHAIN}[guardian]\naddress='0x00000000000000000000000000000000000000aa'\nkey={{env='A',file='b'}}\n"
    );
    assert!(refusal(&text).contains("guardian.key: expected exactly one of"));
}

#[test]
fn a_channel_is_told_apart_by_its_kind() {
    let text = format!(
        "version = 1\n{CHAIN}[[notify]]\nkind = 'slack'\nname = 'team'\nurl = {{ env = 'A' }}\n\
         [[notify]]\nkind = 'pagerduty'\nname = 'pager'\nrouting_key = {{ env = 'B' }}\nmin_severity = 'high'\n"
    );
    let config = read(&text).unwrap();
    let told: Vec<_> = config.notify.iter().map(|one| (one.name(), one.min_severity())).collect();
    use portcullis_alerting::notify::Severity;
    assert_eq!(told, [("team", Severity::Info), ("pager", Severity::High)]);
}

#[test]
fn a_channel_that_cannot_be_is_refused() {
    for (channel, words) in [
        ("kind = 'pigeon'\nname = 'p'", "pigeon"),
        ("kind = 'slack'\nname = 's'\nurl = { env = 'A' }\ntoken = 'x'", "token"),
        ("kind = 'slack'\nname = 's'\nurl = 'https://hooks.example/T0/B0/s3cret'", "notify[0].url"),
        ("kind = 'pagerduty'\nname = 'p'\nrouting_key = 'key'", "expected `env` or `file`"),
        (
            "kind = 'slack'\nname = 's'\nurl = { env = 'A' }\n[[notify]]\nkind = 'slack'\nname = 's'\nurl = { env = 'A' }",
            "notify[1].name: a channel named `s` stands above",
        ),
    ] {
        let message = refusal(&format!("version = 1\n{CHAIN}[[notify]]\n{channel}\n"));
        assert!(message.contains(words), "`{words}` is missing in: {message}");
    }
}

#[test]
fn a_literal_where_a_secret_belongs_is_refused_and_not_repeated() {
    let address = "address='0x00000000000000000000000000000000000000aa'";
    for entry in [
        format!("[guardian]\n{address}\nkey = 'hunter2'\n"),
        format!("[guardian]\n{address}\nkey = ['hunter2']\n"),
        format!("[guardian]\n{address}\nkey = {{ keystore = 'k', password = 'hunter2' }}\n"),
        "[[notify]]\nkind='webhook'\nname='n'\nurl={env='U'}\nsigning_key = 'hunter2'\n".to_owned(),
        "[[notify]]\nkind='pagerduty'\nname='n'\nrouting_key = 'hunter2'\n".to_owned(),
    ] {
        let message = refusal(&format!("version = 1\n{CHAIN}{entry}"));
        assert!(!message.contains("hunter2"), "{message}");
        assert!(message.contains("a secret never stands here itself"), "{message}");
    }
}

#[test]
fn a_line_that_cannot_be_read_shows_its_key_only() {
    let message = refusal(&format!("version = 1\n{CHAIN}[guardian]\nkey = 'hunter2\n"));
    assert!(message.contains("line 8") && message.contains("key = ****"), "{message}");
    assert!(!message.contains("hunter2"), "{message}");
}

#[test]
fn planned_operations_and_arming_that_cannot_be_are_refused() {
    let protected = "[[protected]]\nname = 'vault'\nchain = 'local'\naddresses = ['0x00000000000000000000000000000000000000aa']\n";
    let sender = "sender = '0x00000000000000000000000000000000000000bb'";
    let until = "until = 2027-01-31T18:00:00Z\nreason = 'upgrade'";
    for (policy, words) in [
        (
            format!("[[policy.allow]]\n{sender}\nprotected = 'valut'\n{until}\n"),
            "policy.allow[0].protected: no protected entry is named `valut`",
        ),
        (
            format!("[[policy.quiet]]\nfrom = '2027-02-01'\n{until}\n"),
            "policy.quiet[0].until: expected a time after `from`",
        ),
        (
            format!("[[policy.allow]]\n{sender}\nuntil = 'soon'\nreason = 'upgrade'\n"),
            "expected a moment in UTC",
        ),
        (format!("[[policy.allow]]\n{sender}\nreason = 'upgrade'\n"), "until"),
        ("[policy]\narm_override = ' '\n".to_owned(), "policy.arm_override: expected a reason"),
        ("[policy]\nconfirm_within_ms = 0\n".to_owned(), "policy.confirm_within_ms"),
    ] {
        let message = refusal(&format!("version = 1\n{CHAIN}{protected}{policy}"));
        assert!(message.contains(words), "`{words}` is missing in: {message}");
    }
}

#[test]
fn a_relay_without_a_method_or_with_its_token_in_the_file_is_refused() {
    for (relay, words) in [
        ("name = 'r'\nurl = 'https://relay.example'", "method"),
        ("name = 'r'\nurl = 'https://relay.example/v1/s3cret'\nmethod = 'bundle'", "relays"),
        ("name = 'r'\nurl = 'https://relay.example'\nmethod = 'pigeon'", "pigeon"),
    ] {
        let message = refusal(&format!("version = 1\n{CHAIN}[[chains.relays]]\n{relay}\n"));
        assert!(message.contains(words), "`{words}` is missing in: {message}");
        assert!(!message.contains("s3cret"), "{message}");
    }
}
