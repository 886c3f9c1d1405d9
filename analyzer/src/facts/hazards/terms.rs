//! The terms of trades: the least that a swap must give, and until when it may be made.
//!
//! Told by the signatures that the routers and pools publish; a struct stands for its fields.

use super::{Candidate, HazardKind};
use crate::cfg::*;
use crate::facts::constants::{Known, constant_value};
use crate::facts::work::Work;
use crate::hir::{FunctionId, Program, Type};
use crate::syntax::ast::BinaryOp;

/// What a function of a router lets its caller say.
struct Terms {
    name: &'static str,
    /// The types of the arguments or, in brackets, of the fields of the one argument.
    types: &'static str,
    /// Which of them are the least amounts.
    least: &'static [usize],
    /// Which is the deadline.
    deadline: Option<usize>,
    /// Which limits the price, where one does.
    limit: Option<usize>,
}

const fn terms(
    name: &'static str,
    types: &'static str,
    least: &'static [usize],
    deadline: Option<usize>,
    limit: Option<usize>,
) -> Terms {
    Terms { name, types, least, deadline, limit }
}

const TOKENS_IN: &str = "uint256,uint256,address[],address,uint256";
const ETHER_IN: &str = "uint256,address[],address,uint256";
const PAIR_OUT: &str = "address,address,uint256,uint256,uint256,address,uint256";
const SINGLE: &str = "(address,address,uint24,address,uint256,uint256,uint256,uint160)";
const SINGLE_02: &str = "(address,address,uint24,address,uint256,uint256,uint160)";
const POSITION: &str =
    "(address,address,uint24,int24,int24,uint256,uint256,uint256,uint256,address,uint256)";

/// Uniswap v2 and v3 with their periphery, and the exchanges of Curve.
const TERMS: &[Terms] = &[
    terms("swapExactTokensForTokens", TOKENS_IN, &[1], Some(4), None),
    terms("swapExactTokensForETH", TOKENS_IN, &[1], Some(4), None),
    terms("swapExactTokensForTokensSupportingFeeOnTransferTokens", TOKENS_IN, &[1], Some(4), None),
    terms("swapExactTokensForETHSupportingFeeOnTransferTokens", TOKENS_IN, &[1], Some(4), None),
    terms("swapTokensForExactTokens", TOKENS_IN, &[], Some(4), None),
    terms("swapTokensForExactETH", TOKENS_IN, &[], Some(4), None),
    terms("swapExactETHForTokens", ETHER_IN, &[0], Some(3), None),
    terms("swapExactETHForTokensSupportingFeeOnTransferTokens", ETHER_IN, &[0], Some(3), None),
    terms("swapETHForExactTokens", ETHER_IN, &[], Some(3), None),
    terms(
        "addLiquidity",
        "address,address,uint256,uint256,uint256,uint256,address,uint256",
        &[4, 5],
        Some(7),
        None,
    ),
    terms(
        "addLiquidityETH",
        "address,uint256,uint256,uint256,address,uint256",
        &[2, 3],
        Some(5),
        None,
    ),
    terms("removeLiquidity", PAIR_OUT, &[3, 4], Some(6), None),
    terms(
        "removeLiquidityETH",
        "address,uint256,uint256,uint256,address,uint256",
        &[2, 3],
        Some(5),
        None,
    ),
    terms("exactInputSingle", SINGLE, &[6], Some(4), Some(7)),
    terms("exactInputSingle", SINGLE_02, &[5], None, Some(6)),
    terms("exactOutputSingle", SINGLE, &[], Some(4), Some(7)),
    terms("exactInput", "(bytes,address,uint256,uint256,uint256)", &[4], Some(2), None),
    terms("exactInput", "(bytes,address,uint256,uint256)", &[3], None, None),
    terms("exactOutput", "(bytes,address,uint256,uint256,uint256)", &[], Some(2), None),
    terms("mint", POSITION, &[7, 8], Some(10), None),
    terms(
        "increaseLiquidity",
        "(uint256,uint256,uint256,uint256,uint256,uint256)",
        &[3, 4],
        Some(5),
        None,
    ),
    terms("decreaseLiquidity", "(uint256,uint128,uint256,uint256,uint256)", &[2, 3], Some(4), None),
    terms("exchange", "int128,int128,uint256,uint256", &[3], None, None),
    terms("exchange", "uint256,uint256,uint256,uint256", &[3], None, None),
];

/// Questions that tell what a swap would give at this moment.
const QUOTES: &[&str] = &[
    "getAmountOut",
    "getAmountsOut",
    "getAmountIn",
    "getAmountsIn",
    "quoteExactInput",
    "quoteExactInputSingle",
    "get_dy",
];

