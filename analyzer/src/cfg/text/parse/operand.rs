//! Operands and places, and the names in them.

use super::super::super::ir::*;
use super::super::BLOCK;
use super::{MAX_DEPTH, Read, Reader};
use crate::hir::{ContractId, FunctionId, VariableId};

impl Reader<'_> {
    pub(super) fn operand(&mut self, depth: u32) -> Read<Operand> {
        if depth > MAX_DEPTH {
            return Err(self.error("an operand that is nested less deeply"));
        }
        if let Some(id) = self.local_here() {
            return Ok(Operand::Local(id));
        }
        if self.eat("&") {
            return Ok(Operand::Storage(Box::new(self.place(depth + 1)?)));
        }
        if self.eat("?") {
            return Ok(Operand::unknown());
        }
        if self.rest().starts_with('"') {
            return Ok(Operand::Constant(Constant::Text(self.string()?)));
        }
        if self.eat("number(") {
            let number = self.string()?;
            self.expect(")")?;
            return Ok(Operand::Constant(Constant::Number(number)));
        }
        if self.eat("fn ") {
            return Ok(Operand::Constant(Constant::Function(self.function()?)));
        }
        if let Some(number) = self.number() {
            return Ok(Operand::Constant(Constant::Number(number)));
        }
        let start = self.at;
        let environment = match self.path() {
            "true" => return Ok(Operand::Constant(Constant::Bool(true))),
            "false" => return Ok(Operand::Constant(Constant::Bool(false))),
            "zero" => return Ok(Operand::Constant(Constant::Default)),
            "msg.sender" => Some(Environment::Sender),
            "tx.origin" => Some(Environment::Origin),
            "msg.value" => Some(Environment::Value),
            "msg.data" => Some(Environment::Data),
            "this" => Some(Environment::This),
            path => path.strip_prefix("block.").and_then(|name| {
                let known = BLOCK.iter().find(|known| **known == name);
                known.map(|known| Environment::Block(known))
            }),
        };
        if let Some(environment) = environment {
            return Ok(Operand::Environment(environment));
        }
        self.at = start;
        Ok(Operand::Constant(Constant::Variable(self.variable()?)))
    }

    pub(super) fn place(&mut self, depth: u32) -> Read<Place> {
        if depth > MAX_DEPTH {
            return Err(self.error("a place that is nested less deeply"));
        }
        let root = if self.eat("*") {
            Root::Reference(self.local()?)
        } else if self.eat("slot(") {
            self.slot(false, depth)?
        } else if self.eat("tslot(") {
            self.slot(true, depth)?
        } else {
            Root::Variable(self.variable()?)
        };
        let mut path = Vec::new();
        loop {
            if self.eat("[") {
                path.push(Key::Index(self.operand(depth + 1)?));
                self.expect("]")?;
            } else if self.eat(".field(length)") {
                path.push(Key::Field("length".to_owned()));
            } else if self.rest().starts_with('.') {
                self.at += 1;
                match self.word() {
                    "" => return Err(self.error("the name of a field")),
                    "length" => path.push(Key::Length),
                    name => path.push(Key::Field(name.to_owned())),
                }
            } else {
                return Ok(Place { root, path });
            }
        }
    }

    pub(super) fn slot(&mut self, is_transient: bool, depth: u32) -> Read<Root> {
        let operand = self.operand(depth + 1)?;
        self.expect(")")?;
        Ok(Root::Slot(operand, is_transient))
    }

    pub(super) fn variable(&mut self) -> Read<VariableId> {
        let start = self.at;
        let first = self.counted();
        if !self.eat("::") {
            if let Some(id) = self.scope.get(first) {
                return Ok(*id);
            }
            self.at = start;
            return Err(self.error("an operand: a local, a variable in scope, a constant"));
        }
        self.counted();
        let path = &self.text[start..self.at];
        match self.names.find_variable(path) {
            Some(id) => Ok(id),
            None => {
                self.at = start;
                Err(self.error("a variable of the program"))
            }
        }
    }

    pub(super) fn contract(&mut self) -> Read<ContractId> {
        let start = self.at;
        let name = self.counted();
        let found = self.names.find_contract(name);
        found.ok_or_else(|| {
            self.at = start;
            self.error("a contract of the program")
        })
    }

    pub(super) fn function(&mut self) -> Read<FunctionId> {
        let start = self.at;
        self.eat("::");
        self.counted();
        if self.eat(".") {
            self.counted();
        }
        if self.rest().starts_with('{') {
            let end = self.rest().find('}');
            self.at += end.map_or(0, |end| end + 1);
            self.counted();
        }
        let name = &self.text[start..self.at];
        match self.names.find_function(name) {
            Some(id) => Ok(id),
            None => {
                self.at = start;
                Err(self.error("a function of the program"))
            }
        }
    }

    pub(super) fn local(&mut self) -> Read<LocalId> {
        self.local_here().ok_or_else(|| self.error("a local that is declared above"))
    }

    /// The local that stands here: the longest one, as its name may hold dots and a field may follow.
    pub(super) fn local_here(&mut self) -> Option<LocalId> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '.' | '%');
        let rest = self.rest();
        let mut end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        while end > 0 {
            if let Some(id) = self.by_name.get(&rest[..end]) {
                self.at += end;
                return Some(*id);
            }
            end = rest[..end].rfind('.')?;
        }
        None
    }
}
