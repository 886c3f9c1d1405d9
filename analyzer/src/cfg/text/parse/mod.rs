//! Text to bodies.

mod cursor;
mod operand;
mod statement;
mod types;

use std::collections::BTreeMap;

use petgraph::graph::{DiGraph, NodeIndex};

use super::super::ir::*;
use super::Names;
use crate::hir::{ContractId, VariableId};
use crate::syntax::ast::Location;

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
}

fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '$'))
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '.'))
}
