//! One view, indexed: who defines each local, what each value depends on, which place each access means.

use petgraph::graph::NodeIndex;
use petgraph::visit::EdgeRef;

use super::bits::{Bits, Lists};
use crate::cfg::*;
use crate::hir::{Program, Type, VariableId};

/// What values can depend on besides storage. Loads come after these, one bit each.
pub(crate) mod source {
    pub(crate) const SENDER: usize = 0;
    pub(crate) const ORIGIN: usize = 1;
    /// Data that the caller chooses: arguments, calldata, ether sent.
    pub(crate) const CALLER: usize = 2;
    pub(crate) const BLOCK: usize = 3;
    pub(crate) const BALANCE: usize = 4;
    /// What another contract returned.
    pub(crate) const EXTERNAL: usize = 5;
    /// An account recovered from a signature.
    pub(crate) const SIGNATURE: usize = 6;
    pub(crate) const UNKNOWN: usize = 7;
    pub(crate) const FIRST_LOAD: usize = 8;
}

/// A statement's position: its block and the index there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct At {
    pub(crate) block: NodeIndex,
    pub(crate) index: usize,
}

/// A place with references followed and keys made comparable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AbsolutePlace {
    pub(crate) root: AbsoluteRoot,
    pub(crate) path: Vec<AbsoluteKey>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum AbsoluteRoot {
    Variable(VariableId),
    /// A computed slot, by the value that names it.
    Slot(Operand, bool),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum AbsoluteKey {
    Index(Operand),
    Field(String),
    Length,
}

/// State that means the same in every entry point of a contract.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StateKey {
    /// A variable, and the field of the struct that it keeps, under whatever keys.
    Variable(VariableId, Option<String>),
    /// A slot named by a constant, the field of the struct that is kept there, and whether it is transient.
    Slot(Constant, Option<String>, bool),
}

impl StateKey {
    /// The state that a place belongs to, one for each field of a whole struct; none for slots that are computed
    /// from anything but constants.
    pub(crate) fn of(program: &Program, place: &AbsolutePlace) -> Vec<Self> {
        let field = place.path.iter().find_map(|key| match key {
            AbsoluteKey::Field(name) => Some(name.clone()),
            _ => None,
        });
        match &place.root {
            AbsoluteRoot::Variable(id) if field.is_none() => Self::of_variable(program, *id),
            AbsoluteRoot::Variable(id) => vec![Self::Variable(*id, field)],
            AbsoluteRoot::Slot(Operand::Constant(constant), is_transient)
                if *constant != Constant::Unknown =>
            {
                vec![Self::Slot(constant.clone(), field, *is_transient)]
            }
            AbsoluteRoot::Slot(..) => Vec::new(),
        }
    }

    /// The variable, whatever the field; for a slot its field counts.
    pub(crate) fn whole(&self) -> Self {
        match self {
            Self::Variable(id, _) => Self::Variable(*id, None),
            Self::Slot(..) => self.clone(),
        }
    }

    /// All state of a variable.
    pub(crate) fn of_variable(program: &Program, id: VariableId) -> Vec<Self> {
        let mut ty = &program.variable(id).ty;
        while let Type::Mapping(_, value) | Type::Array(value, _) = ty {
            ty = value;
        }
        match ty {
            Type::Struct(of) => program.structs[of.index()]
                .fields
                .iter()
                .map(|(name, _)| Self::Variable(id, Some(name.clone())))
                .collect(),
            _ => vec![Self::Variable(id, None)],
        }
    }
}

/// A view with its indexes.
pub(crate) struct Entry<'a> {
    pub(crate) program: &'a Program,
    pub(crate) view: &'a View,
    /// Where each local is defined.
    pub(crate) definitions: Lists<At>,
    /// Whether each local has one value.
    is_single: Vec<bool>,
    /// What each local depends on.
    pub(crate) dependencies: Vec<Bits>,
    /// The loads, by bit.
    pub(crate) loads: Vec<At>,
    /// The places that each load and store means, by the number of the statement.
    accesses: Lists<AbsolutePlace>,
    /// The number of each block's first statement, and behind them that of all statements.
    numbers: Vec<usize>,
    /// The blocks that read each local.
    pub(crate) readers: Lists<NodeIndex>,
    /// The stores of each block, by their indexes.
    stores: Lists<usize>,
    /// State that is written with what an operator makes of itself.
    pub(crate) turned: Vec<AbsolutePlace>,
    /// Where each block leads: the graph keeps its edges as lists, which are slow to walk often.
    successors: Lists<(Edge, NodeIndex)>,
}

