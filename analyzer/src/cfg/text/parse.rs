//! Text to bodies.

use std::collections::BTreeMap;

use petgraph::graph::{DiGraph, NodeIndex};

use super::super::ir::*;
use super::{BLOCK, Names, PURE, UNITS};
use crate::hir::{ArrayLength, ContractId, FunctionId, FunctionType, Type, VariableId};
use crate::syntax::ast::{BinaryOp, Location, UnaryOp};
use crate::syntax::{FileId, Span};

/// Operands are read no deeper than this, and a type has no more parts: each level is a call on the stack, here
/// and wherever the value is walked or dropped.
const MAX_DEPTH: u32 = 200;

/// Text that is no body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: expected {expected}")]
pub struct IrError {
    /// From 1.
    pub line: usize,
    /// From 1, in bytes.
    pub column: usize,
    /// What would have been right there.
    pub expected: String,
}

type Read<T> = Result<T, IrError>;

/// Reads what [`super::Printer::document`] prints; names are those of the program.
///
/// The context that the text names is given back with the body.
pub(crate) fn parse(names: &Names<'_>, text: &str) -> Read<(Option<ContractId>, Body)> {
    let mut reader = Reader {
        context: None,
        names,
        scope: BTreeMap::new(),
        locals: Vec::new(),
        by_name: BTreeMap::new(),
        n_parts: 0,
        text: "",
        at: 0,
        line: 0,
    };
    let body = reader.body(text)?;
    Ok((reader.context, body))
}

/// Where a block leads, by label, until all labels are known.
enum Way {
    End,
    Goto(String),
    Branch { yes: String, no: String },
}

struct Reader<'a> {
    context: Option<ContractId>,
    names: &'a Names<'a>,
    scope: BTreeMap<&'a str, VariableId>,
    locals: Vec<Local>,
    by_name: BTreeMap<String, LocalId>,
    /// The parts of the type that is being read.
    n_parts: u32,
    /// The current line.
    text: &'a str,
    at: usize,
    line: usize,
}

impl<'a> Reader<'a> {
    fn body(&mut self, text: &'a str) -> Read<Body> {
        let mut graph: DiGraph<Block, Edge> = DiGraph::new();
        let mut nodes: BTreeMap<String, NodeIndex> = BTreeMap::new();
        let mut ways: Vec<(NodeIndex, Way, usize)> = Vec::new();
        let mut open: Option<(NodeIndex, usize)> = None;
        let (mut params, mut returns, mut is_partial) = (Vec::new(), Vec::new(), false);
        let mut entry: Option<String> = None;
        let mut modifiers: Vec<(ModifierUse, String, String, usize)> = Vec::new();
        let mut has_context = false;
        for (number, line) in text.lines().enumerate() {
            self.line = number + 1;
            self.text = line.trim_end();
            self.at = self.text.len() - self.text.trim_start().len();
            if self.rest().is_empty() || self.rest().starts_with("//") {
                continue;
            }
            if !has_context {
                self.context()?;
                has_context = true;
                continue;
            }
            if let Some(label) = self.label_line() {
                if let Some((_, line)) = open {
                    return Err(self.error_in(line, "the block to end before the next one"));
                }
                let node = graph.add_node(Block { statements: Vec::new(), end: End::Goto });
                if nodes.insert(label.to_owned(), node).is_some() {
                    return Err(self.error("a label that no other block has"));
                }
                open = Some((node, self.line));
                continue;
            }
            match open {
                Some((node, _)) => {
                    if let Some((end, way)) = self.end()? {
                        graph[node].end = end;
                        ways.push((node, way, self.line));
                        open = None;
                    } else {
                        let statement = self.statement()?;
                        graph[node].statements.push(statement);
                    }
                }
                None if !nodes.is_empty() => return Err(self.error("a label such as `bb1:`")),
                None if self.eat("local ") => self.local_line()?,
                None if self.eat("params ") => params = self.local_list()?,
                None if self.eat("returns ") => returns = self.local_list()?,
                None if self.eat("partial") => is_partial = true,
                None if self.eat("entry ") => entry = Some(self.word().to_owned()),
                None if self.eat("modifier ") => modifiers.push(self.modifier()?),
                None => return Err(self.error("a declaration or a label such as `bb0:`")),
            }
            self.finished()?;
        }
        if let Some((_, line)) = open {
            return Err(self.error_in(line, "the block to end"));
        }
        let find = |label: &str, line: usize| match nodes.get(label) {
            Some(node) => Ok(*node),
            None => Err(IrError {
                line,
                column: 1,
                expected: format!("a block that is called `{label}`"),
            }),
        };
        for (node, way, line) in ways {
            let mut lead = |label: &str, edge: Edge| -> Read<()> {
                // A way that leads nowhere is printed as such.
                if label != "?" {
                    graph.add_edge(node, find(label, line)?, edge);
                }
                Ok(())
            };
            match way {
                Way::End => {}
                Way::Goto(label) => lead(&label, Edge::Next)?,
                Way::Branch { yes, no } => {
                    lead(&yes, Edge::True)?;
                    lead(&no, Edge::False)?;
                }
            }
        }
        let line = self.line.max(1);
        let Some(entry) = entry else {
            return Err(self.error_in(line, "a line `entry bb0`"));
        };
        let entry = find(&entry, line)?;
        let modifiers = modifiers
            .into_iter()
            .map(|(used, from, to, line)| {
                Ok(ModifierUse { code: (find(&from, line)?, find(&to, line)?), ..used })
            })
            .collect::<Read<Vec<_>>>()?;
        let locals = std::mem::take(&mut self.locals);
        Ok(Body { graph, entry, locals, params, returns, modifiers, is_partial })
    }

