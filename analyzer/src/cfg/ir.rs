//! The intermediate representation.

use petgraph::graph::{DiGraph, NodeIndex};

use crate::hir::{ContractId, FunctionId, Type, VariableId};
use crate::syntax::Span;
use crate::syntax::ast::{BinaryOp, Location, UnaryOp};

/// A local variable or temporary: a position in [`Body::locals`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LocalId(pub(crate) u32);

impl LocalId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Local {
    /// `None` for temporaries.
    pub(crate) name: Option<String>,
    pub(crate) ty: Type,
    pub(crate) location: Option<Location>,
    pub(crate) is_param: bool,
}

/// The inlined call that a statement belongs to: a position in the frames of a view; 0 elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct FrameId(pub(crate) u32);

/// One lowered body. The graph holds the body itself and, apart from it, the code that computes the
/// arguments of each modifier.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    pub(crate) graph: DiGraph<Block, Edge>,
    pub(crate) entry: NodeIndex,
    pub(crate) locals: Vec<Local>,
    pub(crate) params: Vec<LocalId>,
    pub(crate) returns: Vec<LocalId>,
    pub(crate) modifiers: Vec<ModifierUse>,
    /// Some of the body could not be read.
    pub(crate) is_partial: bool,
}

/// A modifier or base constructor that a function names, with the code of its arguments.
#[derive(Debug, Clone)]
pub(crate) struct ModifierUse {
    pub(crate) target: ModifierTarget,
    pub(crate) args: Vec<Operand>,
    /// First and last block of the code of the arguments.
    pub(crate) code: (NodeIndex, NodeIndex),
    pub(crate) span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ModifierTarget {
    /// Dispatched in the view of the most derived contract.
    Modifier(FunctionId),
    BaseConstructor(ContractId),
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Edge {
    Next,
    True,
    False,
}

#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub(crate) statements: Vec<Statement>,
    pub(crate) end: End,
}

/// How a block ends.
#[derive(Debug, Clone)]
pub(crate) enum End {
    /// One successor, or none yet.
    Goto,
    /// Two successors by [`Edge::True`] and [`Edge::False`].
    Branch { condition: Operand, span: Span },
    /// Leaves the function (or modifier) normally.
    Return,
    /// Undoes everything.
    Revert,
    /// Ends the call frame successfully.
    Stop,
}

#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) kind: StatementKind,
    pub(crate) span: Span,
    pub(crate) frame: FrameId,
}

#[derive(Debug, Clone)]
pub(crate) enum StatementKind {
    Assign {
        target: LocalId,
        value: Rvalue,
    },
    Load {
        target: LocalId,
        place: Place,
    },
    Store {
        place: Place,
        value: Operand,
    },
    Call(Box<Call>),
    Emit {
        event: String,
        args: Vec<Operand>,
    },
    /// The rest of the function that a modifier wraps.
    Placeholder,
    /// Something that could not be read; it may do anything.
    Unknown,
}