/// References are followed no further than this, and to no more places.
const MAX_REFERENCES: usize = 8;

impl<'a> Entry<'a> {
    pub(crate) fn new(program: &'a Program, view: &'a View) -> Self {
        let mut entry = Self {
            program,
            view,
            definitions: Lists::default(),
            is_single: Vec::new(),
            dependencies: vec![Bits::default(); view.body.locals.len()],
            loads: Vec::new(),
            accesses: Lists::default(),
            numbers: Vec::with_capacity(view.body.graph.node_count() + 1),
            readers: Lists::default(),
            stores: Lists::default(),
            turned: Vec::new(),
            successors: Lists::default(),
        };
        entry.index();
        let graph = &view.body.graph;
        let mut number = 0;
        for block in graph.node_indices() {
            entry.numbers.push(number);
            number += graph[block].statements.len();
            entry.stores.begin();
            for (index, statement) in graph[block].statements.iter().enumerate() {
                entry.accesses.begin();
                let place = match &statement.kind {
                    StatementKind::Load { place, .. } => place,
                    StatementKind::Store { place, .. } => {
                        entry.stores.push(index);
                        place
                    }
                    _ => continue,
                };
                for place in entry.places(place) {
                    entry.accesses.push(place);
                }
            }
            entry.successors.begin();
            for edge in graph.edges(block) {
                entry.successors.push((*edge.weight(), edge.target()));
            }
        }
        entry.numbers.push(number);
        entry.turned = entry.find_turned();
        entry.solve_dependencies();
        entry
    }

    fn find_turned(&self) -> Vec<AbsolutePlace> {
        let mut found = Vec::new();
        for (at, statement) in self.statements() {
            let StatementKind::Store { value: Operand::Local(id), .. } = &statement.kind else {
                continue;
            };
            let [place] = self.accessed(at) else { continue };
            let is_itself = |operand: &Operand| match self.canonical(operand) {
                Operand::Local(id) => matches!(
                    self.definitions[id.index()],
                    [load] if matches!(self.statement(load).kind, StatementKind::Load { .. })
                        && matches!(self.accessed(load), [read] if read == place)
                ),
                _ => false,
            };
            let is_turned = match self.only_definition(*id).map(|statement| &statement.kind) {
                Some(StatementKind::Assign { value, .. }) => match value {
                    Rvalue::Unary(_, operand) => is_itself(operand),
                    Rvalue::Binary(_, left, right) | Rvalue::Wrapping(_, left, right) => {
                        is_itself(left) || is_itself(right)
                    }
                    _ => false,
                },
                _ => false,
            };
            if is_turned && !found.contains(place) {
                found.push(place.clone());
            }
        }
        found
    }

    pub(crate) fn statements(&self) -> impl Iterator<Item = (At, &'a Statement)> + use<'a> {
        let graph = &self.view.body.graph;
        graph.node_indices().flat_map(move |block| {
            graph[block]
                .statements
                .iter()
                .enumerate()
                .map(move |(index, statement)| (At { block, index }, statement))
        })
    }

    pub(crate) fn statement(&self, at: At) -> &'a Statement {
        &self.view.body.graph[at.block].statements[at.index]
    }

    /// The places that the load or store at `at` means; empty where a reference could not be followed.
    pub(crate) fn accessed(&self, at: At) -> &[AbsolutePlace] {
        // The end of a block is a place, too, where nothing is accessed.
        let number = self.numbers[at.block.index()] + at.index;
        if number < self.numbers[at.block.index() + 1] { &self.accesses[number] } else { &[] }
    }

    /// The indexes of the stores of a block, in order.
    pub(crate) fn stores_in(&self, block: NodeIndex) -> &[usize] {
        &self.stores[block.index()]
    }

