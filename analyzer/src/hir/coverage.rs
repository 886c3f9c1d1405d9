//! How many of the names that declarations use were resolved. Those in bodies are counted by the lowering.

use std::collections::BTreeMap;

use super::{Declaration, Program, Scope, type_of, type_path};
use crate::syntax::ast::{self, Expr, ExprKind};
use crate::syntax::uses;
use crate::syntax::{FileId, Span};

/// Uses of names: how many there are, and which of them stand for nothing known. A name whose type is unknown
/// counts as such.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// How many, by file.
    pub(crate) total: BTreeMap<FileId, u64>,
    pub(crate) unresolved: Vec<Span>,
}

impl Names {
    pub(crate) fn note(&mut self, span: Span, is_resolved: bool) {
        *self.total.entry(span.file).or_default() += 1;
        if !is_resolved {
            self.unresolved.push(span);
        }
    }

    pub(crate) fn note_path(&mut self, path: &[ast::Name], is_resolved: bool) {
        path.iter().for_each(|name| self.note(name.span, is_resolved));
    }

    pub(crate) fn add(&mut self, other: &Names) {
        for (file, total) in &other.total {
            *self.total.entry(*file).or_default() += total;
        }
        self.unresolved.extend(&other.unresolved);
    }
}

impl Program {
    /// Calls `note` with each name in a type, and whether it was resolved.
    pub(crate) fn each_type_name(&self, scope: Scope, ty: &Expr, note: &mut dyn FnMut(Span, bool)) {
        match &ty.kind {
            ExprKind::Ident(_) | ExprKind::Member(..) => {
                let path = type_path(ty).unwrap_or_default();
                let found = self.lookup_path(scope, &path);
                let is_known = found.iter().any(|declaration| type_of(*declaration).is_some());
                uses::in_expression(ty, &mut |span| note(span, is_known));
            }
            ExprKind::Mapping(key, value) => {
                self.each_type_name(scope, key, note);
                self.each_type_name(scope, value, note);
            }
            ExprKind::Index(element, length) => {
                self.each_type_name(scope, element, note);
                if let Some(length) = length {
                    let is_known = self.constant(scope, length).is_some();
                    uses::in_expression(length, &mut |span| note(span, is_known));
                }
            }
            ExprKind::FunctionType { params, returns, .. } => {
                for param in params.iter().chain(returns) {
                    self.each_type_name(scope, &param.ty, note);
                }
            }
            ExprKind::Tuple(items) => {
                items.iter().flatten().for_each(|item| self.each_type_name(scope, item, note));
            }
            _ => uses::in_expression(ty, &mut |span| note(span, false)),
        }
    }

    /// Whether any of what a path finds is a contract.
    pub(crate) fn names_contract(&self, scope: Scope, path: &[ast::Name]) -> bool {
        self.lookup_path(scope, path)
            .iter()
            .any(|declaration| matches!(declaration, Declaration::Contract(_)))
    }
}
