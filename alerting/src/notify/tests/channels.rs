//! What the receivers of each channel get.

use serde_json::{Value, json};

use super::*;

/// Builds a channel that talks to a receiver of this test, delivers, and gives the request line and the body.
async fn told(build: impl FnOnce(String) -> SinkSettings, alert: &Alert) -> (String, Value) {
    let (sink, receiver) = built(build);
    sink.deliver(alert).await.unwrap();
    taken(receiver)
}

async fn resolved(build: impl FnOnce(String) -> SinkSettings, alert: &Alert) -> (String, Value) {
    let (sink, receiver) = built(build);
    sink.resolve(alert).await.unwrap();
    taken(receiver)
}

fn built(build: impl FnOnce(String) -> SinkSettings) -> (Box<dyn Sink>, JoinHandle<Vec<Seen>>) {
    let (url, receiver) = receiver(&["200 OK"]);
    let origin = url.split("/hook").next().unwrap().to_owned();
    let clock: Clock = Arc::new(|| NOW_MS);
    (build(origin).build(&clock).unwrap(), receiver)
}

fn taken(receiver: JoinHandle<Vec<Seen>>) -> (String, Value) {
    let seen = receiver.join().unwrap().remove(0);
    assert_eq!(seen.headers["content-type"], "application/json");
    (seen.line.trim().to_owned(), serde_json::from_str(&seen.body).unwrap())
}

fn slack(origin: String) -> SinkSettings {
    let url = Secret::new(format!("{origin}/services/T0/B0/s3cret"));
    SinkSettings::Slack(SlackSettings { name: "slack".into(), url })
}

fn discord(origin: String) -> SinkSettings {
    let url = Secret::new(format!("{origin}/api/webhooks/1/s3cret"));
    SinkSettings::Discord(DiscordSettings { name: "discord".into(), url })
}

fn telegram(api: String) -> SinkSettings {
    let token = Secret::new("123456:ABC-s3cret");
    SinkSettings::Telegram(TelegramSettings {
        name: "telegram".into(),
        token,
        chat_id: "-100".into(),
        api,
    })
}

fn pagerduty(origin: String) -> SinkSettings {
    let (routing_key, url) = (Secret::new("r0uting"), format!("{origin}/v2/enqueue"));
    SinkSettings::PagerDuty(PagerDutySettings { name: "pager".into(), routing_key, url })
}

fn alertmanager(origin: String) -> SinkSettings {
    let url = Secret::new(format!("{origin}/"));
    SinkSettings::Alertmanager(AlertmanagerSettings { name: "am".into(), url })
}

#[tokio::test]
async fn slack_gets_blocks_in_which_nothing_is_a_mention() {
    let mut alert = alert(Severity::Critical);
    alert.text = "<!channel> a & b".into();
    let (line, body) = told(slack, &alert).await;
    assert_eq!(line, "POST /services/T0/B0/s3cret HTTP/1.1");
    assert_eq!(body["text"], "[critical] attack on vault");
    assert_eq!(
        body["blocks"][0]["text"],
        json!({ "type": "plain_text", "text": "[critical] attack on vault" })
    );
    assert_eq!(
        body["blocks"][1],
        json!({ "type": "section", "text": { "type": "mrkdwn", "text": "&lt;!channel&gt; a &amp; b" } })
    );
    assert_eq!(body["blocks"][2]["elements"][0]["text"], "incident `local/vault/1` on local");
}

#[tokio::test]
async fn long_texts_are_cut_to_what_receivers_take() {
    let mut alert = alert(Severity::High);
    alert.title = "é".repeat(5_000);
    alert.text = "<".repeat(9_000);
    let chars = |value: &Value| value.as_str().unwrap().chars().count();
    let (_, body) = told(slack, &alert).await;
    assert_eq!(chars(&body["blocks"][0]["text"]["text"]), 150);
    let section = body["blocks"][1]["text"]["text"].as_str().unwrap();
    assert!(section.chars().count() <= 3_000 && section.ends_with("&lt;…"), "no entity is torn");
    let (_, body) = told(discord, &alert).await;
    assert_eq!(
        (chars(&body["embeds"][0]["title"]), chars(&body["embeds"][0]["description"])),
        (256, 4_096)
    );
    let (_, body) = told(telegram, &alert).await;
    assert!(chars(&body["text"]) <= 4_096);
    let (_, body) = told(pagerduty, &alert).await;
    assert_eq!(chars(&body["payload"]["summary"]), 1_024);
}

