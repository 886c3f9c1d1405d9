//! CEL syntax to the typed tree: names, types, units, and comparisons that cannot matter are settled here.

mod amount;
mod compare;
mod negate;

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators};
use ruint::aliases::U256;

use self::amount::{AMOUNT_FUNCTIONS, AMOUNT_LITERALS, Quantity};
use self::compare::TEXT_METHODS;
use self::negate::negate;
use super::Complaint;
use super::contradiction;
use super::literal;
use super::print::{print, print_negated};
use super::range::Range;
use super::suggest::closest;
use super::syntax::Source;
use super::tree::{Account, Amount, Clause, Operation, Relation, Said, Test, Text};
use crate::facts::{Dictionary, FactType};
use crate::list::Lists;
use crate::question::function_selector;

/// Depth of the tree that is walked and dropped; the token bound alone would allow a few hundred.
const MAX_DEPTH: usize = 64;

type Lowered<T> = Result<T, Complaint>;

/// One condition on its way from syntax to tree.
pub(super) struct Lowering<'a> {
    source: &'a Source,
    scope: Scope<'a>,
    depth: usize,
}

/// The names that a condition may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    /// The facts, and what the rule asks beyond them.
    pub(crate) dictionary: &'a Dictionary,
    /// The facts of all subjects, which only improve error messages.
    pub(crate) all: &'a [Dictionary],
    /// Lists that may stand to the right of `in`.
    pub(crate) lists: &'a Lists,
    /// Added to a name that is not known without it: `assets` is `assets_before` where an invariant looks before.
    pub(crate) suffix: &'static str,
}

/// An expression with its type.
enum Typed {
    Truth(Test),
    Amount(Quantity),
    Text(Text),
    Account(Account),
}

impl<'a> Lowering<'a> {
    pub(super) fn new(source: &'a Source, scope: Scope<'a>) -> Self {
        Self { source, scope, depth: 0 }
    }

    /// Lowers the whole condition, or its negation.
    pub(super) fn condition(mut self, negated: bool) -> Lowered<Clause> {
        self.clause(&self.source.root, negated)
    }

    fn position(&self, name: &str) -> Option<usize> {
        let Scope { dictionary, suffix, .. } = self.scope;
        let with_suffix = || dictionary.position(&format!("{name}{suffix}"));
        dictionary.position(name).or_else(|| if suffix.is_empty() { None } else { with_suffix() })
    }

    /// Lowers a part that is true or false, or its negation.
    fn clause(&mut self, expression: &IdedExpr, negated: bool) -> Lowered<Clause> {
        let test = self.truth(expression, negated)?;
        Ok(self.named(expression, test, negated))
    }

    /// Puts the author's text beside a test.
    fn named(&self, expression: &IdedExpr, test: Test, negated: bool) -> Clause {
        let source = self.source;
        let text =
            if negated { print_negated(source, expression) } else { print(source, expression) };
        let mut reads = Vec::new();
        self.collect_reads(expression, &mut reads);
        Clause { test, said: Box::new(Said { text, reads, span: source.span(expression) }) }
    }

    fn truth(&mut self, expression: &IdedExpr, negated: bool) -> Lowered<Test> {
        if let Expr::Call(call) = &expression.expr {
            match (call.func_name.as_str(), call.args.as_slice()) {
                (operators::LOGICAL_NOT, [inner]) => {
                    return self.deeper(expression, |this| this.truth(inner, !negated));
                }
                (operators::LOGICAL_AND, [left, right]) => {
                    return self.junction(expression, [left, right], negated, true);
                }
                (operators::LOGICAL_OR, [left, right]) => {
                    return self.junction(expression, [left, right], negated, false);
                }
                (operators::CONDITIONAL, [test, then, other]) => {
                    return self.deeper(expression, |this| {
                        Ok(Test::Choose {
                            test: Box::new(this.clause(test, false)?),
                            then: Box::new(this.clause(then, negated)?),
                            other: Box::new(this.clause(other, negated)?),
                        })
                    });
                }
                _ => {}
            }
        }
        match self.typed(expression)? {
            Typed::Truth(test) => Ok(if negated { negate(test) } else { test }),
            other => Err(self
                .complain(expression, format!("expected true or false, found {}", other.kind()))),
        }
    }

