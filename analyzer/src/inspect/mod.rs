//! What the analyzer knows of a program, to be looked at: one file per printer, one per form.
//!
//! ```text
//! project -> Program + Facts -> printer -> document (text, JSON) or drawing (DOT, SVG)
//! ```
//!
//! Start at [`inspect()`]. A printer gathers plain data and knows no form; a drawing is boxes and arrows and
//! knows no program. The same input gives the same bytes.

mod callgraph;
mod cfg;
mod dot;
mod drawing;
mod entry_points;
mod facts;
mod gas;
mod guards;
mod inheritance;
mod ir;
mod name;
mod source;
mod storage;
mod svg;
mod table;
#[cfg(test)]
mod tests;
mod units;
mod way;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use crate::audit;
pub use crate::cfg::text::IrError;
use crate::cfg::{Calls, text};
use crate::facts::{EntryPoint, Facts, Summary};
use crate::hir::{ContractId, Program};
use crate::project::{Project, ProjectOptions, SelectError};
use crate::report::Diagnostic;
use crate::syntax::FileId;
pub(crate) use way::Pictures;

use drawing::Drawing;
use name::Target;

/// Version of the JSON form of all printers.
pub const INSPECT_VERSION: u64 = 1;

/// What to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Printer {
    /// The control flow of functions over their source lines.
    Cfg,
    /// Who calls whom, with virtual functions as the most derived contract has them.
    Callgraph,
    /// Bases and linearisations of contracts.
    Inheritance,
    /// Slots and offsets of state variables.
    Storage,
    /// Functions that anyone can call and that can change something.
    EntryPoints,
    /// Who may reach each write and each call.
    Guards,
    /// What entry points cost at the least, and what they grow with.
    Gas,
    /// The three-address form of functions.
    Ir,
    /// The function facts that rules read.
    Facts,
}

/// How to print it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// For people at a terminal.
    Text,
    /// For programs.
    Json,
    /// For Graphviz.
    Dot,
    /// A picture, readable on light and dark ground.
    Svg,
}

/// What to read, and what of it to print how.
#[derive(Debug, Clone)]
pub struct InspectOptions {
    /// Folder that relative paths start from, and that printed paths are relative to.
    pub base: PathBuf,
    /// Files and folders to read.
    pub paths: Vec<PathBuf>,
    /// `Contract`, `Contract.function`, `Contract.function(types)` or a free function; all that the paths
    /// declare where it is missing.
    pub name: Option<String>,
    /// What to look at.
    pub printer: Printer,
    /// How to print it.
    pub form: Form,
    /// [`Printer::Cfg`] and [`Printer::Ir`] put internal calls in place, as the analysis sees them.
    pub is_whole: bool,
}

/// What was printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The document; ends with a newline.
    pub text: String,
    /// What could not be read or found, sorted.
    pub diagnostics: Vec<Diagnostic>,
}

/// Why nothing was printed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// No path was given.
    #[error("no path to inspect was given")]
    NoPath,
    /// A glob cannot be understood.
    #[error(transparent)]
    Glob(#[from] SelectError),
    /// A path cannot be read; the reason says why.
    #[error("cannot inspect {0}")]
    Unreadable(String),
    /// The program declares no such contract or function.
    #[error("no contract or function is called `{name}`{}", suggestion(near))]
    UnknownName {
        /// The name as it was given.
        name: String,
        /// Names that are much like it, the nearest first.
        near: Vec<String>,
    },
    /// The name stands for several things.
    #[error("`{name}` could be any of {}", quoted(choices))]
    Ambiguous {
        /// The name as it was given.
        name: String,
        /// Names that tell them apart.
        choices: Vec<String>,
    },
    /// A picture of control flow shows one function.
    #[error("a picture shows one function: name one, such as {}", quoted(choices))]
    OneFunction {
        /// Functions that could be meant; at most a handful.
        choices: Vec<String>,
    },
    /// The named function has no body.
    #[error("`{0}` has no body: it is only declared")]
    NoBody(String),
    /// The graph is too large to be drawn.
    #[error(
        "a graph of {nodes} boxes and {edges} arrows is too large to draw (at most {most} boxes): name one \
         contract or function, or use the format dot"
    )]
    TooLarge {
        /// Boxes.
        nodes: usize,
        /// Arrows.
        edges: usize,
        /// Boxes that are still drawn.
        most: usize,
    },
    /// The analysis itself failed: a bug.
    #[error("the analysis crashed, which is a bug in portcullis, please report it: {0}")]
    Crashed(String),
}