#[derive(Debug, Clone)]
pub(crate) enum Rvalue {
    Use(Operand),
    Unary(UnaryOp, Operand),
    Binary(BinaryOp, Operand, Operand),
    /// Arithmetic that overflows without a word: assembly, `unchecked`, and everything before 0.8.
    Wrapping(BinaryOp, Operand, Operand),
    /// A change of type that keeps the value.
    Cast(Operand),
    /// A pure function of its operands: hashes, encodings, memory elements.
    Pure(&'static str, Vec<Operand>),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operand {
    Local(LocalId),
    Constant(Constant),
    Environment(Environment),
    /// A reference to a place in storage.
    Storage(Box<Place>),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Constant {
    Bool(bool),
    /// As written, with its unit.
    Number(String),
    Text(String),
    /// A constant or immutable variable.
    Variable(VariableId),
    Function(FunctionId),
    /// The value of an uninitialised variable.
    Default,
    /// A value that could not be resolved.
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Environment {
    Sender,
    Origin,
    Value,
    Data,
    /// `this`.
    This,
    /// Properties of the block or transaction: timestamp, number, hash, base fee, gas.
    Block(&'static str),
}

/// A place in storage or transient storage.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) root: Root,
    pub(crate) path: Vec<Key>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Root {
    Variable(VariableId),
    /// Whatever a local storage reference points to.
    Reference(LocalId),
    /// A slot that is computed; the flag tells transient storage.
    Slot(Operand, bool),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Index(Operand),
    Field(String),
    Length,
}

#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) kind: CallKind,
    /// The account that is called; the target function's receiver for attached functions is in `args`.
    pub(crate) callee: Option<Operand>,
    pub(crate) args: Vec<Operand>,
    /// Ether sent along, in wei.
    pub(crate) value: Option<Operand>,
    pub(crate) gas: Gas,
    pub(crate) results: Vec<LocalId>,
    /// The call failing does not undo the caller (`try`, low-level calls, `send`).
    pub(crate) may_fail: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CallKind {
    /// Code of this contract or of an internal library function.
    Internal(FunctionId, Dispatch),
    /// A function pointer.
    Pointer(Operand),
    /// A function of another contract; the target is known where its declaration was found.
    External {
        target: Option<FunctionId>,
        name: String,
        is_view: bool,
    },
    LowLevel,
    StaticCall,
    DelegateCall,
    Transfer,
    Send,
    New(Option<ContractId>),
    SelfDestruct,
    /// The callee was not found.
    Unresolved(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dispatch {
    /// Exactly this function.
    Static,
    /// Its most derived override.
    Virtual,
    /// The next implementation after this contract in the linearisation.
    Super(ContractId),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Gas {
    /// All but a 64th.
    Forwarded,
    /// 2300, too little to write or to call back.
    Stipend,
    /// An explicit amount.
    Limited(Operand),
}

impl Call {
    /// A call with nothing but its kind and arguments.
    pub(crate) fn new(kind: CallKind, args: Vec<Operand>) -> Self {
        Self {
            kind,
            callee: None,
            args,
            value: None,
            gas: Gas::Forwarded,
            results: Vec::new(),
            may_fail: false,
        }
    }
}

impl Place {
    pub(crate) fn variable(id: VariableId) -> Self {
        Self { root: Root::Variable(id), path: Vec::new() }
    }

    /// This place extended by one step.
    #[must_use]
    pub(crate) fn then(mut self, key: Key) -> Self {
        self.path.push(key);
        self
    }
}

impl Operand {
    pub(crate) fn number(text: &str) -> Self {
        Operand::Constant(Constant::Number(text.to_owned()))
    }

    pub(crate) fn unknown() -> Self {
        Operand::Constant(Constant::Unknown)
    }
}

impl Statement {
    /// Calls `visit` with every operand the statement reads, keys of places included.
    pub(crate) fn each_operand<'a>(&'a self, visit: &mut dyn FnMut(&'a Operand)) {
        match &self.kind {
            StatementKind::Assign { value, .. } => value.each_operand(visit),
            StatementKind::Load { place, .. } => place.each_operand(visit),
            StatementKind::Store { place, value } => {
                place.each_operand(visit);
                visit(value);
            }
            StatementKind::Call(call) => {
                call.callee.iter().chain(&call.args).chain(&call.value).for_each(&mut *visit);
                if let Gas::Limited(gas) = &call.gas {
                    visit(gas);
                }
                if let CallKind::Pointer(pointer) = &call.kind {
                    visit(pointer);
                }
            }
            StatementKind::Emit { args, .. } => args.iter().for_each(visit),
            StatementKind::Placeholder | StatementKind::Unknown => {}
        }
    }
}

impl Rvalue {
    pub(crate) fn each_operand<'a>(&'a self, visit: &mut dyn FnMut(&'a Operand)) {
        match self {
            Rvalue::Use(operand) | Rvalue::Unary(_, operand) | Rvalue::Cast(operand) => {
                visit(operand)
            }
            Rvalue::Binary(_, left, right) | Rvalue::Wrapping(_, left, right) => {
                visit(left);
                visit(right);
            }
            Rvalue::Pure(_, operands) => operands.iter().for_each(visit),
        }
    }
}

impl Place {
    pub(crate) fn each_operand<'a>(&'a self, visit: &mut dyn FnMut(&'a Operand)) {
        if let Root::Slot(operand, _) = &self.root {
            visit(operand);
        }
        for key in &self.path {
            if let Key::Index(operand) = key {
                visit(operand);
            }
        }
    }
}
