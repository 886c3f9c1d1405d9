//! A mail as it goes over the wire (RFC 5322, MIME): everything that is not plain ASCII is encoded, lines are short.

use sha2::{Digest, Sha256};

use super::super::cut;
use crate::calendar::timestamp;

/// Mail programs show less of a subject.
const SUBJECT_CHARS: usize = 200;
/// Longer texts belong into the journal.
const TEXT_CHARS: usize = 20_000;
/// Bytes of an encoded word's text: with its frame it stays below the 75 characters that RFC 2047 allows.
const WORD_BYTES: usize = 42;
/// Bytes on one line of the body: 76 characters of base64.
const LINE_BYTES: usize = 57;

/// What a mail is made of.
pub(super) struct Message<'a> {
    pub(super) from: &'a str,
    pub(super) to: &'a [String],
    pub(super) subject: &'a str,
    pub(super) text: &'a str,
    /// Mails of one incident form a thread.
    pub(super) incident: &'a str,
    /// Milliseconds since the Unix epoch.
    pub(super) at_ms: u64,
}

impl Message<'_> {
    /// Headers and body, each line ended by CRLF. No line begins with a full stop.
    pub(super) fn encode(&self) -> String {
        let domain = self.from.split_once('@').map_or("localhost", |(_, domain)| domain);
        let thread = short_hash(&[self.incident]);
        let own = short_hash(&[self.incident, &self.at_ms.to_string(), self.subject, self.text]);
        let text = cut(self.text, TEXT_CHARS);
        let lines: Vec<String> = text.as_bytes().chunks(LINE_BYTES).map(base64).collect();
        [
            format!("From: {}", self.from),
            format!("To: {}", self.to.join(",\r\n ")),
            format!("Subject: {}", encoded_words(&cut(self.subject, SUBJECT_CHARS))),
            format!("Date: {}", date(self.at_ms)),
            format!("Message-ID: <{own}@{domain}>"),
            format!("References: <{thread}@{domain}>"),
            "Auto-Submitted: auto-generated".to_owned(),
            "MIME-Version: 1.0".to_owned(),
            "Content-Type: text/plain; charset=utf-8".to_owned(),
            "Content-Transfer-Encoding: base64".to_owned(),
            String::new(),
            lines.join("\r\n"),
            String::new(),
        ]
        .join("\r\n")
    }
}

/// Text that whoever attacks may have chosen, so that no character of it can begin another header.
fn encoded_words(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if word.len() + c.len_utf8() > WORD_BYTES {
            words.push(std::mem::take(&mut word));
        }
        word.push(c);
    }
    words.push(word);
    let encoded: Vec<String> =
        words.iter().map(|word| format!("=?UTF-8?B?{}?=", base64(word.as_bytes()))).collect();
    encoded.join("\r\n ")
}

/// `15 Jun 2025 15:06:40 +0000`.
fn date(at_ms: u64) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let stamp = timestamp(at_ms);
    let month = stamp.get(5..7).and_then(|month| month.parse::<usize>().ok()).unwrap_or(1);
    let part = |range: std::ops::Range<usize>| stamp.get(range).unwrap_or_default();
    let name = MONTHS.get(month.saturating_sub(1)).copied().unwrap_or("Jan");
    format!("{} {name} {} {} +0000", part(8..10), part(0..4), part(11..19))
}

fn short_hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    alloy::hex::encode(&hash.finalize()[..16])
}

/// RFC 4648, with padding.
pub(super) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let number = three
            .iter()
            .enumerate()
            .fold(0_u32, |number, (place, byte)| number | u32::from(*byte) << (16 - 8 * place));
        for place in 0..4 {
            let six = (number >> (18 - 6 * place)) as usize & 63;
            text.push(if place > three.len() { '=' } else { char::from(ALPHABET[six]) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        // RFC 4648, section 10.
        let vectors = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]
            .into_iter()
            .enumerate();
        for (length, expected) in vectors {
            assert_eq!(base64(&b"foobar"[..length]), expected);
        }
        assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
    }

    #[test]
    fn no_text_begins_a_header_or_a_line_of_its_own() {
        let to = ["a@example.org".to_owned(), "b@example.org".to_owned()];
        let message = Message {
            from: "guard@example.org",
            to: &to,
            subject: "drained\r\nBcc: thief@example.org ünd möre, so long that it takes a second word",
            text: ".\r\nQUIT\r\nevil",
            incident: "local/vault/1",
            at_ms: 1_750_000_000_000,
        };
        let text = message.encode();
        assert!(!text.contains("Bcc:") && !text.contains("QUIT"), "{text}");
        assert!(text.contains("\r\nDate: 15 Jun 2025 15:06:40 +0000\r\n"), "{text}");
        for line in text.split("\r\n") {
            assert!(line.is_ascii() && line.len() <= 78 && !line.starts_with('.'), "{line}");
            assert!(!line.contains(['\r', '\n']), "{line:?}");
        }
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(body.trim_end(), base64(".\r\nQUIT\r\nevil".as_bytes()));
        assert_eq!(head.matches("\r\n =?UTF-8?B?").count(), 1, "{head}");
    }
}