#[tokio::test]
async fn discord_gets_an_embed_that_calls_nobody() {
    let (line, body) = told(discord, &alert(Severity::Medium)).await;
    assert_eq!(line, "POST /api/webhooks/1/s3cret HTTP/1.1");
    assert_eq!(
        body["embeds"][0],
        json!({
            "title": "[medium] attack on vault",
            "description": "ether leaves \"vault\"\nwithout a deposit",
            "color": 0xEA_B308,
            "timestamp": "2025-06-15T15:06:40.000Z",
            "footer": { "text": "local/vault/1 on local" },
        })
    );
    assert_eq!(body["allowed_mentions"], json!({ "parse": [] }));
}

#[tokio::test]
async fn telegram_gets_text_in_which_every_mark_is_escaped() {
    let mut alert = alert(Severity::High);
    alert.text = "1.5 ether (50%) left_vault! \\".into();
    let (line, body) = told(telegram, &alert).await;
    assert_eq!(line, "POST /bot123456:ABC-s3cret/sendMessage HTTP/1.1");
    assert_eq!(body["chat_id"], "-100");
    assert_eq!(body["parse_mode"], "MarkdownV2");
    assert_eq!(
        body["text"],
        "*\\[high\\] attack on vault*\n1\\.5 ether \\(50%\\) left\\_vault\\! \\\\"
    );
}

#[tokio::test]
async fn pagerduty_triggers_and_resolves_under_one_key() {
    let alert = alert(Severity::Critical);
    let (line, body) = told(pagerduty, &alert).await;
    assert_eq!(line, "POST /v2/enqueue HTTP/1.1");
    assert_eq!(
        body,
        json!({
            "routing_key": "r0uting",
            "event_action": "trigger",
            "dedup_key": "local/vault/1",
            "client": "portcullis",
            "payload": {
                "summary": "attack on vault",
                "source": "local",
                "severity": "critical",
                "timestamp": "2025-06-15T15:06:40.000Z",
                "component": alert.contract,
                "custom_details": { "text": alert.text, "transaction": alert.tx_hash, "incident": "local/vault/1" },
            },
        })
    );
    let (_, body) = resolved(pagerduty, &alert).await;
    assert_eq!(
        body,
        json!({ "routing_key": "r0uting", "event_action": "resolve", "dedup_key": "local/vault/1" })
    );

    // A key that PagerDuty would refuse becomes one that it takes, the same for trigger and resolve.
    let mut long = alert;
    long.incident = "x".repeat(300);
    let (_, triggered) = told(pagerduty, &long).await;
    let (_, ended) = resolved(pagerduty, &long).await;
    assert_eq!(triggered["dedup_key"], ended["dedup_key"]);
    assert!(triggered["dedup_key"].as_str().unwrap().len() <= 255);
}

#[tokio::test]
async fn alertmanager_knows_an_incident_by_its_labels_and_is_told_its_end() {
    let first = alert(Severity::High);
    let (line, body) = told(alertmanager, &first).await;
    assert_eq!(line, "POST /api/v2/alerts HTTP/1.1");
    let labels = json!({
        "alertname": "portcullis", "incident": "local/vault/1", "chain": "local", "severity": "high"
    });
    assert_eq!(body[0]["labels"], labels);
    assert_eq!(body[0]["annotations"]["summary"], "attack on vault");
    assert_eq!(body[0]["startsAt"], "2025-06-15T15:06:40.000Z");
    assert_eq!(body[0].get("endsAt"), None);
    let (_, body) = resolved(alertmanager, &first).await;
    assert_eq!(
        (&body[0]["labels"], &body[0]["endsAt"]),
        (&labels, &json!("2025-06-15T15:06:40.123Z"))
    );
}

#[test]
fn settings_that_cannot_work_are_refused_and_no_secret_is_shown() {
    let clock: Clock = Arc::new(|| 0);
    let telegram = |token: &str, chat_id: &str| {
        SinkSettings::Telegram(TelegramSettings {
            name: "t".into(),
            token: Secret::new(token),
            chat_id: chat_id.into(),
            api: "https://api.telegram.org".into(),
        })
    };
    for (settings, field) in [
        (telegram("1:s3cret/../getUpdates?", "1"), "token"),
        (telegram("", "1"), "token"),
        (telegram("1:s3cret", "somebody"), "chat_id"),
        (slack("s3cret".into()), "url"),
        (discord("ftp://s3cret".into()), "url"),
        (alertmanager("file://s3cret".into()), "url"),
        (
            SinkSettings::PagerDuty(PagerDutySettings {
                name: "p".into(),
                routing_key: Secret::new(" "),
                url: "https://events.pagerduty.com/v2/enqueue".into(),
            }),
            "routing_key",
        ),
    ] {
        assert!(!format!("{settings:?}").contains("s3cret"));
        let error = settings.build(&clock).map(|_| ()).unwrap_err();
        assert_eq!(error.field, field);
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}
