//! CEL syntax to the typed tree: names, types, units, and comparisons that cannot matter are settled here.

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators};
use ruint::aliases::U256;

use super::contradiction;
use super::literal;
use super::print::{print, print_negated};
use super::range::Range;
use super::suggest::closest;
use super::syntax::Source;
use super::tree::{Account, Amount, Clause, Operation, Relation, Test, Text, TextRelation};
use super::{Complaint, Span};
use crate::facts::{Dictionary, FactType};

/// Functions that make a constant amount: name, decimals, unit.
const AMOUNT_LITERALS: &[(&str, usize, &str)] = &[
    ("eth", 18, "wei"),
    ("gwei", 9, "wei"),
    ("wei", 0, "wei"),
    ("bps", 0, "bps"),
    ("blocks", 0, "blocks"),
];
/// Functions of two amounts.
const AMOUNT_FUNCTIONS: &[(&str, Operation)] =
    &[("above", Operation::Above), ("min", Operation::Smaller), ("max", Operation::Larger)];
/// Methods of a text.
const TEXT_METHODS: &[(&str, TextRelation)] = &[
    ("startsWith", TextRelation::StartsWith),
    ("endsWith", TextRelation::EndsWith),
    ("contains", TextRelation::Contains),
];
/// Depth of the tree that is walked and dropped; the token bound alone would allow a few hundred.
const MAX_DEPTH: usize = 64;

type Lowered<T> = Result<T, Complaint>;

/// One condition on its way from syntax to tree.
pub(super) struct Lowering<'a> {
    source: &'a Source,
    dictionary: &'a Dictionary,
    all: &'a [Dictionary],
    depth: usize,
}

/// An expression with its type.
enum Typed {
    Truth(Test),
    Amount(Quantity),
    Text(Text),
    Account(Account),
}

/// An amount with what is known of it at load.
struct Quantity {
    amount: Amount,
    /// Empty where any unit fits: plain numbers, products.
    unit: &'static str,
    range: Range,
}

impl<'a> Lowering<'a> {
    pub(super) fn new(
        source: &'a Source,
        dictionary: &'a Dictionary,
        all: &'a [Dictionary],
    ) -> Self {
        Self { source, dictionary, all, depth: 0 }
    }

    /// Lowers the whole condition.
    pub(super) fn condition(mut self) -> Lowered<Clause> {
        self.clause(&self.source.root, false)
    }

    /// Evaluates the source as a constant amount for a fact whose unit is `unit`.
    pub(super) fn constant(source: &'a Source, unit: &str) -> Lowered<U256> {
        let nothing = Dictionary::new(crate::facts::Subject::Transaction, []);
        let mut lowering = Lowering { source, dictionary: &nothing, all: &[], depth: 0 };
        let quantity = lowering.quantity(&source.root)?;
        let span = span(source, &source.root);
        if !quantity.unit.is_empty() && !unit.is_empty() && quantity.unit != unit {
            return Err(Complaint::new(
                span,
                format!("this amount is in {}, the fact is in {unit}", quantity.unit),
            ));
        }
        match quantity.amount {
            Amount::Constant(value) => Ok(value),
            _ => Err(Complaint::new(span, "expected a constant amount")),
        }
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
        Clause { test, text, reads, span: span(source, expression) }
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
        let Some(position) = self.dictionary.position(name) else {
            let complaint = self.complain(expression, format!("unknown fact `{name}`"));
            if let Some(other) = self.all.iter().find(|other| other.position(name).is_some()) {
                return Err(complaint.help(format!(
                    "it is a fact of subject `{}`, this rule is about a {}",
                    other.subject(),
                    self.dictionary.subject()
                )));
            }
            let names = self.dictionary.specs().iter().map(|spec| spec.name);
            return Err(match closest(name, names) {
                Some(close) => complaint.help(format!("did you mean `{close}`?")),
                None => complaint.help("`portcullis facts` lists the names"),
            });
        };
        let spec = self.dictionary.specs()[position];
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
            .chain(["address"]);
        let complaint = self.complain(expression, format!("unknown function `{name}`"));
        match closest(name, known.clone()) {
            Some(close) => complaint.help(format!("did you mean `{close}`?")),
            None => complaint.help(format!("there are {}", known.collect::<Vec<_>>().join(", "))),
        }
    }

