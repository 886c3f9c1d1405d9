//! A part of a condition as text again, on one line, with the parentheses it needs.

use cel::common::ast::{Expr, IdedExpr, LiteralValue, operators};

use super::syntax::Source;

/// How tightly an expression binds; an operand that binds less gets parentheses.
const CHOICE: u8 = 0;
const OR: u8 = 1;
const AND: u8 = 2;
const RELATION: u8 = 3;
const SUM: u8 = 4;
const PRODUCT: u8 = 5;
const PREFIX: u8 = 6;
const ATOM: u8 = 7;

/// Prints an expression.
pub(super) fn print(source: &Source, expression: &IdedExpr) -> String {
    let mut out = String::new();
    write(source, expression, CHOICE, &mut out);
    out
}

/// Prints the negation of an expression.
pub(super) fn print_negated(source: &Source, expression: &IdedExpr) -> String {
    let mut out = "!".to_owned();
    write(source, expression, PREFIX, &mut out);
    out
}

fn write(source: &Source, expression: &IdedExpr, around: u8, out: &mut String) {
    let own = binding(&expression.expr);
    if own < around {
        out.push('(');
    }
    match &expression.expr {
        Expr::Ident(name) => out.push_str(name),
        Expr::Literal(LiteralValue::String(text)) => out.push_str(&format!("{:?}", text.inner())),
        Expr::Literal(LiteralValue::Boolean(value)) => {
            out.push_str(if *value.inner() { "true" } else { "false" })
        }
        Expr::Literal(LiteralValue::Int(value)) if *value.inner() < 0 => {
            out.push_str(&value.inner().to_string())
        }
        Expr::List(list) => {
            out.push('[');
            write_list(source, &list.elements, out);
            out.push(']');
        }
        Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::CONDITIONAL, [test, then, other]) => {
                write(source, test, OR, out);
                out.push_str(" ? ");
                write(source, then, OR, out);
                out.push_str(" : ");
                write(source, other, CHOICE, out);
            }
            (operators::LOGICAL_NOT, [inner]) => {
                out.push('!');
                write(source, inner, PREFIX, out);
            }
            (operators::NEGATE, [inner]) => {
                out.push('-');
                write(source, inner, PREFIX, out);
            }
            (name, [left, right]) if infix(name).is_some() => {
                let sign = infix(name).map_or("", |(sign, _)| sign);
                write(source, left, own, out);
                out.push_str(&format!(" {sign} "));
                // Left-associative: the same operator on the right needs its parentheses.
                write(source, right, if own <= AND { own } else { own + 1 }, out);
            }
            (name, arguments) => {
                if let Some(target) = &call.target {
                    write(source, target, ATOM, out);
                    out.push('.');
                }
                out.push_str(name);
                out.push('(');
                write_list(source, arguments, out);
                out.push(')');
            }
        },
        // Numbers keep the digits of the author; anything else was refused before it could be printed.
        _ => out.push_str(&source.text(source.token(expression))),
    }
    if own < around {
        out.push(')');
    }
}

fn write_list(source: &Source, elements: &[IdedExpr], out: &mut String) {
    for (index, element) in elements.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        write(source, element, CHOICE, out);
    }
}

/// How tightly an expression holds together.
fn binding(expression: &Expr) -> u8 {
    let Expr::Call(call) = expression else { return ATOM };
    match call.func_name.as_str() {
        operators::CONDITIONAL => CHOICE,
        operators::LOGICAL_NOT | operators::NEGATE => PREFIX,
        name => infix(name).map_or(ATOM, |(_, binding)| binding),
    }
}

/// The sign and the binding of an operator that stands between its operands.
fn infix(name: &str) -> Option<(&'static str, u8)> {
    Some(match name {
        operators::LOGICAL_OR => ("||", OR),
        operators::LOGICAL_AND => ("&&", AND),
        operators::EQUALS => ("==", RELATION),
        operators::NOT_EQUALS => ("!=", RELATION),
        operators::LESS => ("<", RELATION),
        operators::LESS_EQUALS => ("<=", RELATION),
        operators::GREATER => (">", RELATION),
        operators::GREATER_EQUALS => (">=", RELATION),
        operators::IN => ("in", RELATION),
        operators::ADD => ("+", SUM),
        operators::SUBSTRACT => ("-", SUM),
        operators::MULTIPLY => ("*", PRODUCT),
        operators::DIVIDE => ("/", PRODUCT),
        operators::MODULO => ("%", PRODUCT),
        _ => return None,
    })
}