fn suggestion(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; did you mean {}?", quoted(near)) }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

impl Printer {
    /// All printers, in the order in which help lists them.
    pub const ALL: [Self; 9] = [
        Self::Cfg,
        Self::Callgraph,
        Self::Inheritance,
        Self::Storage,
        Self::EntryPoints,
        Self::Guards,
        Self::Gas,
        Self::Ir,
        Self::Facts,
    ];

    /// The name that a user writes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cfg => "cfg",
            Self::Callgraph => "callgraph",
            Self::Inheritance => "inheritance",
            Self::Storage => "storage",
            Self::EntryPoints => "entry-points",
            Self::Guards => "guards",
            Self::Gas => "gas",
            Self::Ir => "ir",
            Self::Facts => "facts",
        }
    }
}

/// Reads the sources and prints what is asked.
///
/// Broken sources and missing imports are diagnostics beside the text, never errors.
///
/// # Errors
/// [`InspectError`] when there is nothing to print: no path, a path that cannot be read, a name that is not
/// declared or not clear, a form that the printer does not have.
pub fn inspect(options: &InspectOptions) -> Result<Inspection, InspectError> {
    if options.paths.is_empty() {
        return Err(InspectError::NoPath);
    }
    let read = ProjectOptions {
        base: options.base.clone(),
        paths: options.paths.clone(),
        include: Vec::new(),
        exclude: Vec::new(),
    };
    let project = Project::read(&read)?;
    let (program, diagnostics) = audit::program_of(&project).map_err(InspectError::Crashed)?;
    if let Some(fatal) = diagnostics.iter().find(|diagnostic| diagnostic.kind.is_fatal()) {
        let message = fatal.message.trim_start_matches("cannot audit ").to_owned();
        return Err(InspectError::Unreadable(message));
    }
    let reported: Vec<bool> = project.files.iter().map(|file| file.is_reported).collect();
    let printed = crate::detectors::contained(|| print(&program, &reported, options));
    let text = printed.map_err(InspectError::Crashed)??;
    Ok(Inspection { text, diagnostics })
}

/// Reads the text that [`Printer::Ir`] prints of a function of `program`, and prints it anew. Places and frames
/// stay where the text has them.
///
/// # Errors
/// [`IrError`] with the first line and column that cannot be read, and what was expected there.
pub fn reprint_ir(program: &Program, text: &str) -> Result<String, IrError> {
    let names = text::Names::new(program);
    let (context, body) = text::parse(&names, text)?;
    Ok(text::Printer::new(&names, context, &body).document(text::Spans::Kept))
}

/// What a printer is asked about.
struct Inspected<'p> {
    program: &'p Program,
    facts: Facts<'p>,
    /// By file: named by the user, rather than only imported.
    reported: &'p [bool],
    target: Target,
    calls: Calls,
}

impl Inspected<'_> {
    fn is_reported(&self, file: FileId) -> bool {
        self.reported.get(file.0 as usize).copied().unwrap_or(false)
    }

    /// The contracts that are asked about, in order of declaration.
    fn contracts(&self) -> Vec<ContractId> {
        match self.target {
            Target::All => self
                .program
                .contract_ids()
                .filter(|id| self.is_reported(self.program.contract(*id).file))
                .collect(),
            Target::Contract(contract) | Target::Function { contract: Some(contract), .. } => {
                vec![contract]
            }
            Target::Function { contract: None, .. } => Vec::new(),
        }
    }

    /// The entry points that are asked about, with what they do.
    fn summaries(&self) -> Vec<&Summary> {
        let is_asked = |summary: &&Summary| {
            let (contract, function) = (summary.contract, summary.function);
            self.is_asked(EntryPoint { contract, function })
        };
        self.facts.summaries().iter().filter(is_asked).collect()
    }

    fn is_asked(&self, entry: EntryPoint) -> bool {
        match self.target {
            Target::All => self.is_reported(self.program.contract(entry.contract).file),
            Target::Contract(contract) => entry.contract == contract,
            Target::Function { contract, function } => {
                contract == Some(entry.contract) && function == entry.function
            }
        }
    }
}

/// The shape of every JSON document.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Portcullis inspect", extend("$id" = "inspect.schema.json"))]
struct Document<'a> {
    /// Major version of this format; later documents of the same version only add fields.
    #[schemars(extend("const" = 1))]
    version: u64,
    #[serde(flatten)]
    content: Content<'a>,
}

