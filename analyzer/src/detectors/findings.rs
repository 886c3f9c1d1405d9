//! What detectors write into.

use crate::facts::Hazard;
use crate::hir::{FunctionId, Program};
use crate::syntax::Span;
use crate::syntax::ast::FunctionKind;

use super::{Confidence, Metadata};

/// The findings of one detector, as they are found.
#[derive(Debug)]
pub struct Findings {
    metadata: &'static Metadata,
    drafts: Vec<Draft>,
}

/// One finding that still points into the program by [`Span`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Where the flaw is.
    pub span: Span,
    /// One lowercase sentence without a stop: what is wrong here.
    pub message: String,
    /// Contract that the flaw stands in.
    pub contract: Option<String>,
    /// Function that the flaw stands in, with its parameter types.
    pub function: Option<String>,
    /// The whole of that function.
    pub extent: Option<Span>,
    /// The way to the flaw in the order in which it is executed; the flaw itself is one of the steps.
    pub steps: Vec<(Span, String)>,
    /// How sure it is.
    pub confidence: Confidence,
    /// How to fix it here; the detector's page says how to fix it in general.
    pub help: Option<String>,
}

impl Findings {
    /// An empty list for the detector of `metadata`.
    pub fn new(metadata: &'static Metadata) -> Self {
        Self { metadata, drafts: Vec::new() }
    }

    /// Reports a flaw at `span`; the returned draft takes what else is known of it.
    pub fn report(&mut self, span: Span, message: impl Into<String>) -> &mut Draft {
        let draft = Draft {
            span,
            message: message.into(),
            contract: None,
            function: None,
            extent: None,
            steps: Vec::new(),
            confidence: self.metadata.confidence,
            help: None,
        };
        self.drafts.push(draft);
        self.drafts.last_mut().expect("pushed above")
    }

    /// Reports a hazard with the way to it; `what` says what happens there.
    pub fn report_hazard(
        &mut self,
        program: &Program,
        hazard: &Hazard,
        message: impl Into<String>,
        what: &str,
        help: &str,
    ) {
        let draft = self.report(hazard.span, message);
        draft.inside(program, hazard.function).help(help);
        // What stands in a base may be harmless on others that derive from it.
        let on = match program.function(hazard.entry).contract {
            Some(declaring) if declaring != hazard.contract => {
                format!(" on `{}`", program.contract_name(hazard.contract))
            }
            _ => String::new(),
        };
        draft.step(program.function_name_span(hazard.entry), format!("anyone can call this{on}"));
        for call in &hazard.path {
            draft.step(*call, "which calls on");
        }
        draft.step(hazard.span, what);
        if hazard.partial {
            // What could not be read may hold the check.
            draft.confidence(Confidence::Low);
        }
    }

    /// Reports a hazard that is one whoever comes there; it is the only step.
    pub fn report_flaw(
        &mut self,
        program: &Program,
        hazard: &Hazard,
        message: impl Into<String>,
        help: &str,
    ) {
        let draft = self.report(hazard.span, message);
        draft.inside(program, hazard.function).help(help);
    }

    /// All drafts, in the order in which they were reported.
    pub fn into_drafts(self) -> Vec<Draft> {
        self.drafts
    }
}

impl Draft {
    /// Names the function that the flaw stands in, and its contract.
    pub fn inside(&mut self, program: &Program, function: FunctionId) -> &mut Self {
        let found = program.function(function);
        let keyword = match found.kind {
            FunctionKind::Constructor => Some("constructor"),
            FunctionKind::Fallback => Some("fallback"),
            FunctionKind::Receive => Some("receive"),
            FunctionKind::Function | FunctionKind::Modifier => None,
        };
        self.extent = Some(found.span);
        self.function = Some(keyword.unwrap_or(&found.signature).to_owned());
        self.contract = found.contract.map(|contract| program.contract_name(contract).to_owned());
        self
    }

    /// Adds the next step on the way to the flaw, in the order in which it is executed.
    pub fn step(&mut self, span: Span, what: impl Into<String>) -> &mut Self {
        self.steps.push((span, what.into()));
        self
    }

    /// Says how sure this finding is, where the facts know better than the detector in general.
    pub fn confidence(&mut self, confidence: Confidence) -> &mut Self {
        self.confidence = confidence;
        self
    }

    /// Says how to fix it here.
    pub fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }
}