    fn index(&mut self) {
        let graph = &self.view.body.graph;
        let n_locals = self.view.body.locals.len();
        let (mut readers, mut definitions) = (Vec::new(), Vec::new());
        // The block that was last seen to read each local.
        let mut last = vec![NodeIndex::end(); n_locals];
        for block in graph.node_indices() {
            if let End::Branch { condition: Operand::Local(id), .. } = &graph[block].end {
                readers.push((id.index(), block));
                last[id.index()] = block;
            }
        }
        for (at, statement) in self.statements() {
            statement.each_operand(&mut |operand| {
                if let Operand::Local(id) = operand
                    && std::mem::replace(&mut last[id.index()], at.block) != at.block
                {
                    readers.push((id.index(), at.block));
                }
            });
            match &statement.kind {
                StatementKind::Assign { target, .. } => definitions.push((target.index(), at)),
                StatementKind::Load { target, .. } => {
                    definitions.push((target.index(), at));
                    self.loads.push(at);
                }
                StatementKind::Call(call) => {
                    definitions.extend(call.results.iter().map(|result| (result.index(), at)));
                }
                _ => {}
            }
        }
        self.readers = Lists::of(n_locals, &readers);
        self.definitions = Lists::of(n_locals, &definitions);
        let locals = self.view.body.locals.iter().enumerate();
        self.is_single = locals
            .map(|(index, local)| self.definitions[index].len() == 1 && !local.is_param)
            .collect();
        for (index, local) in self.view.body.locals.iter().enumerate() {
            if local.is_param {
                self.dependencies[index].insert(source::CALLER);
            }
        }
    }

    fn solve_dependencies(&mut self) {
        let view = self.view;
        let graph = &view.body.graph;
        let order = self.in_order();
        let mut bits = Bits::default();
        // The locals that were read in this round: another is needed only where one of them changes behind that.
        let mut read = vec![false; view.body.locals.len()];
        let mut is_done = false;
        while !is_done {
            is_done = true;
            read.fill(false);
            for &(block, first_load) in &order {
                let mut load = source::FIRST_LOAD + first_load;
                for statement in &graph[block].statements {
                    bits.clear();
                    let results: &[LocalId] = match &statement.kind {
                        StatementKind::Assign { target, value } => {
                            value.each_operand(&mut |operand| {
                                self.add_dependencies(operand, &mut bits);
                                mark_read(operand, &mut read);
                            });
                            let own = match value {
                                Rvalue::Pure("ecrecover", _) => Some(source::SIGNATURE),
                                Rvalue::Pure("balance", _) => Some(source::BALANCE),
                                Rvalue::Pure("blockhash", _) => Some(source::BLOCK),
                                _ => None,
                            };
                            if let Some(own) = own {
                                bits.insert(own);
                            }
                            std::slice::from_ref(target)
                        }
                        StatementKind::Load { target, place } => {
                            bits.insert(load);
                            load += 1;
                            // Which element is read is chosen by the keys, but its content is not theirs.
                            if matches!(place.root, Root::Slot(..)) {
                                self.add_place_dependencies(place, &mut bits);
                                mark_place_read(place, &mut read);
                            }
                            std::slice::from_ref(target)
                        }
                        StatementKind::Call(call) => {
                            bits.insert(if matches!(call.kind, CallKind::Internal(..)) {
                                source::UNKNOWN
                            } else {
                                source::EXTERNAL
                            });
                            for operand in call.args.iter().chain(&call.callee) {
                                self.add_dependencies(operand, &mut bits);
                                mark_read(operand, &mut read);
                            }
                            &call.results
                        }
                        _ => continue,
                    };
                    for result in results {
                        let is_changed = self.dependencies[result.index()].union(&bits);
                        is_done &= !(is_changed && read[result.index()]);
                    }
                }
            }
        }
    }

    /// All blocks, each behind those that lead to it but for loops, with the loads that stand before it in the graph.
    fn in_order(&self) -> Vec<(NodeIndex, usize)> {
        let graph = &self.view.body.graph;
        let mut first_loads = vec![0; graph.node_count()];
        for load in &self.loads {
            first_loads[load.block.index()] += 1;
        }
        let mut n_loads = 0;
        for first in &mut first_loads {
            (n_loads, *first) = (n_loads + *first, n_loads);
        }
        let mut seen = Bits::default();
        let mut order = Vec::with_capacity(graph.node_count());
        // Each block on the way here, and how many of its ways have been gone.
        let mut open: Vec<(NodeIndex, usize)> = Vec::new();
        // From the entry first; what it does not lead to is come to afterwards.
        for start in [self.view.body.entry].into_iter().chain(graph.node_indices()) {
            if !seen.insert(start.index()) {
                continue;
            }
            open.push((start, 0));
            while let Some((block, gone)) = open.last_mut() {
                let block = *block;
                let next = self.successors[block.index()].get(*gone).map(|(_, next)| *next);
                *gone += 1;
                match next {
                    Some(next) if seen.insert(next.index()) => open.push((next, 0)),
                    Some(_) => {}
                    None => {
                        order.push((block, first_loads[block.index()]));
                        open.pop();
                    }
                }
            }
        }
        order.reverse();
        order
    }

    pub(crate) fn operand_dependencies(&self, operand: &Operand) -> Bits {
        let mut bits = Bits::default();
        self.add_dependencies(operand, &mut bits);
        bits
    }