/// What was asked for, by the name of the printer.
#[derive(Clone, Copy, Serialize, JsonSchema)]
#[serde(tag = "inspect", rename_all = "kebab-case")]
enum Content<'a> {
    /// The control flow of functions, over the lines of their source.
    Cfg(&'a cfg::Functions),
    /// Who calls whom.
    Callgraph(&'a callgraph::CallGraph),
    /// Bases, and the order in which functions are looked up.
    Inheritance(&'a inheritance::Inheritance),
    /// Slots and offsets of state variables.
    Storage(&'a storage::Layouts),
    /// Functions that anyone can call and that can change something.
    EntryPoints(&'a entry_points::EntryPoints),
    /// Who may reach each write and each call, and under which lock.
    Guards(&'a guards::Guarded),
    /// What functions cost at the least, and what they grow with.
    Gas(&'a gas::Gas),
    /// The three-address form of functions.
    Ir(&'a ir::Functions),
    /// The function facts that rules read.
    Facts(&'a facts::Tables),
}

/// The JSON schema of what `inspect --format json` prints.
pub fn inspect_schema() -> serde_json::Value {
    let settings = schemars::generate::SchemaSettings::default().for_serialize();
    settings.into_generator().into_root_schema_for::<Document<'static>>().to_value()
}

fn print(
    program: &Program,
    reported: &[bool],
    options: &InspectOptions,
) -> Result<String, InspectError> {
    let target = name::find(program, reported, options.name.as_deref())?;
    let facts = Facts::new(program);
    let calls = if options.is_whole { Calls::InPlace } else { Calls::Kept };
    let asked = Inspected { program, facts, reported, target, calls };
    match options.printer {
        Printer::Cfg => {
            let functions = cfg::gather(&asked)?;
            match options.form {
                Form::Text => Ok(functions.to_text()),
                Form::Json => Ok(json(Content::Cfg(&functions))),
                form => drawn(form, functions.drawing()?),
            }
        }
        Printer::Ir => {
            let functions = ir::gather(&asked)?;
            match options.form {
                Form::Text => Ok(functions.to_text()),
                Form::Json => Ok(json(Content::Ir(&functions))),
                form => drawn(form, functions.drawing()?),
            }
        }
        Printer::Callgraph => {
            let graph = callgraph::gather(&asked);
            match options.form {
                Form::Text => Ok(graph.to_text()),
                Form::Json => Ok(json(Content::Callgraph(&graph))),
                form => drawn(form, graph.drawing()),
            }
        }
        Printer::Inheritance => {
            let tree = inheritance::gather(&asked);
            match options.form {
                Form::Text => Ok(tree.to_text()),
                Form::Json => Ok(json(Content::Inheritance(&tree))),
                form => drawn(form, tree.drawing()),
            }
        }
        Printer::Storage => {
            let layouts = storage::gather(&asked);
            listed(options, Content::Storage(&layouts), || layouts.to_text())
        }
        Printer::EntryPoints => {
            let entries = entry_points::gather(&asked);
            listed(options, Content::EntryPoints(&entries), || entries.to_text())
        }
        Printer::Guards => {
            let guards = guards::gather(&asked);
            listed(options, Content::Guards(&guards), || guards.to_text())
        }
        Printer::Gas => {
            let gas = gas::gather(&asked);
            listed(options, Content::Gas(&gas), || gas.to_text())
        }
        Printer::Facts => {
            let tables = facts::gather(&asked);
            listed(options, Content::Facts(&tables), || tables.to_text())
        }
    }
}

fn json(content: Content<'_>) -> String {
    let document = Document { version: INSPECT_VERSION, content };
    serde_json::to_string_pretty(&document).expect("documents hold plain data") + "\n"
}

/// A table: as it stands, as data, or as boxes without arrows.
fn listed(
    options: &InspectOptions,
    content: Content<'_>,
    text: impl Fn() -> String,
) -> Result<String, InspectError> {
    match options.form {
        Form::Text => Ok(text()),
        Form::Json => Ok(json(content)),
        form => drawn(form, table::drawing(options.printer.name(), &text())),
    }
}

fn drawn(form: Form, drawing: Drawing) -> Result<String, InspectError> {
    if form == Form::Dot { Ok(dot::print(&drawing)) } else { svg::draw(&drawing) }
}
