use super::{Detector, Findings};
use crate::facts::Facts;
use crate::syntax::Span;

detector! {
    /// The source does not read as it is compiled.
    ///
    /// ## Why it matters
    ///
    /// Characters that turn the direction of writing are shown as nothing and make what follows appear in another
    /// order: a reader sees other arguments, other comments or other code than the compiler does.
    ///
    /// ## How to fix
    /// Remove the character; its code is in the message.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Pool {
    ///     uint256 taken;
    ///     function take(uint256 own, uint256 other) external {
    #[doc = "         taken += own; /* \u{202e} other \u{202c} */ //~ rtlo"]
    ///         taken -= other;
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Pool {
    ///     uint256 taken;
    ///     function take(uint256 own, uint256 other) external {
    ///         taken += own; /* other */
    ///         taken -= other;
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Letters of scripts that are written from the right, which turn no direction by themselves.
    Rtlo {
        id: "rtlo",
        severity: High,
        confidence: High,
        since: "0.1.0",
        slither: ["rtlo"],
        swc: ["SWC-130"],
    }
}

impl Detector for Rtlo {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        for source in facts.program().sources() {
            // All of these begin with one byte that few sources hold, and looking for a byte is quick.
            if !source.text.as_bytes().contains(&0xe2) {
                continue;
            }
            // One for each line is enough to find them all.
            let mut last_line = None;
            for (at, turn) in source.text.char_indices().filter(|(_, c)| turns(*c)) {
                let line = Some(source.text[..at].rfind('\n'));
                if last_line != line {
                    last_line = line;
                    let code = u32::from(turn);
                    let span = Span::new(source.id, at, at + turn.len_utf8());
                    out.report(span, format!("U+{code:04X} turns the direction of what follows")).help("remove the character");
                }
            }
        }
    }
}

/// Whether a character overrides, embeds or isolates a direction of writing, as the bidirectional algorithm (UAX 9) has
/// them.
fn turns(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