    fn context(&mut self) -> Read<()> {
        self.expect("on ")?;
        let name = self.counted();
        let context: Option<ContractId> =
            if name == "nothing" {
                None
            } else {
                let found = self.names.find_contract(name);
                Some(found.ok_or_else(|| {
                    self.error("`on` and a contract of the program, or `nothing`")
                })?)
            };
        self.scope = self.names.in_scope(context);
        self.context = context;
        self.finished()
    }

    /// `bb0:`.
    fn label_line(&self) -> Option<&'a str> {
        let label = self.rest().strip_suffix(':')?;
        let digits = label.strip_prefix("bb")?;
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then_some(label)
    }

    fn local_line(&mut self) -> Read<()> {
        let Some((name, _)) = self.rest().split_once(": ") else {
            return Err(self.error("a name, a colon and a type"));
        };
        let id = u32::try_from(self.locals.len()).unwrap_or(u32::MAX);
        let own = match name.rsplit_once('.') {
            Some((own, number)) if number == id.to_string() && is_identifier(own) => Some(own),
            None if name == format!("%{id}") => None,
            _ => {
                return Err(
                    self.error(&format!("a local with the number {id}: `%{id}` or `name.{id}`"))
                );
            }
        };
        self.by_name.insert(name.to_owned(), LocalId(id));
        self.at += name.len() + 2;
        self.n_parts = 0;
        let ty = self.ty()?;
        let location = match () {
            () if self.eat(" memory") => Some(Location::Memory),
            () if self.eat(" storage") => Some(Location::Storage),
            () if self.eat(" calldata") => Some(Location::Calldata),
            () => None,
        };
        let is_param = self.eat(" param");
        self.locals.push(Local { name: own.map(str::to_owned), ty, location, is_param });
        Ok(())
    }

    fn local_list(&mut self) -> Read<Vec<LocalId>> {
        let mut out = vec![self.local()?];
        while self.eat(", ") {
            out.push(self.local()?);
        }
        Ok(out)
    }

    fn modifier(&mut self) -> Read<(ModifierUse, String, String, usize)> {
        let target = if self.eat("?") {
            ModifierTarget::Unknown
        } else if self.eat("base ") {
            ModifierTarget::BaseConstructor(self.contract()?)
        } else {
            ModifierTarget::Modifier(self.function()?)
        };
        let args = self.arguments()?;
        self.expect(" from ")?;
        let from = self.word().to_owned();
        self.expect(" to ")?;
        let to = self.word().to_owned();
        let (span, _) = self.span()?;
        let code = (NodeIndex::new(0), NodeIndex::new(0));
        Ok((ModifierUse { target, args, code, span }, from, to, self.line))
    }

    fn end(&mut self) -> Read<Option<(End, Way)>> {
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

    fn target(&mut self) -> String {
        if self.eat("?") { "?".to_owned() } else { self.word().to_owned() }
    }

    fn statement(&mut self) -> Read<Statement> {
        let kind = self.statement_kind()?;
        let (span, frame) = self.span()?;
        Ok(Statement { kind, span, frame })
    }

    fn statement_kind(&mut self) -> Read<StatementKind> {
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
    fn rvalue(&mut self) -> Read<Option<Rvalue>> {
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
    fn is_call(&self) -> bool {
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

    fn call(&mut self, results: Vec<LocalId>) -> Read<Call> {
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

    fn call_kind(&mut self) -> Read<CallKind> {
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

    fn external(&mut self) -> Read<CallKind> {
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

    fn arguments(&mut self) -> Read<Vec<Operand>> {
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

    fn one_argument(&mut self) -> Read<Operand> {
        self.expect("(")?;
        let operand = self.operand(0)?;
        self.expect(")")?;
        Ok(operand)
    }

    fn operand(&mut self, depth: u32) -> Read<Operand> {
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

    fn place(&mut self, depth: u32) -> Read<Place> {
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

    fn slot(&mut self, is_transient: bool, depth: u32) -> Read<Root> {
        let operand = self.operand(depth + 1)?;
        self.expect(")")?;
        Ok(Root::Slot(operand, is_transient))
    }

    fn variable(&mut self) -> Read<VariableId> {
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

    fn contract(&mut self) -> Read<ContractId> {
        let start = self.at;
        let name = self.counted();
        let found = self.names.find_contract(name);
        found.ok_or_else(|| {
            self.at = start;
            self.error("a contract of the program")
        })
    }

    fn function(&mut self) -> Read<FunctionId> {
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

    fn local(&mut self) -> Read<LocalId> {
        self.local_here().ok_or_else(|| self.error("a local that is declared above"))
    }

    /// The local that stands here: the longest one, as its name may hold dots and a field may follow.
    fn local_here(&mut self) -> Option<LocalId> {
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

    fn number(&mut self) -> Option<String> {
        let rest = self.rest();
        let digits = rest.strip_prefix('-').unwrap_or(rest);
        if !digits.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let sign = rest.len() - digits.len();
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '.';
        let mut end = sign + digits.find(|c| !is_part(c)).unwrap_or(digits.len());
        if let Some(behind) = rest[end..].strip_prefix(' ') {
            let unit = behind.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(behind.len());
            if UNITS.contains(&&behind[..unit]) {
                end += 1 + unit;
            }
        }
        self.at += end;
        Some(rest[..end].to_owned())
    }

    /// A text in quotes, with the escapes of Rust.
    fn string(&mut self) -> Read<String> {
        self.expect("\"")?;
        let mut out = String::new();
        loop {
            let Some(c) = self.take() else { return Err(self.error("a quote that ends the text")) };
            match c {
                '"' => return Ok(out),
                '\\' => out.push(self.escaped()?),
                c => out.push(c),
            }
        }
    }

    fn escaped(&mut self) -> Read<char> {
        Ok(match self.take() {
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('0') => '\0',
            Some(c @ ('"' | '\'' | '\\')) => c,
            Some('u') => {
                self.expect("{")?;
                let end = self.rest().find('}').ok_or_else(|| self.error("`}`"))?;
                let code = u32::from_str_radix(&self.rest()[..end], 16).ok();
                let c = code.and_then(char::from_u32);
                let c = c.ok_or_else(|| self.error("the number of a character"))?;
                self.at += end + 1;
                c
            }
            _ => return Err(self.error("an escape: one of n, r, t, 0, u, a quote or a backslash")),
        })
    }

    fn ty(&mut self) -> Read<Type> {
        self.count_part()?;
        let mut ty = self.plain_type()?;
        while self.eat("[") {
            self.count_part()?;
            let length = if self.eat("]") {
                ArrayLength::Dynamic
            } else if self.eat("?]") {
                ArrayLength::FixedUnknown
            } else {
                let length = self.word().parse().map_err(|_| self.error("a length"))?;
                self.expect("]")?;
                ArrayLength::Fixed(length)
            };
            ty = Type::Array(Box::new(ty), length);
        }
        Ok(ty)
    }

    fn count_part(&mut self) -> Read<()> {
        self.n_parts += 1;
        if self.n_parts > MAX_DEPTH { Err(self.error("a type with fewer parts")) } else { Ok(()) }
    }

    fn plain_type(&mut self) -> Read<Type> {
        if self.eat("?") {
            return Ok(Type::Unknown);
        }
        if self.rest().starts_with('(') {
            return Ok(Type::Tuple(self.types()?));
        }
        if self.eat("mapping(") {
            let key = self.ty()?;
            self.expect(" => ")?;
            let value = self.ty()?;
            self.expect(")")?;
            return Ok(Type::Mapping(Box::new(key), Box::new(value)));
        }
        let is_external = self.eat("external ");
        if self.eat("function") {
            let params = self.types()?;
            self.expect(" returns ")?;
            let returns = self.types()?;
            return Ok(Type::Function(Box::new(FunctionType { params, returns, is_external })));
        }
        let start = self.at;
        let word = self.word();
        let named = matches!(word, "contract" | "struct" | "enum" | "type") && self.eat(" ");
        let found = if named {
            let name = self.counted();
            match word {
                "contract" => self.names.find_contract(name).map(Type::Contract),
                "struct" => self.names.find_struct(name).map(Type::Struct),
                "enum" => self.names.find_enum(name).map(Type::Enum),
                _ => self.names.find_user_type(name).map(Type::User),
            }
        } else {
            elementary(word)
        };
        found.ok_or_else(|| {
            self.at = start;
            self.error("a type")
        })
    }

    fn types(&mut self) -> Read<Vec<Type>> {
        self.expect("(")?;
        let mut out = Vec::new();
        if self.eat(")") {
            return Ok(out);
        }
        loop {
            out.push(self.ty()?);
            if self.eat(")") {
                return Ok(out);
            }
            self.expect(", ")?;
        }
    }

    /// ` @file:start..end ^frame`, both optional.
    fn span(&mut self) -> Read<(Span, FrameId)> {
        let mut span = Span::default();
        if self.eat(" @") {
            let file = self.decimal()?;
            self.expect(":")?;
            let start = self.decimal()?;
            self.expect("..")?;
            span = Span { file: FileId(file), start, end: self.decimal()? };
        }
        let frame = if self.eat(" ^") { FrameId(self.decimal()?) } else { FrameId(0) };
        Ok((span, frame))
    }

    fn decimal(&mut self) -> Read<u32> {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number = rest[..end].parse().map_err(|_| self.error("a number below 4294967296"))?;
        self.at += end;
        Ok(number)
    }

    /// An identifier, perhaps an empty one.
    fn word(&mut self) -> &'a str {
        self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '$'))
    }

    /// An identifier with dots.
    fn path(&mut self) -> &'a str {
        self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '.'))
    }

    /// An identifier, perhaps with the number that tells it from others: `Token#2`.
    fn counted(&mut self) -> &'a str {
        self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '#'))
    }

    fn take_while(&mut self, is_part: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn take(&mut self) -> Option<char> {
        let c = self.rest().chars().next()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn eat(&mut self, what: &str) -> bool {
        let is_here = self.rest().starts_with(what);
        if is_here {
            self.at += what.len();
        }
        is_here
    }

    fn expect(&mut self, what: &str) -> Read<()> {
        if self.eat(what) { Ok(()) } else { Err(self.error(&format!("`{what}`"))) }
    }

    fn finished(&self) -> Read<()> {
        if self.rest().is_empty() { Ok(()) } else { Err(self.error("the end of the line")) }
    }

    fn error(&self, expected: &str) -> IrError {
        IrError { line: self.line, column: self.at + 1, expected: expected.to_owned() }
    }

    fn error_in(&self, line: usize, expected: &str) -> IrError {
        IrError { line, column: 1, expected: expected.to_owned() }
    }
}

fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '$'))
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '.'))
}

fn elementary(word: &str) -> Option<Type> {
    let width = |digits: &str, most: u16| {
        digits.parse().ok().filter(|width| (1..=most).contains(width) && !digits.starts_with('0'))
    };
    Some(match word {
        "bool" => Type::Bool,
        "address" => Type::Address,
        "bytes" => Type::Bytes,
        "string" => Type::String,
        "number" => Type::Number,
        _ => {
            if let Some(digits) = word.strip_prefix("uint") {
                Type::Uint(width(digits, 256)?)
            } else if let Some(digits) = word.strip_prefix("int") {
                Type::Int(width(digits, 256)?)
            } else {
                let bytes = width(word.strip_prefix("bytes")?, 32)?;
                Type::FixedBytes(u8::try_from(bytes).ok()?)
            }
        }
    })
}

fn binary(symbol: &str) -> Option<BinaryOp> {
    use BinaryOp::*;
    [Add, Sub, Mul, Div, Mod, Pow, Shl, Shr, BitAnd, BitOr, BitXor, And, Or, Eq, Ne, Lt, Le, Gt, Ge]
        .into_iter()
        .find(|op| op.symbol() == symbol)
}
