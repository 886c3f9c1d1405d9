//! `portcullis facts`: the dictionary that rules are written against.

use std::fmt::Write as _;
use std::process::ExitCode;

use portcullis_rules::{FactSpec, Subject};

use crate::{dictionaries, terminal};

/// Arguments of `facts`.
#[derive(Debug, clap::Args)]
pub(crate) struct FactsArgs {
    /// Print the facts of this subject only
    #[arg(long, value_enum)]
    subject: Option<SubjectArg>,
    /// Shape of the output
    #[arg(long, value_enum, default_value_t = Format::Terminal)]
    format: Format,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum SubjectArg {
    Function,
    Transaction,
    Contract,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    Terminal,
    Json,
}

/// Version of the dictionary's JSON form.
const FORMAT_VERSION: u32 = 1;

/// Prints the dictionary on stdout.
pub(crate) fn run(args: FactsArgs) -> anyhow::Result<ExitCode> {
    let wanted = args.subject.map(|subject| match subject {
        SubjectArg::Function => Subject::Function,
        SubjectArg::Transaction => Subject::Transaction,
        SubjectArg::Contract => Subject::Contract,
    });
    let dictionaries = dictionaries();
    let specs: Vec<&FactSpec> = dictionaries
        .iter()
        .filter(|dictionary| wanted.is_none_or(|subject| dictionary.subject() == subject))
        .flat_map(|dictionary| dictionary.specs())
        .collect();
    let text = match args.format {
        Format::Json => {
            let document = serde_json::json!({ "version": FORMAT_VERSION, "facts": specs });
            serde_json::to_string_pretty(&document)? + "\n"
        }
        Format::Terminal => page(&specs),
    };
    terminal::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn page(specs: &[&FactSpec]) -> String {
    let width = specs.iter().map(|spec| spec.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    let mut subject = None;
    for spec in specs {
        if subject != Some(spec.subject) {
            if subject.is_some() {
                text.push('\n');
            }
            subject = Some(spec.subject);
            // Writing to a string cannot fail.
            let _infallible = writeln!(text, "{:?} facts", spec.subject);
        }
        let kind = format!("{:?}", spec.ty).to_lowercase();
        let unit = if spec.unit.is_empty() { String::new() } else { format!(" {}", spec.unit) };
        let unknown = if spec.may_be_unknown { " (may be unknown)" } else { "" };
        let _infallible =
            writeln!(text, "  {:width$}  {kind}{unit}{unknown}: {}", spec.name, spec.doc);
    }
    text
}