    /// Adds what `operand` depends on to `bits`.
    pub(crate) fn add_dependencies(&self, operand: &Operand, bits: &mut Bits) {
        match operand {
            Operand::Local(id) => {
                bits.union(&self.dependencies[id.index()]);
            }
            Operand::Environment(environment) => {
                let own = match environment {
                    Environment::Sender => source::SENDER,
                    Environment::Origin => source::ORIGIN,
                    Environment::Value | Environment::Data => source::CALLER,
                    Environment::Block(_) => source::BLOCK,
                    Environment::This => return,
                };
                bits.insert(own);
            }
            Operand::Constant(Constant::Unknown) => {
                bits.insert(source::UNKNOWN);
            }
            Operand::Constant(_) => {}
            Operand::Storage(place) => self.add_place_dependencies(place, bits),
        }
    }

    pub(crate) fn place_dependencies(&self, place: &Place) -> Bits {
        let mut bits = Bits::default();
        self.add_place_dependencies(place, &mut bits);
        bits
    }

    fn add_place_dependencies(&self, place: &Place, bits: &mut Bits) {
        if let Root::Reference(id) = place.root {
            bits.union(&self.dependencies[id.index()]);
        }
        place.each_operand(&mut |operand| self.add_dependencies(operand, bits));
    }

    /// The one assignment of a local, where there is only one.
    pub(crate) fn only_definition(&self, id: LocalId) -> Option<&'a Statement> {
        self.is_single(id).then(|| self.statement(self.definitions[id.index()][0]))
    }

    /// Whether a local has one value: what the caller passes is a definition, too.
    pub(crate) fn is_single(&self, id: LocalId) -> bool {
        self.is_single[id.index()]
    }

    /// The value that an operand stands for once copies are followed.
    pub(crate) fn canonical(&self, operand: &Operand) -> Operand {
        let mut at = operand;
        // Copies of a local that has one definition cannot form a circle, but a bound costs nothing.
        for _ in 0..64 {
            let Operand::Local(id) = at else { break };
            let Some(statement) = self.only_definition(*id) else { break };
            match &statement.kind {
                StatementKind::Assign { value: Rvalue::Use(next) | Rvalue::Cast(next), .. } => {
                    at = next
                }
                _ => break,
            }
        }
        at.clone()
    }

    /// All places that `place` can mean; empty where a reference could not be followed.
    pub(crate) fn places(&self, place: &Place) -> Vec<AbsolutePlace> {
        let mut out = Vec::new();
        self.follow(place, MAX_REFERENCES, &mut out);
        out.sort();
        out.dedup();
        out
    }

    fn follow(&self, place: &Place, budget: usize, out: &mut Vec<AbsolutePlace>) {
        let path: Vec<_> = place
            .path
            .iter()
            .map(|key| match key {
                Key::Index(operand) => AbsoluteKey::Index(self.canonical(operand)),
                Key::Field(name) => AbsoluteKey::Field(name.clone()),
                Key::Length => AbsoluteKey::Length,
            })
            .collect();
        let root = match &place.root {
            Root::Variable(id) => AbsoluteRoot::Variable(*id),
            Root::Slot(operand, is_transient) => match self.canonical(operand) {
                Operand::Storage(inner) => {
                    self.extend(&inner, path, budget, out);
                    return;
                }
                operand => AbsoluteRoot::Slot(operand, *is_transient),
            },
            Root::Reference(id) => {
                if budget == 0 || out.len() >= MAX_REFERENCES {
                    return;
                }
                for at in &self.definitions[id.index()] {
                    if let StatementKind::Assign {
                        value: Rvalue::Use(operand) | Rvalue::Cast(operand),
                        ..
                    } = &self.statement(*at).kind
                    {
                        match operand {
                            Operand::Storage(inner) => {
                                self.extend(inner, path.clone(), budget, out)
                            }
                            Operand::Local(next) => {
                                let inner =
                                    Place { root: Root::Reference(*next), path: Vec::new() };
                                self.extend(&inner, path.clone(), budget, out);
                            }
                            _ => {}
                        }
                    }
                }
                return;
            }
        };
        out.push(AbsolutePlace { root, path });
    }

    fn extend(
        &self,
        inner: &Place,
        path: Vec<AbsoluteKey>,
        budget: usize,
        out: &mut Vec<AbsolutePlace>,
    ) {
        if budget == 0 {
            return;
        }
        let mut found = Vec::new();
        self.follow(inner, budget - 1, &mut found);
        for mut place in found {
            place.path.extend(path.iter().cloned());
            out.push(place);
        }
    }

    /// The type of what is kept at `place`, as far as it is declared.
    pub(crate) fn type_at(&self, place: &AbsolutePlace) -> Type {
        let AbsoluteRoot::Variable(id) = place.root else { return Type::Unknown };
        let mut ty = self.program.variable(id).ty.clone();
        for key in &place.path {
            ty = match (key, ty) {
                (AbsoluteKey::Index(_), Type::Mapping(_, value) | Type::Array(value, _)) => *value,
                (AbsoluteKey::Field(name), Type::Struct(id)) => {
                    let fields = &self.program.structs[id.index()].fields;
                    fields
                        .iter()
                        .find(|(field, _)| field == name)
                        .map_or(Type::Unknown, |(_, ty)| ty.clone())
                }
                (AbsoluteKey::Length, _) => Type::Uint(256),
                _ => return Type::Unknown,
            };
        }
        ty
    }

    /// State that `bits` depends on by way of loads.
    pub(crate) fn loaded_state(&self, bits: &Bits) -> Vec<StateKey> {
        let mut out: Vec<_> = bits
            .iter()
            .filter_map(|bit| self.loads.get(bit.checked_sub(source::FIRST_LOAD)?))
            .flat_map(|at| self.accessed(*at))
            .flat_map(|place| StateKey::of(self.program, place))
            .collect();
        out.sort();
        out.dedup();
        out
    }

    pub(crate) fn successors(&self, block: NodeIndex) -> &[(Edge, NodeIndex)] {
        &self.successors[block.index()]
    }

    /// Whether any block can be come to again from itself.
    pub(crate) fn has_loops(&self) -> bool {
        let n_blocks = self.view.body.graph.node_count();
        // Blocks are taken away once all that leads to them is; a loop is what stays.
        let mut leading = vec![0_usize; n_blocks];
        for block in 0..n_blocks {
            self.successors[block].iter().for_each(|(_, next)| leading[next.index()] += 1);
        }
        let mut open: Vec<usize> = (0..n_blocks).filter(|block| leading[*block] == 0).collect();
        let mut n_taken = 0;
        while let Some(block) = open.pop() {
            n_taken += 1;
            for (_, next) in &self.successors[block] {
                leading[next.index()] -= 1;
                if leading[next.index()] == 0 {
                    open.push(next.index());
                }
            }
        }
        n_taken < n_blocks
    }

    /// Blocks reachable from `starts` (included) over edges that `passes` admits.
    pub(crate) fn reachable(
        &self,
        starts: &[NodeIndex],
        passes: impl Fn(NodeIndex, Edge, NodeIndex) -> bool,
    ) -> Bits {
        let mut seen = Bits::default();
        let mut open = starts.to_vec();
        while let Some(block) = open.pop() {
            if seen.contains(block.index()) {
                continue;
            }
            seen.insert(block.index());
            for &(edge, next) in self.successors(block) {
                if passes(block, edge, next) {
                    open.push(next);
                }
            }
        }
        seen
    }
}