    fn method(
        &mut self,
        expression: &IdedExpr,
        name: &str,
        target: &IdedExpr,
        arguments: &[IdedExpr],
    ) -> Lowered<Typed> {
        let Some((_, relation)) = TEXT_METHODS.iter().find(|(known, _)| *known == name) else {
            return Err(self.unknown_function(expression, name));
        };
        let [argument] = arguments else {
            return Err(self.complain(expression, format!("`{name}` takes one text")));
        };
        let left = self.text(target)?;
        let right = self.text(argument)?;
        if matches!((&left, &right), (Text::Constant(_), Text::Constant(_))) {
            return Err(
                self.complain(expression, "this reads no fact, so it always gives the same answer")
            );
        }
        Ok(Typed::Truth(Test::Texts { left, relation: *relation, right, wanted: true }))
    }

    fn amount_literal(
        &self,
        expression: &IdedExpr,
        name: &str,
        arguments: &[IdedExpr],
        decimals: usize,
        unit: &'static str,
    ) -> Lowered<Typed> {
        let text = match arguments {
            [IdedExpr { expr: Expr::Literal(LiteralValue::String(text)), .. }] => {
                text.inner().to_owned()
            }
            [argument @ IdedExpr { expr: Expr::Literal(LiteralValue::Int(value)), .. }] => {
                let Ok(value) = u64::try_from(*value.inner()) else {
                    return Err(self.complain(argument, "amounts are never negative"));
                };
                value.to_string()
            }
            // The digits of the author, not the float that CEL made of them.
            [argument @ IdedExpr { expr: Expr::Literal(LiteralValue::Double(_)), .. }] => {
                self.source.text(self.source.token(argument))
            }
            _ => {
                return Err(self.complain(
                    expression,
                    format!("`{name}` takes one number, or its digits as text where it is large"),
                ));
            }
        };
        literal::decimal(&text, decimals)
            .map(|value| Typed::Amount(Quantity::constant(value, unit)))
            .map_err(|message| self.complain(expression, message))
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

    fn compare(
        &mut self,
        expression: &IdedExpr,
        relation: Relation,
        left: &IdedExpr,
        right: &IdedExpr,
    ) -> Lowered<Typed> {
        if print(self.source, left) == print(self.source, right) {
            return Err(self.complain(expression, "both sides are the same"));
        }
        let equality = matches!(relation, Relation::Equal | Relation::NotEqual);
        let wanted = relation == Relation::Equal;
        if equality {
            // `fact == true` is the one place where a bare truth value may stand.
            for (value, side) in [(left, right), (right, left)] {
                if let Expr::Literal(LiteralValue::Boolean(literal)) = &value.expr {
                    return self.truth(side, *literal.inner() != wanted).map(Typed::Truth);
                }
            }
        }
        let sides = (left, right);
        let test = match (self.typed(left)?, self.typed(right)?) {
            (Typed::Amount(left), Typed::Amount(right)) => {
                return self.compare_amounts(expression, relation, left, right);
            }
            (Typed::Truth(left), Typed::Truth(right)) if equality => Test::SameTruth {
                left: Box::new(self.named(sides.0, left, false)),
                right: Box::new(self.named(sides.1, right, false)),
                wanted,
            },
            (Typed::Text(Text::Constant(_)), Typed::Text(Text::Constant(_))) => {
                return Err(self.complain(
                    expression,
                    "this reads no fact, so it always gives the same answer",
                ));
            }
            (Typed::Text(left), Typed::Text(right)) if equality => {
                Test::Texts { left, relation: TextRelation::Equal, right, wanted }
            }
            (Typed::Account(Account::Constant(_)), Typed::Account(Account::Constant(_))) => {
                return Err(self.complain(
                    expression,
                    "this reads no fact, so it always gives the same answer",
                ));
            }
            (Typed::Account(left), Typed::Account(right)) if equality => {
                Test::Accounts { left, right, wanted }
            }
            (Typed::Account(_), Typed::Text(_)) | (Typed::Text(_), Typed::Account(_)) => {
                return Err(self
                    .complain(expression, "an address and a text can never be equal")
                    .help("write the address as `address(\"0x…\")`"));
            }
            (left, right) if left.kind() == right.kind() => {
                return Err(self.complain(expression, format!("{} has no order", left.kind())));
            }
            (left, right) => {
                return Err(self.complain(
                    expression,
                    format!("this compares {} with {}", left.kind(), right.kind()),
                ));
            }
        };
        Ok(Typed::Truth(test))
    }

    fn compare_amounts(
        &self,
        expression: &IdedExpr,
        relation: Relation,
        left: Quantity,
        right: Quantity,
    ) -> Lowered<Typed> {
        self.common_unit(expression, &left, &right)?;
        match left.range.decide(relation, right.range) {
            Some(true) => return Err(self.complain(expression, "this comparison always holds")),
            Some(false) => return Err(self.complain(expression, "this comparison can never hold")),
            None => {}
        }
        Ok(Typed::Truth(match (left.amount, right.amount) {
            (Amount::Fact(position), Amount::Constant(bound)) => {
                Test::Bound { position, relation, bound }
            }
            (Amount::Constant(bound), Amount::Fact(position)) => {
                Test::Bound { position, relation: relation.mirrored(), bound }
            }
            (left, right) => Test::Amounts { left, relation, right },
        }))
    }

    fn membership(
        &mut self,
        expression: &IdedExpr,
        value: &IdedExpr,
        set: &IdedExpr,
    ) -> Lowered<Typed> {
        let Expr::List(list) = &set.expr else {
            return Err(self.complain(set, "expected a list of constants, as in `x in [1, 2]`"));
        };
        if list.elements.is_empty() {
            return Err(
                self.complain(expression, "nothing is in an empty list: this can never hold")
            );
        }
        let test = match self.typed(value)? {
            Typed::Amount(value) => {
                let mut constants = Vec::new();
                for element in &list.elements {
                    let entry = self.quantity(element)?;
                    self.common_unit(element, &value, &entry)?;
                    let Amount::Constant(constant) = entry.amount else {
                        return Err(self.complain(element, "expected a constant amount"));
                    };
                    constants.push(constant);
                }
                Test::AmountIn { value: value.amount, set: constants, wanted: true }
            }
            Typed::Text(value) => {
                let mut constants = Vec::new();
                for element in &list.elements {
                    match self.text(element)? {
                        Text::Constant(constant) => constants.push(constant),
                        Text::Fact(_) => {
                            return Err(self.complain(element, "expected a constant text"));
                        }
                    }
                }
                Test::TextIn { value, set: constants, wanted: true }
            }
            Typed::Account(value) => {
                let mut constants = Vec::new();
                for element in &list.elements {
                    match self.typed(element)? {
                        Typed::Account(Account::Constant(constant)) => constants.push(constant),
                        _ => {
                            return Err(self.complain(
                                element,
                                "expected an address, as in `address(\"0x…\")`",
                            ));
                        }
                    }
                }
                Test::AccountIn { value, set: constants, wanted: true }
            }
            Typed::Truth(_) => {
                return Err(self.complain(value, "expected an amount, a text or an address"));
            }
        };
        Ok(Typed::Truth(test))
    }

    fn arithmetic(
        &mut self,
        expression: &IdedExpr,
        operation: Operation,
        left: &IdedExpr,
        right: &IdedExpr,
    ) -> Lowered<Typed> {
        let left = self.quantity(left)?;
        let right = self.quantity(right)?;
        let unit = match operation {
            // A product of two units has none that a comparison could check.
            Operation::Multiply if left.unit.is_empty() => right.unit,
            Operation::Multiply if right.unit.is_empty() => left.unit,
            Operation::Multiply => "",
            Operation::Divide if right.unit.is_empty() => left.unit,
            Operation::Divide => "",
            Operation::Remainder => left.unit,
            Operation::Add
            | Operation::Subtract
            | Operation::Above
            | Operation::Smaller
            | Operation::Larger => self.common_unit(expression, &left, &right)?,
        };
        if let (Amount::Constant(left), Amount::Constant(right)) = (&left.amount, &right.amount) {
            return match operation.apply(*left, *right) {
                Some(value) => Ok(Typed::Amount(Quantity::constant(value, unit))),
                None => {
                    Err(self
                        .complain(expression, "this amount does not fit into 256 unsigned bits"))
                }
            };
        }
        let range = left.range.apply(operation, right.range);
        let amount = Amount::Binary {
            operation,
            left: Box::new(left.amount),
            right: Box::new(right.amount),
        };
        Ok(Typed::Amount(Quantity { amount, unit, range }))
    }

    fn quantity(&mut self, expression: &IdedExpr) -> Lowered<Quantity> {
        match self.typed(expression)? {
            Typed::Amount(quantity) => Ok(quantity),
            other => {
                Err(self
                    .complain(expression, format!("expected an amount, found {}", other.kind())))
            }
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

    /// The unit of two amounts that are added or compared.
    fn common_unit(
        &self,
        expression: &IdedExpr,
        left: &Quantity,
        right: &Quantity,
    ) -> Lowered<&'static str> {
        match (left.unit, right.unit) {
            ("", unit) | (unit, "") => Ok(unit),
            (left, right) if left == right => Ok(left),
            (left, right) => {
                Err(self
                    .complain(expression, format!("one side is in {left}, the other in {right}")))
            }
        }
    }

    fn collect_reads(&self, expression: &IdedExpr, reads: &mut Vec<usize>) {
        match &expression.expr {
            Expr::Ident(name) => {
                if let Some(position) = self.dictionary.position(name)
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
        Complaint::new(span(self.source, expression), message)
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

impl Quantity {
    fn constant(value: U256, unit: &'static str) -> Self {
        Self { amount: Amount::Constant(value), unit, range: Range::only(value) }
    }
}

/// The test that is true exactly where this one is false, and unknown where this one is.
fn negate(test: Test) -> Test {
    match test {
        Test::Fact { position, wanted } => Test::Fact { position, wanted: !wanted },
        Test::SameTruth { left, right, wanted } => Test::SameTruth { left, right, wanted: !wanted },
        Test::Bound { position, relation, bound } => {
            Test::Bound { position, relation: relation.negated(), bound }
        }
        Test::Amounts { left, relation, right } => {
            Test::Amounts { left, relation: relation.negated(), right }
        }
        Test::AmountIn { value, set, wanted } => Test::AmountIn { value, set, wanted: !wanted },
        Test::Texts { left, relation, right, wanted } => {
            Test::Texts { left, relation, right, wanted: !wanted }
        }
        Test::TextIn { value, set, wanted } => Test::TextIn { value, set, wanted: !wanted },
        Test::Accounts { left, right, wanted } => Test::Accounts { left, right, wanted: !wanted },
        Test::AccountIn { value, set, wanted } => Test::AccountIn { value, set, wanted: !wanted },
        // `truth` negates these while it walks, so that the clauses keep the text of their author.
        Test::All(clauses) => Test::Any(clauses.into_iter().map(negate_clause).collect()),
        Test::Any(clauses) => Test::All(clauses.into_iter().map(negate_clause).collect()),
        Test::Choose { test, then, other } => Test::Choose {
            test,
            then: Box::new(negate_clause(*then)),
            other: Box::new(negate_clause(*other)),
        },
    }
}

fn negate_clause(clause: Clause) -> Clause {
    Clause { test: negate(clause.test), text: format!("!({})", clause.text), ..clause }
}

/// All the characters that an expression covers, as far as its tokens tell.
fn span(source: &Source, expression: &IdedExpr) -> Span {
    let own = source.token(expression);
    let around = |parts: &mut dyn Iterator<Item = &IdedExpr>| {
        parts.map(|part| span(source, part)).fold(own, |whole, part| Span {
            start: whole.start.min(part.start),
            end: whole.end.max(part.end),
        })
    };
    match &expression.expr {
        Expr::Call(call) => {
            let inside = around(&mut call.target.iter().map(AsRef::as_ref).chain(&call.args));
            // Operators have names that no function can have.
            if is_function(&call.func_name) {
                source.whole_call(&call.func_name, inside)
            } else {
                inside
            }
        }
        Expr::Select(select) => {
            let dotted = around(&mut std::iter::once(select.operand.as_ref()));
            Span { end: dotted.end + select.field.chars().count(), ..dotted }
        }
        Expr::List(list) => around(&mut list.elements.iter()),
        _ => own,
    }
}

fn is_function(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
}
