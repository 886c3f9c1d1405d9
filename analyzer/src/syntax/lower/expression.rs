//! Expressions, and types, which are written as such.

use solang_parser::pt;
use solang_parser::pt::CodeLocation;

use super::Lowerer;
use crate::syntax::Span;
use crate::syntax::ast::*;

impl Lowerer<'_> {
    pub(super) fn exprs(&self, exprs: &[pt::Expression]) -> Vec<Expr> {
        exprs.iter().map(|expr| self.expr(expr)).collect()
    }

    pub(super) fn sub(&self, expr: &pt::Expression) -> Box<Expr> {
        Box::new(self.expr(expr))
    }

    pub(super) fn named(&self, args: &[pt::NamedArgument]) -> Vec<(Name, Expr)> {
        args.iter().map(|arg| (self.name(&arg.name), self.expr(&arg.expr))).collect()
    }

    pub(super) fn expr(&self, expr: &pt::Expression) -> Expr {
        use pt::Expression as E;
        let span = self.span(&expr.loc());
        let kind = match expr {
            E::Parenthesis(_, inner) => return self.expr(inner),
            E::New(_, inner) => return self.new_expr(inner, span),
            E::PostIncrement(_, inner) => ExprKind::Step(BinaryOp::Add, false, self.sub(inner)),
            E::PostDecrement(_, inner) => ExprKind::Step(BinaryOp::Sub, false, self.sub(inner)),
            E::PreIncrement(_, inner) => ExprKind::Step(BinaryOp::Add, true, self.sub(inner)),
            E::PreDecrement(_, inner) => ExprKind::Step(BinaryOp::Sub, true, self.sub(inner)),
            E::Not(_, inner) => ExprKind::Unary(UnaryOp::Not, self.sub(inner)),
            E::BitwiseNot(_, inner) => ExprKind::Unary(UnaryOp::BitNot, self.sub(inner)),
            E::Negate(_, inner) => ExprKind::Unary(UnaryOp::Negate, self.sub(inner)),
            E::UnaryPlus(_, inner) => return self.expr(inner),
            E::Delete(_, inner) => ExprKind::Delete(self.sub(inner)),
            E::ArraySubscript(_, base, index) => {
                ExprKind::Index(self.sub(base), index.as_ref().map(|index| self.sub(index)))
            }
            E::ArraySlice(_, base, from, to) => ExprKind::Slice(
                self.sub(base),
                from.as_ref().map(|from| self.sub(from)),
                to.as_ref().map(|to| self.sub(to)),
            ),
            E::MemberAccess(_, base, member) => ExprKind::Member(self.sub(base), self.name(member)),
            E::FunctionCall(_, callee, args) => ExprKind::Call(self.sub(callee), self.exprs(args)),
            E::NamedFunctionCall(_, callee, args) => {
                ExprKind::NamedCall(self.sub(callee), self.named(args))
            }
            E::FunctionCallBlock(_, callee, block) => {
                ExprKind::Options(self.sub(callee), self.options(block))
            }
            E::Power(_, l, r) => self.binary(BinaryOp::Pow, l, r),
            E::Multiply(_, l, r) => self.binary(BinaryOp::Mul, l, r),
            E::Divide(_, l, r) => self.binary(BinaryOp::Div, l, r),
            E::Modulo(_, l, r) => self.binary(BinaryOp::Mod, l, r),
            E::Add(_, l, r) => self.binary(BinaryOp::Add, l, r),
            E::Subtract(_, l, r) => self.binary(BinaryOp::Sub, l, r),
            E::ShiftLeft(_, l, r) => self.binary(BinaryOp::Shl, l, r),
            E::ShiftRight(_, l, r) => self.binary(BinaryOp::Shr, l, r),
            E::BitwiseAnd(_, l, r) => self.binary(BinaryOp::BitAnd, l, r),
            E::BitwiseXor(_, l, r) => self.binary(BinaryOp::BitXor, l, r),
            E::BitwiseOr(_, l, r) => self.binary(BinaryOp::BitOr, l, r),
            E::Less(_, l, r) => self.binary(BinaryOp::Lt, l, r),
            E::More(_, l, r) => self.binary(BinaryOp::Gt, l, r),
            E::LessEqual(_, l, r) => self.binary(BinaryOp::Le, l, r),
            E::MoreEqual(_, l, r) => self.binary(BinaryOp::Ge, l, r),
            E::Equal(_, l, r) => self.binary(BinaryOp::Eq, l, r),
            E::NotEqual(_, l, r) => self.binary(BinaryOp::Ne, l, r),
            E::And(_, l, r) => self.binary(BinaryOp::And, l, r),
            E::Or(_, l, r) => self.binary(BinaryOp::Or, l, r),
            E::ConditionalOperator(_, c, l, r) => {
                ExprKind::Conditional(self.sub(c), self.sub(l), self.sub(r))
            }
            E::Assign(_, l, r) => self.assign(None, l, r),
            E::AssignOr(_, l, r) => self.assign(Some(BinaryOp::BitOr), l, r),
            E::AssignAnd(_, l, r) => self.assign(Some(BinaryOp::BitAnd), l, r),
            E::AssignXor(_, l, r) => self.assign(Some(BinaryOp::BitXor), l, r),
            E::AssignShiftLeft(_, l, r) => self.assign(Some(BinaryOp::Shl), l, r),
            E::AssignShiftRight(_, l, r) => self.assign(Some(BinaryOp::Shr), l, r),
            E::AssignAdd(_, l, r) => self.assign(Some(BinaryOp::Add), l, r),
            E::AssignSubtract(_, l, r) => self.assign(Some(BinaryOp::Sub), l, r),
            E::AssignMultiply(_, l, r) => self.assign(Some(BinaryOp::Mul), l, r),
            E::AssignDivide(_, l, r) => self.assign(Some(BinaryOp::Div), l, r),
            E::AssignModulo(_, l, r) => self.assign(Some(BinaryOp::Mod), l, r),
            E::BoolLiteral(_, value) => ExprKind::Bool(*value),
            E::NumberLiteral(_, integer, exponent, unit) => {
                let exponent =
                    if exponent.is_empty() { String::new() } else { format!("e{exponent}") };
                ExprKind::Number(
                    format!("{integer}{exponent}"),
                    unit.as_ref().map(|unit| self.name(unit).text),
                )
            }
            E::RationalNumberLiteral(_, integer, fraction, exponent, unit) => {
                let exponent =
                    if exponent.is_empty() { String::new() } else { format!("e{exponent}") };
                let number = format!("{integer}.{fraction}{exponent}");
                ExprKind::Number(number, unit.as_ref().map(|unit| self.name(unit).text))
            }
            E::HexNumberLiteral(_, number, unit) => ExprKind::Number(
                number.replace('_', ""),
                unit.as_ref().map(|unit| self.name(unit).text),
            ),
            E::StringLiteral(parts) => {
                ExprKind::Text(parts.iter().map(|part| part.string.as_str()).collect())
            }
            E::HexLiteral(parts) => {
                ExprKind::Hex(parts.iter().map(|part| part.hex.as_str()).collect())
            }
            E::AddressLiteral(_, text) => ExprKind::Text(text.clone()),
            E::Type(_, ty) => self.ty(ty),
            E::Variable(identifier) => ExprKind::Ident(self.name(identifier).text),
            E::List(_, list) => ExprKind::Tuple(
                list.iter()
                    .map(|(_, param)| param.as_ref().map(|param| self.expr(&param.ty)))
                    .collect(),
            ),
            E::ArrayLiteral(_, items) => ExprKind::Array(self.exprs(items)),
        };
        Expr { kind, span }
    }

    pub(super) fn binary(
        &self,
        op: BinaryOp,
        left: &pt::Expression,
        right: &pt::Expression,
    ) -> ExprKind {
        ExprKind::Binary(op, self.sub(left), self.sub(right))
    }

    pub(super) fn assign(
        &self,
        op: Option<BinaryOp>,
        left: &pt::Expression,
        right: &pt::Expression,
    ) -> ExprKind {
        ExprKind::Assign(op, self.sub(left), self.sub(right))
    }

    pub(super) fn options(&self, block: &pt::Statement) -> Vec<(Name, Expr)> {
        match block {
            pt::Statement::Args(_, args) => self.named(args),
            _ => Vec::new(),
        }
    }

    /// The parser binds `new` to everything that follows (`new (A(x).b())`); here it binds to the type.
    pub(super) fn new_expr(&self, inner: &pt::Expression, span: Span) -> Expr {
        use pt::Expression as E;
        let outer = |loc: &pt::Loc| Span { start: span.start, ..self.span(loc) };
        match inner {
            E::FunctionCall(loc, callee, args) => {
                let callee = Box::new(self.new_expr(callee, span));
                Expr { kind: ExprKind::Call(callee, self.exprs(args)), span: outer(loc) }
            }
            E::NamedFunctionCall(loc, callee, args) => {
                let callee = Box::new(self.new_expr(callee, span));
                Expr { kind: ExprKind::NamedCall(callee, self.named(args)), span: outer(loc) }
            }
            E::FunctionCallBlock(loc, callee, block) => {
                let callee = Box::new(self.new_expr(callee, span));
                Expr { kind: ExprKind::Options(callee, self.options(block)), span: outer(loc) }
            }
            E::MemberAccess(loc, base, member) if contains_call(base) => {
                let base = Box::new(self.new_expr(base, span));
                Expr { kind: ExprKind::Member(base, self.name(member)), span: outer(loc) }
            }
            E::ArraySubscript(loc, base, Some(index)) if contains_call(base) => {
                let base = Box::new(self.new_expr(base, span));
                Expr { kind: ExprKind::Index(base, Some(self.sub(index))), span: outer(loc) }
            }
            _ => Expr { kind: ExprKind::New(self.sub(inner)), span: outer(&inner.loc()) },
        }
    }

    pub(super) fn ty(&self, ty: &pt::Type) -> ExprKind {
        match ty {
            pt::Type::Address => ExprKind::Elementary(Elementary::Address { payable: false }),
            pt::Type::AddressPayable | pt::Type::Payable => {
                ExprKind::Elementary(Elementary::Address { payable: true })
            }
            pt::Type::Bool => ExprKind::Elementary(Elementary::Bool),
            pt::Type::String => ExprKind::Elementary(Elementary::String),
            pt::Type::Int(bits) => ExprKind::Elementary(Elementary::Int(*bits)),
            pt::Type::Uint(bits) => ExprKind::Elementary(Elementary::Uint(*bits)),
            pt::Type::Bytes(bytes) => ExprKind::Elementary(Elementary::FixedBytes(*bytes)),
            pt::Type::DynamicBytes => ExprKind::Elementary(Elementary::Bytes),
            pt::Type::Rational => ExprKind::Error,
            pt::Type::Mapping { key, value, .. } => {
                ExprKind::Mapping(self.sub(key), self.sub(value))
            }
            pt::Type::Function { params, attributes, returns } => ExprKind::FunctionType {
                params: self.params(params),
                returns: returns
                    .as_ref()
                    .map(|(returns, _)| self.params(returns))
                    .unwrap_or_default(),
                is_external: attributes.iter().any(|attribute| {
                    matches!(
                        attribute,
                        pt::FunctionAttribute::Visibility(pt::Visibility::External(_))
                    )
                }),
            },
        }
    }
}

/// Whether a call stands somewhere on the left spine of `expr`.
fn contains_call(expr: &pt::Expression) -> bool {
    use pt::Expression as E;
    match expr {
        E::FunctionCall(..) | E::NamedFunctionCall(..) => true,
        E::MemberAccess(_, base, _)
        | E::ArraySubscript(_, base, _)
        | E::FunctionCallBlock(_, base, _) => contains_call(base),
        _ => false,
    }
}