/// Notes the locals that the dependencies of an operand are made of.
fn mark_read(operand: &Operand, read: &mut [bool]) {
    match operand {
        Operand::Local(id) => read[id.index()] = true,
        Operand::Storage(place) => mark_place_read(place, read),
        Operand::Constant(_) | Operand::Environment(_) => {}
    }
}

fn mark_place_read(place: &Place, read: &mut [bool]) {
    if let Root::Reference(id) = place.root {
        read[id.index()] = true;
    }
    place.each_operand(&mut |operand| mark_read(operand, read));
}

/// Whether two places can be the same storage, or one part of the other.
pub(crate) fn overlap(left: &AbsolutePlace, right: &AbsolutePlace) -> bool {
    left.root == right.root
        && left.path.iter().zip(&right.path).all(|(left, right)| match (left, right) {
            (
                AbsoluteKey::Index(Operand::Constant(left)),
                AbsoluteKey::Index(Operand::Constant(right)),
            ) => left == right,
            (AbsoluteKey::Index(_), AbsoluteKey::Index(_)) => true,
            (left, right) => left == right,
        })
}

/// Whether writing `written` certainly overwrites all of `read`.
pub(crate) fn covers(written: &AbsolutePlace, read: &AbsolutePlace) -> bool {
    written.root == read.root
        && written.path.len() <= read.path.len()
        && written.path.iter().zip(&read.path).all(|(left, right)| left == right)
}
