//! The syntax tree that the rest of the analyzer reads. Types are written as expressions, as the
//! grammar itself cannot tell them apart before names are resolved.

use super::Span;

/// An identifier as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) span: Span,
}

/// One file.
#[derive(Debug, Default)]
pub(crate) struct Unit {
    pub(crate) items: Vec<Item>,
}

#[derive(Debug)]
pub(crate) enum Item {
    Import(Import),
    Contract(Contract),
    Function(Function),
    Struct(Struct),
    Enum(Enum),
    Event(Event),
    Error(Event),
    Variable(Variable),
    UserType(UserType),
    Using(Using),
}

#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) path: String,
    pub(crate) names: ImportNames,
}

#[derive(Debug)]
pub(crate) enum ImportNames {
    /// Everything the file declares, under its own names.
    All,
    /// The file as one namespace.
    Module(Name),
    /// Chosen names, each perhaps under another one.
    Some(Vec<(Name, Option<Name>)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContractKind {
    Contract,
    Abstract,
    Interface,
    Library,
}

#[derive(Debug)]
pub(crate) struct Contract {
    pub(crate) kind: ContractKind,
    pub(crate) name: Name,
    pub(crate) bases: Vec<Invocation>,
    pub(crate) parts: Vec<Item>,
    /// The expression of `layout at`.
    pub(crate) layout: Option<Expr>,
    pub(crate) span: Span,
}

/// A base contract or a modifier with its arguments.
#[derive(Debug, Clone)]
pub(crate) struct Invocation {
    pub(crate) path: Vec<Name>,
    pub(crate) args: Option<Vec<Expr>>,
    pub(crate) span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FunctionKind {
    Function,
    Constructor,
    Fallback,
    Receive,
    Modifier,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Visibility {
    External,
    Public,
    Internal,
    Private,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mutability {
    Pure,
    View,
    NonPayable,
    Payable,
}

#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) kind: FunctionKind,
    /// Empty for constructors, fallback and receive functions.
    pub(crate) name: Name,
    pub(crate) params: Vec<Param>,
    pub(crate) returns: Vec<Param>,
    pub(crate) visibility: Option<Visibility>,
    pub(crate) mutability: Mutability,
    pub(crate) invocations: Vec<Invocation>,
    /// The contracts that `override(...)` names.
    pub(crate) overrides: Vec<Vec<Name>>,
    pub(crate) body: Body,
    pub(crate) span: Span,
}

#[derive(Debug)]
pub(crate) enum Body {
    /// Declared only.
    None,
    /// Could not be read; a diagnostic says why.
    Broken,
    Block(Stmt),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Location {
    Memory,
    Storage,
    Calldata,
}

#[derive(Debug, Clone)]
pub(crate) struct Param {
    pub(crate) ty: Expr,
    pub(crate) location: Option<Location>,
    pub(crate) name: Option<Name>,
    pub(crate) span: Span,
}

#[derive(Debug)]
pub(crate) struct Struct {
    pub(crate) name: Name,
    pub(crate) fields: Vec<Param>,
}

#[derive(Debug)]
pub(crate) struct Enum {
    pub(crate) name: Name,
    pub(crate) values: Vec<Name>,
}

/// An event or an error.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) name: Name,
    pub(crate) params: Vec<Param>,
}

#[derive(Debug)]
pub(crate) struct Variable {
    pub(crate) name: Name,
    pub(crate) ty: Expr,
    pub(crate) is_constant: bool,
    pub(crate) is_immutable: bool,
    pub(crate) is_transient: bool,
    pub(crate) is_private: bool,
    /// The contracts that `override(...)` names.
    pub(crate) overrides: Vec<Vec<Name>>,
    pub(crate) init: Option<Expr>,
    pub(crate) span: Span,
}

#[derive(Debug)]
pub(crate) struct UserType {
    pub(crate) name: Name,
    pub(crate) ty: Expr,
}

#[derive(Debug)]
pub(crate) struct Using {
    pub(crate) what: UsingWhat,
    /// `None` for `*`.
    pub(crate) ty: Option<Expr>,
    pub(crate) is_global: bool,
}

#[derive(Debug)]
pub(crate) enum UsingWhat {
    Library(Vec<Name>),
    /// Functions, each perhaps bound to an operator.
    Functions(Vec<(Vec<Name>, Option<Operator>)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operator {
    Unary(UnaryOp),
    Binary(BinaryOp),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum UnaryOp {
    Not,
    BitNot,
    Negate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Shl,
    Shr,
    BitAnd,
    BitOr,
    BitXor,
    And,
    Or,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl BinaryOp {
    /// How the operator is written.
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Mod => "%",
            BinaryOp::Pow => "**",
            BinaryOp::Shl => "<<",
            BinaryOp::Shr => ">>",
            BinaryOp::BitAnd => "&",
            BinaryOp::BitOr => "|",
            BinaryOp::BitXor => "^",
            BinaryOp::And => "&&",
            BinaryOp::Or => "||",
            BinaryOp::Eq => "==",
            BinaryOp::Ne => "!=",
            BinaryOp::Lt => "<",
            BinaryOp::Le => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::Ge => ">=",
        }
    }

    /// Whether the result is a truth value.
    pub(crate) fn is_comparison(self) -> bool {
        matches!(
            self,
            Self::Eq | Self::Ne | Self::Lt | Self::Le | Self::Gt | Self::Ge | Self::And | Self::Or
        )
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Expr {
    pub(crate) kind: ExprKind,
    pub(crate) span: Span,
}

#[derive(Debug, Clone)]
pub(crate) enum ExprKind {
    Ident(String),
    /// A number as written, underscores removed, with its unit (`2 ether` is `("2", Some("ether"))`).
    Number(String, Option<String>),
    Bool(bool),
    Text(String),
    Hex(String),
    Elementary(Elementary),
    Mapping(Box<Expr>, Box<Expr>),
    FunctionType {
        params: Vec<Param>,
        returns: Vec<Param>,
        is_external: bool,
    },
    Member(Box<Expr>, Name),
    Index(Box<Expr>, Option<Box<Expr>>),
    Slice(Box<Expr>, Option<Box<Expr>>, Option<Box<Expr>>),
    Call(Box<Expr>, Vec<Expr>),
    NamedCall(Box<Expr>, Vec<(Name, Expr)>),
    /// `callee{value: ..., gas: ...}`.
    Options(Box<Expr>, Vec<(Name, Expr)>),
    /// `new T`, which is then called.
    New(Box<Expr>),
    Unary(UnaryOp, Box<Expr>),
    /// `++` and `--`: the operator (add or subtract) and whether it stands before its operand.
    Step(BinaryOp, bool, Box<Expr>),
    Delete(Box<Expr>),
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    Assign(Option<BinaryOp>, Box<Expr>, Box<Expr>),
    Conditional(Box<Expr>, Box<Expr>, Box<Expr>),
    Tuple(Vec<Option<Expr>>),
    Array(Vec<Expr>),
    /// Could not be read.
    Error,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Elementary {
    Address { payable: bool },
    Bool,
    String,
    Bytes,
    FixedBytes(u8),
    Int(u16),
    Uint(u16),
}

#[derive(Debug, Clone)]
pub(crate) struct Stmt {
    pub(crate) kind: StmtKind,
    pub(crate) span: Span,
}

#[derive(Debug, Clone)]
pub(crate) enum StmtKind {
    Block {
        unchecked: bool,
        statements: Vec<Stmt>,
    },
    If(Expr, Box<Stmt>, Option<Box<Stmt>>),
    While(Expr, Box<Stmt>),
    DoWhile(Box<Stmt>, Expr),
    For(Option<Box<Stmt>>, Option<Expr>, Option<Expr>, Option<Box<Stmt>>),
    Expr(Expr),
    /// Declarations; a single one without parentheses is a list of one.
    Let(Vec<Option<Param>>, Option<Expr>),
    Return(Option<Expr>),
    /// `revert(...)`, `revert Error(...)` and `throw`: the path of the error, and arguments, perhaps by name.
    Revert(Vec<Name>, Vec<(Option<Name>, Expr)>),
    Emit(Expr),
    Try {
        call: Expr,
        returns: Vec<Param>,
        success: Option<Box<Stmt>>,
        catches: Vec<(Vec<Param>, Stmt)>,
    },
    Break,
    Continue,
    Assembly(YulBlock),
    /// `_;` in a modifier.
    Placeholder,
    /// Could not be read.
    Error,
}

#[derive(Debug, Clone)]
pub(crate) struct YulBlock {
    pub(crate) statements: Vec<YulStmt>,
    /// The block could not be read; what it does is unknown.
    pub(crate) is_opaque: bool,
    pub(crate) span: Span,
}

#[derive(Debug, Clone)]
pub(crate) struct YulStmt {
    pub(crate) kind: YulStmtKind,
    pub(crate) span: Span,
}

#[derive(Debug, Clone)]
pub(crate) enum YulStmtKind {
    Block(YulBlock),
    Let(Vec<Name>, Option<YulExpr>),
    Assign(Vec<Vec<Name>>, YulExpr),
    Call(YulExpr),
    If(YulExpr, YulBlock),
    For {
        init: YulBlock,
        condition: YulExpr,
        post: YulBlock,
        body: YulBlock,
    },
    Switch(YulExpr, Vec<(Option<YulExpr>, YulBlock)>),
    Function {
        name: Name,
        params: Vec<Name>,
        returns: Vec<Name>,
        body: YulBlock,
    },
    Leave,
    Break,
    Continue,
    /// A place to jump to, in the old dialect.
    Label(Name),
    Error,
}

#[derive(Debug, Clone)]
pub(crate) struct YulExpr {
    pub(crate) kind: YulExprKind,
    pub(crate) span: Span,
}

#[derive(Debug, Clone)]
pub(crate) enum YulExprKind {
    /// A literal as written.
    Literal(String),
    /// A name, or a name with a suffix (`x.slot`).
    Path(Vec<Name>),
    Call(Name, Vec<YulExpr>),
    /// A word on the stack that could not be followed.
    Unknown,
}