    /// "and" or "or", flattened; a negation turns one into the other.
    fn junction(
        &mut self,
        expression: &IdedExpr,
        parts: [&IdedExpr; 2],
        negated: bool,
        and: bool,
    ) -> Lowered<Test> {
        let all = and != negated;
        let mut clauses = Vec::new();
        for part in parts {
            let clause = self.deeper(expression, |this| this.clause(part, negated))?;
            match clause.test {
                Test::All(inner) if all => clauses.extend(inner),
                Test::Any(inner) if !all => clauses.extend(inner),
                _ => clauses.push(clause),
            }
        }
        if all {
            contradiction::refuse(&clauses)?;
            Ok(Test::All(clauses))
        } else {
            Ok(Test::Any(clauses))
        }
    }

    fn typed(&mut self, expression: &IdedExpr) -> Lowered<Typed> {
        self.deeper(expression, |this| match &expression.expr {
            Expr::Ident(name) => this.fact(expression, name),
            Expr::Literal(literal) => this.plain_literal(expression, literal),
            Expr::Call(call) => this.call(expression, call),
            Expr::List(_) => {
                Err(this.complain(expression, "a list can only stand to the right of `in`"))
            }
            Expr::Select(select) => Err(this
                .complain(
                    expression,
                    format!("`.{}`: facts are flat and have no fields", select.field),
                )
                .help("`portcullis facts` lists the names")),
            _ => {
                Err(this.complain(expression, "this part of CEL is not part of the rule language"))
            }
        })
    }

    fn fact(&self, expression: &IdedExpr, name: &str) -> Lowered<Typed> {
        let Scope { dictionary, all, lists, .. } = self.scope;
        let Some(position) = self.position(name) else {
            let complaint = self.complain(expression, format!("unknown fact `{name}`"));
            if lists.contains_key(name) {
                return Err(complaint.help(format!("it is a list: write `fact in {name}`")));
            }
            if let Some(other) = all.iter().find(|other| other.position(name).is_some()) {
                return Err(complaint.help(format!(
                    "it is a fact of subject `{}`, this rule is about a {}",
                    other.subject(),
                    dictionary.subject()
                )));
            }
            if dictionary.position(&format!("{name}_before")).is_some() {
                return Err(complaint.help(format!("write `{name}_before` or `{name}_after`")));
            }
            return Err(match closest(name, dictionary.names()) {
                Some(close) => complaint.help(format!("did you mean `{close}`?")),
                None => complaint.help("`portcullis facts` lists the names"),
            });
        };
        let spec = dictionary.fact(position);
        Ok(match spec.ty {
            FactType::Bool => Typed::Truth(Test::Fact { position, wanted: true }),
            FactType::Uint => Typed::Amount(Quantity {
                amount: Amount::Fact(position),
                unit: spec.unit,
                range: Range::FULL,
            }),
            FactType::Text => Typed::Text(Text::Fact(position)),
            FactType::Address => Typed::Account(Account::Fact(position)),
        })
    }

    fn plain_literal(&self, expression: &IdedExpr, literal: &LiteralValue) -> Lowered<Typed> {
        match literal {
            LiteralValue::Int(value) => match u64::try_from(*value.inner()) {
                Ok(value) => Ok(Typed::Amount(Quantity::constant(U256::from(value), ""))),
                Err(_) => Err(self
                    .complain(expression, "amounts are never negative")
                    .help("compare with `<`, or use `above(a, b)`")),
            },
            LiteralValue::UInt(value) => {
                Ok(Typed::Amount(Quantity::constant(U256::from(*value.inner()), "")))
            }
            LiteralValue::String(text) => Ok(Typed::Text(Text::Constant(text.inner().to_owned()))),
            LiteralValue::Double(_) => Err(self
                .complain(expression, "amounts are whole numbers")
                .help("decimals stand inside a unit, as in `eth(0.5)`")),
            LiteralValue::Boolean(_) => Err(self
                .complain(expression, "a bare `true` or `false` decides nothing")
                .help("name the fact itself, or `!fact`")),
            LiteralValue::Bytes(_) | LiteralValue::Null => {
                Err(self.complain(expression, "bytes and null are not part of the rule language"))
            }
        }
    }

