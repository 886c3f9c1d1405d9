//! An execution drawn as a tree: who called whom, with names and amounts.

use std::collections::BTreeMap;

use alloy::primitives::U256;
use portcullis_watcher::simulate::execution::{
    Execution, Frame, FrameKind, LogRecord, Status, StorageAccess,
};
use portcullis_watcher::simulate::revert_reason;
use serde_json::{Value, json};

use super::names::{self, Names};
use crate::guard::ether;
use crate::terminal::Paint;

/// Lines drawn at most; an attack may have thousands of frames.
const LINES: usize = 2_000;

/// What is drawn of an execution.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    execution: &'a Execution,
    names: &'a Names,
    /// What happened in each frame, in order.
    events: BTreeMap<usize, Vec<Event<'a>>>,
}

#[derive(Debug, Clone, Copy)]
enum Event<'a> {
    Frame(usize),
    Log(&'a LogRecord),
    Write(&'a StorageAccess),
}

impl<'a> Tree<'a> {
    /// The calls and token transfers of `execution`, and the storage writes that `shows_write` picks.
    pub(super) fn new(
        execution: &'a Execution,
        names: &'a Names,
        shows_write: impl Fn(&StorageAccess) -> bool,
    ) -> Self {
        let mut ordered: BTreeMap<usize, Vec<(u32, Event<'a>)>> = BTreeMap::new();
        for (place, frame) in execution.frames.iter().enumerate() {
            if let Some(parent) = frame.parent {
                ordered.entry(parent).or_default().push((frame.entered, Event::Frame(place)));
            }
        }
        for log in &execution.logs {
            if names::token_transfer(&log.topics, &log.data).is_some() {
                ordered.entry(log.frame).or_default().push((log.order, Event::Log(log)));
            }
        }
        for access in &execution.accesses {
            if access.after.is_some() && shows_write(access) {
                ordered.entry(access.frame).or_default().push((access.order, Event::Write(access)));
            }
        }
        let events = ordered
            .into_iter()
            .map(|(frame, mut events)| {
                events.sort_by_key(|(order, _)| *order);
                (frame, events.into_iter().map(|(_, event)| event).collect())
            })
            .collect();
        Self { execution, names, events }
    }

    /// The tree as text, one line for each event.
    pub(super) fn draw(&self, paint: Paint) -> String {
        let Some(root) = self.execution.frames.first() else { return String::new() };
        let mut lines = vec![self.frame(root, paint)];
        // A stack of its own: depth is bounded by the machine at 1,024, but the stack of threads is not ours to plan.
        let mut open = vec![(String::new(), self.events(0).iter())];
        while let Some((indent, rest)) = open.last_mut() {
            let Some(event) = rest.next() else {
                open.pop();
                continue;
            };
            if lines.len() >= LINES {
                lines.push(paint.dim("… more than is drawn; `--format json` has all"));
                break;
            }
            let is_last = rest.len() == 0;
            let branch = if is_last { "└─ " } else { "├─ " };
            let below = format!("{indent}{}", if is_last { "   " } else { "│  " });
            let text = match event {
                Event::Frame(place) => self.frame(&self.execution.frames[*place], paint),
                Event::Log(log) => self.transfer(log, paint),
                Event::Write(access) => self.write(access, paint),
            };
            lines.push(format!("{indent}{branch}{text}"));
            if let Event::Frame(place) = event {
                open.push((below, self.events(*place).iter()));
            }
        }
        lines.join("\n") + "\n"
    }

    /// The tree as nested objects.
    pub(super) fn json(&self) -> Value {
        // Parents come before their children, so from the last to the first every subtree is done when it is asked for.
        let mut done: BTreeMap<usize, Value> = BTreeMap::new();
        for (place, frame) in self.execution.frames.iter().enumerate().rev() {
            let inner: Vec<Value> = self
                .events(place)
                .iter()
                .filter_map(|event| match event {
                    Event::Frame(child) => done.remove(child),
                    Event::Log(log) => {
                        let (from, to, amount) = names::token_transfer(&log.topics, &log.data)?;
                        Some(json!({
                            "type": "token_transfer", "token": log.address, "from": from, "to": to,
                            "amount": amount.to_string(), "kept": log.kept,
                        }))
                    }
                    Event::Write(access) => Some(json!({
                        "type": "storage_write", "address": access.address, "slot": access.slot,
                        "before": access.before, "after": access.after, "kept": access.kept,
                    })),
                })
                .collect();
            done.insert(
                place,
                json!({
                    "type": frame.kind,
                    "caller": frame.caller,
                    "to": frame.acts_on,
                    "code_at": frame.code_at,
                    "name": self.names.get(&frame.acts_on),
                    "signature": frame.selector().and_then(names::signature),
                    "call": self.what(frame),
                    "value_wei": frame.value.to_string(),
                    "gas_used": frame.gas_used,
                    "success": frame.success,
                    "kept": frame.kept,
                    "reason": (!frame.success).then(|| self.reason(frame)),
                    "inner": inner,
                }),
            );
        }
        done.remove(&0).unwrap_or_default()
    }

    fn events(&self, frame: usize) -> &[Event<'a>] {
        self.events.get(&frame).map_or(&[], Vec::as_slice)
    }

    fn frame(&self, frame: &Frame, paint: Paint) -> String {
        let mut text = match frame.kind {
            FrameKind::Call => String::new(),
            FrameKind::StaticCall => paint.dim("static "),
            FrameKind::DelegateCall => paint.dim("delegate "),
            FrameKind::CallCode => paint.dim("callcode "),
            FrameKind::Create => paint.dim("create "),
            FrameKind::Create2 => paint.dim("create2 "),
        };
        text.push_str(&paint.bold(&self.names.of(&frame.acts_on)));
        if frame.code_at != frame.acts_on {
            text.push_str(&paint.dim(&format!(" with code of {}", self.names.of(&frame.code_at))));
        }
        let what = self.what(frame);
        if !what.is_empty() {
            text.push_str(&format!(".{what}"));
        }
        // A delegate call shows the value of the call around it, which has moved already.
        if !frame.value.is_zero() && frame.kind != FrameKind::DelegateCall {
            text.push_str(&format!("  {}", paint.yellow(&ether(frame.value))));
        }
        text.push_str(&paint.dim(&format!("  {} gas", frame.gas_used)));
        if !frame.success {
            text.push_str(&format!("  {}", paint.red(&format!("✗ {}", self.reason(frame)))));
        } else if !frame.kept {
            text.push_str(&format!("  {}", paint.red("✗ undone by a call around it")));
        }
        text
    }

    fn what(&self, frame: &Frame) -> String {
        match frame.kind {
            FrameKind::Create | FrameKind::Create2 => String::new(),
            _ => names::call(&frame.input, self.names),
        }
    }

    fn reason(&self, frame: &Frame) -> String {
        match (&self.execution.status, frame.parent) {
            (Status::Halt { reason }, None) => format!("halted: {reason}"),
            _ if frame.output.is_empty() => "reverted without a reason".to_owned(),
            _ => format!("reverted: {}", revert_reason(&frame.output)),
        }
    }

    fn transfer(&self, log: &LogRecord, paint: Paint) -> String {
        let (from, to, amount) = names::token_transfer(&log.topics, &log.data).unwrap_or_default();
        let text = format!(
            "⇢ {} {} → {}: {} units",
            self.names.of(&log.address),
            self.names.of(&from),
            self.names.of(&to),
            grouped(amount),
        );
        if log.kept { paint.yellow(&text) } else { paint.dim(&format!("{text} (undone)")) }
    }

    fn write(&self, access: &StorageAccess, paint: Paint) -> String {
        let text = format!(
            "✎ {} slot {:#x}: {:#x} → {:#x}",
            self.names.of(&access.address),
            access.slot,
            access.before,
            access.after.unwrap_or_default(),
        );
        if access.kept { text } else { paint.dim(&format!("{text} (undone)")) }
    }
}

/// Digits in groups of three: token amounts have no decimals here, and are long.
fn grouped(amount: U256) -> String {
    let digits = amount.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_amounts_are_grouped() {
        assert_eq!(grouped(U256::from(7)), "7");
        assert_eq!(grouped(U256::from(1_234)), "1_234");
        assert_eq!(grouped(U256::from(1_000_000_u64)), "1_000_000");
    }
}
