//! Statements, calls, and the ends of blocks.

use super::super::super::ir::*;
use super::super::PURE;
use super::{Read, Reader, Way};
use crate::syntax::ast::{BinaryOp, UnaryOp};

impl Reader<'_> {
    pub(super) fn end(&mut self) -> Read<Option<(End, Way)>> {
        let start = self.at;
        let simple = match self.word() {
            "end" => Some(End::Goto),
            "return" => Some(End::Return),
            "revert" => Some(End::Revert),
            "stop" => Some(End::Stop),
            _ => None,
        };
        if let Some(end) = simple
            && self.rest().is_empty()
        {
            return Ok(Some((end, Way::End)));
        }
        self.at = start;
        if self.eat("goto ") {
            let label = self.target();
            return Ok(Some((End::Goto, Way::Goto(label))));
        }
        if self.eat("if ") {
            let condition = self.operand(0)?;
            self.expect(" then ")?;
            let yes = self.target();
            self.expect(" else ")?;
            let no = self.target();
            let (span, _) = self.span()?;
            return Ok(Some((End::Branch { condition, span }, Way::Branch { yes, no })));
        }
        Ok(None)
    }

    pub(super) fn target(&mut self) -> String {
        if self.eat("?") { "?".to_owned() } else { self.word().to_owned() }
    }

    pub(super) fn statement(&mut self) -> Read<Statement> {
        let kind = self.statement_kind()?;
        let (span, frame) = self.span()?;
        Ok(Statement { kind, span, frame })
    }

    pub(super) fn statement_kind(&mut self) -> Read<StatementKind> {
        if self.eat("store ") {
            let place = self.place(0)?;
            self.expect(" = ")?;
            return Ok(StatementKind::Store { place, value: self.operand(0)? });
        }
        if self.eat("emit ") {
            let event = self.word().to_owned();
            return Ok(StatementKind::Emit { event, args: self.arguments()? });
        }
        let start = self.at;
        match self.word() {
            "_" => return Ok(StatementKind::Placeholder),
            "unknown" => return Ok(StatementKind::Unknown),
            _ => self.at = start,
        }
        let mut results = Vec::new();
        if let Some(first) = self.local_here() {
            results.push(first);
            while self.eat(", ") {
                results.push(self.local()?);
            }
            self.expect(" = ")?;
        }
        if let [target] = results.as_slice() {
            let target = *target;
            if self.eat("load ") {
                return Ok(StatementKind::Load { target, place: self.place(0)? });
            }
            if let Some(value) = self.rvalue()? {
                return Ok(StatementKind::Assign { target, value });
            }
        }
        Ok(StatementKind::Call(Box::new(self.call(results)?)))
    }

    /// What is assigned; `None` where a call stands.
    pub(super) fn rvalue(&mut self) -> Read<Option<Rvalue>> {
        let start = self.at;
        let word = self.path();
        if self.rest().starts_with('(') {
            let unary = match word {
                "not" => Some(UnaryOp::Not),
                "bitnot" => Some(UnaryOp::BitNot),
                "negate" => Some(UnaryOp::Negate),
                _ => None,
            };
            if let Some(op) = unary {
                return Ok(Some(Rvalue::Unary(op, self.one_argument()?)));
            }
            if word == "cast" {
                return Ok(Some(Rvalue::Cast(self.one_argument()?)));
            }
            if let Some(name) = PURE.iter().find(|known| **known == word) {
                return Ok(Some(Rvalue::Pure(name, self.arguments()?)));
            }
        }
        self.at = start;
        if self.is_call() {
            return Ok(None);
        }
        let left = self.operand(0)?;
        let Some(rest) = self.rest().strip_prefix(' ') else { return Ok(Some(Rvalue::Use(left))) };
        let symbol = rest.split(' ').next().unwrap_or("");
        let (op, is_wrapping) = match binary(symbol) {
            Some(op) => (op, false),
            None => match symbol.strip_suffix('%').and_then(binary) {
                Some(op) => (op, true),
                None => return Ok(Some(Rvalue::Use(left))),
            },
        };
        self.at += 1 + symbol.len();
        self.expect(" ")?;
        let right = self.operand(0)?;
        Ok(Some(if is_wrapping {
            Rvalue::Wrapping(op, left, right)
        } else {
            Rvalue::Binary(op, left, right)
        }))
    }

    /// Whether a call stands here, rather than an operand: names that could be taken for one never stand alone.
    pub(super) fn is_call(&self) -> bool {
        let word_end = self.rest().find([' ', '(', '{']).unwrap_or(self.rest().len());
        let (word, rest) = self.rest().split_at(word_end);
        let is_keyword = matches!(
            word,
            "call"
                | "staticcall"
                | "delegatecall"
                | "transfer"
                | "send"
                | "new"
                | "selfdestruct"
                | "unresolved"
                | "external"
                | "pointer"
                | "virtual"
                | "super"
        );
        let is_operand = matches!(word, "number" | "fn") || word.starts_with(['"', '&']);
        let is_called = rest.starts_with(['(', '{']) || rest.starts_with(" on ");
        is_keyword || (!is_operand && is_called)
    }

    pub(super) fn call(&mut self, results: Vec<LocalId>) -> Read<Call> {
        let kind = self.call_kind()?;
        let callee = if self.eat(" on ") { Some(self.operand(0)?) } else { None };
        let mut call = Call::new(kind, Vec::new());
        call.callee = callee;
        call.results = results;
        call.args = self.arguments()?;
        if self.eat(" value ") {
            call.value = Some(self.operand(0)?);
        }
        if self.eat(" gas stipend") {
            call.gas = Gas::Stipend;
        } else if self.eat(" gas ") {
            call.gas = Gas::Limited(self.operand(0)?);
        }
        call.may_fail = self.eat(" may fail");
        Ok(call)
    }

    pub(super) fn call_kind(&mut self) -> Read<CallKind> {
        if self.eat("virtual ") {
            return Ok(CallKind::Internal(self.function()?, Dispatch::Virtual));
        }
        if self.eat("super(") {
            let after = self.contract()?;
            self.expect(") ")?;
            return Ok(CallKind::Internal(self.function()?, Dispatch::Super(after)));
        }
        if self.eat("pointer ") {
            return Ok(CallKind::Pointer(self.operand(0)?));
        }
        if self.eat("external ") {
            return self.external();
        }
        if self.eat("unresolved ") {
            return Ok(CallKind::Unresolved(self.string()?));
        }
        if self.eat("new ?") {
            return Ok(CallKind::New(None));
        }
        if self.eat("new ") {
            return Ok(CallKind::New(Some(self.contract()?)));
        }
        let start = self.at;
        let kind = match self.word() {
            "call" => CallKind::LowLevel,
            "staticcall" => CallKind::StaticCall,
            "delegatecall" => CallKind::DelegateCall,
            "transfer" => CallKind::Transfer,
            "send" => CallKind::Send,
            "selfdestruct" => CallKind::SelfDestruct,
            _ => {
                self.at = start;
                CallKind::Internal(self.function()?, Dispatch::Static)
            }
        };
        Ok(kind)
    }

    pub(super) fn external(&mut self) -> Read<CallKind> {
        let is_view = self.eat("view ");
        if self.eat("fn ") {
            let id = self.function()?;
            let name = self.names.program.function(id).name.clone();
            return Ok(CallKind::External { target: Some(id), name, is_view });
        }
        let name = self.string()?;
        let target = if self.eat(" fn ") { Some(self.function()?) } else { None };
        Ok(CallKind::External { target, name, is_view })
    }

    pub(super) fn arguments(&mut self) -> Read<Vec<Operand>> {
        self.expect("(")?;
        let mut out = Vec::new();
        if self.eat(")") {
            return Ok(out);
        }
        loop {
            out.push(self.operand(0)?);
            if self.eat(")") {
                return Ok(out);
            }
            self.expect(", ")?;
        }
    }

    pub(super) fn one_argument(&mut self) -> Read<Operand> {
        self.expect("(")?;
        let operand = self.operand(0)?;
        self.expect(")")?;
        Ok(operand)
    }
}

fn binary(symbol: &str) -> Option<BinaryOp> {
    use BinaryOp::*;
    [Add, Sub, Mul, Div, Mod, Pow, Shl, Shr, BitAnd, BitOr, BitXor, And, Or, Eq, Ne, Lt, Le, Gt, Ge]
        .into_iter()
        .find(|op| op.symbol() == symbol)
}