    fn call(&mut self, expression: &IdedExpr, call: &CallExpr) -> Lowered<Typed> {
        let name = call.func_name.as_str();
        if let Some(target) = &call.target {
            return self.method(expression, name, target, &call.args);
        }
        match (name, call.args.as_slice()) {
            (operators::LOGICAL_NOT | operators::LOGICAL_AND | operators::LOGICAL_OR, _) => {
                self.truth(expression, false).map(Typed::Truth)
            }
            (operators::CONDITIONAL, [test, then, other]) => {
                self.choice(expression, test, then, other)
            }
            (operators::EQUALS, [left, right]) => {
                self.compare(expression, Relation::Equal, left, right)
            }
            (operators::NOT_EQUALS, [left, right]) => {
                self.compare(expression, Relation::NotEqual, left, right)
            }
            (operators::LESS, [left, right]) => {
                self.compare(expression, Relation::Less, left, right)
            }
            (operators::LESS_EQUALS, [left, right]) => {
                self.compare(expression, Relation::LessOrEqual, left, right)
            }
            (operators::GREATER, [left, right]) => {
                self.compare(expression, Relation::Greater, left, right)
            }
            (operators::GREATER_EQUALS, [left, right]) => {
                self.compare(expression, Relation::GreaterOrEqual, left, right)
            }
            (operators::IN, [value, set]) => self.membership(expression, value, set),
            (operators::ADD, [left, right]) => {
                self.arithmetic(expression, Operation::Add, left, right)
            }
            (operators::SUBSTRACT, [left, right]) => {
                self.arithmetic(expression, Operation::Subtract, left, right)
            }
            (operators::MULTIPLY, [left, right]) => {
                self.arithmetic(expression, Operation::Multiply, left, right)
            }
            (operators::DIVIDE, [left, right]) => {
                self.arithmetic(expression, Operation::Divide, left, right)
            }
            (operators::MODULO, [left, right]) => {
                self.arithmetic(expression, Operation::Remainder, left, right)
            }
            (operators::NEGATE, _) => Err(self
                .complain(expression, "amounts are never negative")
                .help("compare with `<`, or use `above(a, b)`")),
            ("address", [argument]) => match &argument.expr {
                Expr::Literal(LiteralValue::String(text)) => literal::address(text.inner())
                    .map(|account| Typed::Account(Account::Constant(account)))
                    .map_err(|message| self.complain(argument, message)),
                _ => {
                    Err(self
                        .complain(expression, "`address` takes one text, as in `address(\"0x…\")`"))
                }
            },
            ("selector", [argument]) => match &argument.expr {
                Expr::Literal(LiteralValue::String(text)) => function_selector(text.inner())
                    .map(|selector| {
                        let value = U256::from(u32::from_be_bytes(selector));
                        Typed::Amount(Quantity::constant(value, "selector"))
                    })
                    .map_err(|message| self.complain(argument, message)),
                _ => Err(self.complain(
                    expression,
                    "`selector` takes one signature, as in `selector(\"transfer(address,uint256)\")`",
                )),
            },
            (name, arguments) => {
                if let Some((_, decimals, unit)) =
                    AMOUNT_LITERALS.iter().find(|(known, _, _)| *known == name)
                {
                    return self.amount_literal(expression, name, arguments, *decimals, unit);
                }
                let function = AMOUNT_FUNCTIONS.iter().find(|(known, _)| *known == name);
                match (function, arguments) {
                    (Some((_, operation)), [left, right]) => {
                        self.arithmetic(expression, *operation, left, right)
                    }
                    (Some(_), _) => {
                        Err(self.complain(expression, format!("`{name}` takes two amounts")))
                    }
                    (None, _) => Err(self.unknown_function(expression, name)),
                }
            }
        }
    }