impl Work<'_, '_> {
    /// What is wrong with the terms of a trade with the function `target`.
    pub(super) fn trade_terms(
        &self,
        statement: &Statement,
        call: &Call,
        target: FunctionId,
        out: &mut Vec<Candidate>,
    ) {
        let entry = self.entry;
        let function = entry.program.function(target);
        if !TERMS.iter().any(|terms| terms.name == function.name) {
            return;
        }
        let (types, fields) = match function.params.as_slice() {
            [only] if matches!(only.ty, Type::Struct(_)) => {
                let Type::Struct(id) = only.ty else { return };
                let fields = &entry.program.structs[id.index()].fields;
                let types = fields.iter().map(|(_, ty)| abi_name(entry.program, ty));
                (format!("({})", types.collect::<Vec<_>>().join(",")), Some(fields))
            }
            params => {
                let types = params.iter().map(|param| abi_name(entry.program, &param.ty));
                (types.collect::<Vec<_>>().join(","), None)
            }
        };
        let Some(terms) =
            TERMS.iter().find(|terms| terms.name == function.name && terms.types == types)
        else {
            return;
        };
        let values = |position: usize| -> Vec<Operand> {
            match fields {
                None => call.args.get(position).cloned().into_iter().collect(),
                Some(fields) => call
                    .args
                    .first()
                    .map(|whole| entry.field_values(whole, position, &fields[position].0))
                    .unwrap_or_default(),
            }
        };
        let all = |position: usize, holds: &dyn Fn(&Operand) -> bool| {
            let values = values(position);
            !values.is_empty() && values.iter().all(holds)
        };
        let has_limit = terms.limit.is_some_and(|limit| !all(limit, &|value| self.is_zero(value)));
        if !terms.least.is_empty() && !has_limit {
            let is_zero =
                terms.least.iter().all(|position| all(*position, &|value| self.is_zero(value)));
            let is_quoted =
                terms.least.iter().all(|position| all(*position, &|value| self.is_quoted(value)));
            if is_zero {
                let detail =
                    format!("`{}` with zero as the least amount takes any price", terms.name);
                self.flaw(HazardKind::NoLeastAmount, statement, detail, out);
            } else if is_quoted {
                let detail = format!(
                    "the least amount of `{}` is what the market itself says in the same transaction",
                    terms.name
                );
                self.flaw(HazardKind::NoLeastAmount, statement, detail, out);
            }
        }
        if terms.deadline.is_some_and(|deadline| all(deadline, &|value| self.is_any_time(value))) {
            self.flaw(HazardKind::NoDeadline, statement, terms.name.to_owned(), out);
        }
    }

    /// Whether an amount is made of the answer of a market alone.
    fn is_quoted(&self, amount: &Operand) -> bool {
        let entry = self.entry;
        let made_by = entry.made_by(amount);
        let mut is_quoted = false;
        for at in &made_by {
            match &entry.statement(*at).kind {
                StatementKind::Call(call) => {
                    let CallKind::External { name, .. } = &call.kind else { return false };
                    is_quoted |= QUOTES.contains(&name.as_str());
                    if !QUOTES.contains(&name.as_str()) {
                        return false;
                    }
                }
                StatementKind::Assign { value, .. } => {
                    let mut is_given = false;
                    value.each_operand(&mut |operand| {
                        is_given |= matches!(operand, Operand::Local(id) if entry.view.body.locals[id.index()].is_param)
                            || matches!(operand, Operand::Environment(_) | Operand::Constant(Constant::Unknown));
                    });
                    if is_given {
                        return false;
                    }
                }
                // A tolerance that is kept.
                _ => {}
            }
        }
        is_quoted
    }

    /// Whether a deadline is met whenever the transaction is put into a block: the block's own time, or later than
    /// any.
    fn is_any_time(&self, deadline: &Operand) -> bool {
        let entry = self.entry;
        match entry.canonical(deadline) {
            Operand::Environment(Environment::Block("timestamp")) => true,
            Operand::Local(id) => {
                let definition = entry.only_definition(id).map(|statement| &statement.kind);
                match definition {
                    Some(StatementKind::Assign {
                        value:
                            Rvalue::Binary(BinaryOp::Add, left, right)
                            | Rvalue::Wrapping(BinaryOp::Add, left, right),
                        ..
                    }) => [(left, right), (right, left)].into_iter().any(|(time, more)| {
                        let is_constant = matches!(entry.canonical(more), Operand::Constant(_));
                        is_constant && self.is_any_time(time)
                    }),
                    _ => false,
                }
            }
            Operand::Constant(Constant::Text(text)) => text.ends_with(").max"),
            Operand::Constant(constant) => matches!(
                constant_value(entry.program, &constant),
                Some(Known::Number(number)) if number.bit_len() > 64
            ),
            _ => false,
        }
    }
}

/// A type as the ABI writes it; contracts are addresses.
pub(super) fn abi_name(program: &Program, ty: &Type) -> String {
    match ty {
        Type::Address | Type::Contract(_) => "address".to_owned(),
        Type::Uint(bits) => format!("uint{bits}"),
        Type::Int(bits) => format!("int{bits}"),
        Type::FixedBytes(bytes) => format!("bytes{bytes}"),
        Type::Bool => "bool".to_owned(),
        Type::Bytes => "bytes".to_owned(),
        Type::String => "string".to_owned(),
        Type::User(id) => abi_name(program, &program.user_types[id.index()].underlying),
        Type::Array(element, _) => format!("{}[]", abi_name(program, element)),
        _ => "?".to_owned(),
    }
}
