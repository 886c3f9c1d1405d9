//! Grows a body block by block.

use petgraph::graph::{DiGraph, NodeIndex};

use super::ir::*;
use crate::hir::Type;
use crate::syntax::Span;

pub(crate) struct Builder {
    pub(crate) graph: DiGraph<Block, Edge>,
    pub(crate) locals: Vec<Local>,
    /// Where the next statement goes.
    pub(crate) at: NodeIndex,
}

impl Builder {
    pub(crate) fn new() -> Self {
        let mut graph = DiGraph::new();
        let at = graph.add_node(empty_block());
        Self { graph, locals: Vec::new(), at }
    }

    pub(crate) fn block(&mut self) -> NodeIndex {
        self.graph.add_node(empty_block())
    }

    pub(crate) fn local(&mut self, name: Option<&str>, ty: Type) -> LocalId {
        let id =
            LocalId(u32::try_from(self.locals.len()).expect("a body of 16 MiB has fewer locals"));
        self.locals.push(Local {
            name: name.map(str::to_owned),
            ty,
            location: None,
            is_param: false,
        });
        id
    }

    pub(crate) fn push(&mut self, kind: StatementKind, span: Span) {
        self.graph[self.at].statements.push(Statement { kind, span, frame: FrameId(0) });
    }

    /// Assigns to a fresh temporary and returns it.
    pub(crate) fn compute(&mut self, value: Rvalue, ty: Type, span: Span) -> Operand {
        let target = self.local(None, ty);
        self.push(StatementKind::Assign { target, value }, span);
        Operand::Local(target)
    }

    pub(crate) fn load(&mut self, place: Place, ty: Type, span: Span) -> Operand {
        let target = self.local(None, ty);
        self.push(StatementKind::Load { target, place }, span);
        Operand::Local(target)
    }

    /// Ends the current block with a jump and goes on in `next`.
    pub(crate) fn goto(&mut self, next: NodeIndex) {
        self.graph.add_edge(self.at, next, Edge::Next);
        self.at = next;
    }

    pub(crate) fn jump(&mut self, target: NodeIndex) {
        self.graph.add_edge(self.at, target, Edge::Next);
        self.at = self.block();
    }

    /// Ends the current block with a branch; the current block is then undefined until set.
    pub(crate) fn branch(&mut self, condition: Operand, yes: NodeIndex, no: NodeIndex, span: Span) {
        self.graph[self.at].end = End::Branch { condition, span };
        self.graph.add_edge(self.at, yes, Edge::True);
        self.graph.add_edge(self.at, no, Edge::False);
    }

    /// Ends the current block for good; what follows is unreachable.
    pub(crate) fn end(&mut self, end: End) {
        self.graph[self.at].end = end;
        self.at = self.block();
    }
}

fn empty_block() -> Block {
    Block { statements: Vec::new(), end: End::Goto }
}