    fn unknown_function(&self, expression: &IdedExpr, name: &str) -> Complaint {
        let known = AMOUNT_LITERALS
            .iter()
            .map(|(name, _, _)| *name)
            .chain(AMOUNT_FUNCTIONS.iter().map(|(name, _)| *name))
            .chain(TEXT_METHODS.iter().map(|(name, _)| *name))
            .chain(["address", "selector"]);
        let complaint = self.complain(expression, format!("unknown function `{name}`"));
        match closest(name, known.clone()) {
            Some(close) => complaint.help(format!("did you mean `{close}`?")),
            None => complaint.help(format!("there are {}", known.collect::<Vec<_>>().join(", "))),
        }
    }

    fn choice(
        &mut self,
        expression: &IdedExpr,
        test: &IdedExpr,
        then: &IdedExpr,
        other: &IdedExpr,
    ) -> Lowered<Typed> {
        let test = Box::new(self.clause(test, false)?);
        let sides = (then, other);
        match (self.typed(then)?, self.typed(other)?) {
            (Typed::Truth(then), Typed::Truth(other)) => Ok(Typed::Truth(Test::Choose {
                test,
                then: Box::new(self.named(sides.0, then, false)),
                other: Box::new(self.named(sides.1, other, false)),
            })),
            (Typed::Amount(then), Typed::Amount(other)) => {
                let unit = self.common_unit(expression, &then, &other)?;
                let range = then.range.join(other.range);
                let amount = Amount::Choose {
                    test,
                    then: Box::new(then.amount),
                    other: Box::new(other.amount),
                };
                Ok(Typed::Amount(Quantity { amount, unit, range }))
            }
            (then, other) => Err(self.complain(
                expression,
                format!(
                    "both ways of a choice must be true or false, or amounts: found {} and {}",
                    then.kind(),
                    other.kind()
                ),
            )),
        }
    }

    fn text(&mut self, expression: &IdedExpr) -> Lowered<Text> {
        match self.typed(expression)? {
            Typed::Text(text) => Ok(text),
            other => {
                Err(self.complain(expression, format!("expected a text, found {}", other.kind())))
            }
        }
    }

    fn collect_reads(&self, expression: &IdedExpr, reads: &mut Vec<usize>) {
        match &expression.expr {
            Expr::Ident(name) => {
                if let Some(position) = self.position(name)
                    && !reads.contains(&position)
                {
                    reads.push(position);
                }
            }
            Expr::Call(call) => {
                call.target.iter().for_each(|target| self.collect_reads(target, reads));
                call.args.iter().for_each(|argument| self.collect_reads(argument, reads));
            }
            _ => {}
        }
    }

    fn deeper<T>(
        &mut self,
        expression: &IdedExpr,
        walk: impl FnOnce(&mut Self) -> Lowered<T>,
    ) -> Lowered<T> {
        if self.depth >= MAX_DEPTH {
            return Err(self
                .complain(expression, format!("the condition is nested deeper than {MAX_DEPTH}")));
        }
        self.depth += 1;
        let result = walk(self);
        self.depth -= 1;
        result
    }

    fn complain(&self, expression: &IdedExpr, message: impl Into<String>) -> Complaint {
        Complaint::new(self.source.span(expression), message)
    }
}

impl Typed {
    fn kind(&self) -> &'static str {
        match self {
            Self::Truth(_) => "a truth value",
            Self::Amount(_) => "an amount",
            Self::Text(_) => "a text",
            Self::Account(_) => "an address",
        }
    }
}
