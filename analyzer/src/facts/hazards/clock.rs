//! Payments that a few seconds of the block's time decide about.

use super::{Candidate, HazardKind, Need};
use crate::cfg::*;
use crate::facts::entry::{At, StateKey, source};
use crate::facts::work::Work;
use crate::syntax::ast::{BinaryOp, Expr, ExprKind};

/// A producer of blocks can move their time by less than this, in seconds, on chains that leave it to them.
const WINDOW_S: u64 = 900;

/// A length of time in what is compared.
struct Period {
    seconds: u64,
    /// The variable that holds it, where it is one.
    variable: Vec<StateKey>,
}

impl Work<'_, '_> {
    pub(super) fn clock(&mut self, out: &mut Vec<Candidate>) {
        let entry = self.entry;
        let graph = &entry.view.body.graph;
        for (at, statement) in entry.statements() {
            let StatementKind::Call(call) = &statement.kind else { continue };
            let pays = match &call.kind {
                CallKind::Transfer | CallKind::Send | CallKind::LowLevel => {
                    call.value.as_ref().is_some_and(|value| !self.is_zero(value))
                }
                CallKind::External { name, is_view: false, .. } => {
                    name == "transfer" && call.args.len() == 2
                }
                _ => false,
            };
            if !pays || !self.is_alive(at) {
                continue;
            }
            let decided = self.controllers(at.block).iter().find_map(|block| {
                let End::Branch { condition, .. } = &graph[*block].end else { return None };
                self.is_decided_by_clock(condition)
            });
            if let Some((asked, period)) = decided {
                let statement = entry.statement(asked);
                self.push(HazardKind::ClockDecides, asked, statement, Some(period.variable), out);
                if let Some(one) = out.last_mut() {
                    one.detail = format!("{} seconds", period.seconds);
                    if !one.needs_open.is_empty() {
                        one.needs = Need::Unwritten;
                    }
                }
                return;
            }
        }
    }

    /// The comparison of the block's time with a moment that a short while was added to, where that is the condition.
    fn is_decided_by_clock(&self, condition: &Operand) -> Option<(At, Period)> {
        let entry = self.entry;
        let made = entry.made_by(condition);
        let asked = made.iter().copied().find(|at| {
            matches!(&entry.statement(*at).kind, StatementKind::Assign { value: Rvalue::Binary(op, ..), .. } if op.is_comparison())
        })?;
        let StatementKind::Assign { value: Rvalue::Binary(_, left, right), .. } =
            &entry.statement(asked).kind
        else {
            return None;
        };
        let mut has_clock = false;
        let mut moments = 0;
        let mut periods = Vec::new();
        let mut open = vec![left.clone(), right.clone()];
        while let Some(operand) = open.pop() {
            match entry.canonical(&operand) {
                Operand::Environment(Environment::Block("timestamp")) => has_clock = true,
                Operand::Constant(constant) => periods.extend(self.period(&constant)),
                Operand::Local(id) => match entry.only_definition(id).map(|one| &one.kind) {
                    Some(StatementKind::Assign {
                        value:
                            Rvalue::Binary(BinaryOp::Add | BinaryOp::Sub, left, right)
                            | Rvalue::Wrapping(BinaryOp::Add | BinaryOp::Sub, left, right),
                        ..
                    }) => open.extend([left.clone(), right.clone()]),
                    Some(StatementKind::Load { place, .. }) => match self.declared_period(place) {
                        Some(period) => periods.push(period),
                        // How long a caller waits for what is theirs decides about nobody else.
                        None if entry.place_dependencies(place).contains(source::SENDER) => {
                            return None;
                        }
                        None => moments += 1,
                    },
                    _ => return None,
                },
                _ => return None,
            }
        }
        let [period] = periods.as_slice() else { return None };
        let is_short = (1..=WINDOW_S).contains(&period.seconds);
        (has_clock && moments == 1 && is_short).then(|| (asked, periods.remove(0)))
    }

    fn period(&self, constant: &Constant) -> Option<Period> {
        let seconds = match constant {
            Constant::Number(text) => {
                let (number, unit) = text.split_once(' ').unwrap_or((text, "seconds"));
                seconds(number, Some(unit))?
            }
            Constant::Variable(id) => {
                literal_seconds(self.entry.program.variable(*id).init.as_ref()?)?
            }
            _ => return None,
        };
        Some(Period { seconds, variable: Vec::new() })
    }

    /// A variable that is declared with a length of time.
    fn declared_period(&self, place: &Place) -> Option<Period> {
        let (Root::Variable(id), true) = (&place.root, place.path.is_empty()) else { return None };
        let seconds = literal_seconds(self.entry.program.variable(*id).init.as_ref()?)?;
        Some(Period { seconds, variable: vec![StateKey::Variable(*id, None)] })
    }
}

fn literal_seconds(expr: &Expr) -> Option<u64> {
    match &expr.kind {
        ExprKind::Number(number, unit) => seconds(number, unit.as_deref()),
        _ => None,
    }
}

fn seconds(number: &str, unit: Option<&str>) -> Option<u64> {
    let factor = match unit.unwrap_or("seconds") {
        "seconds" => 1,
        "minutes" => 60,
        "hours" => 3_600,
        "days" => 86_400,
        "weeks" => 604_800,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}
