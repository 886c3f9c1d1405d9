//! The page of a detector, read from its doc comment.

use std::fmt;

/// Sections that every page has, in this order.
const SECTIONS: [&str; 5] = ["Why it matters", "How to fix", "Bad", "Good", "Silent on purpose"];

/// A detector's page, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// One sentence that says what is wrong.
    pub headline: String,
    /// Title and body of each section, in order.
    pub sections: Vec<(String, String)>,
    /// The examples of all sections, in order.
    pub examples: Vec<Example>,
}

/// A Solidity example, which is also a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Whether the detector must fire on it.
    pub is_bad: bool,
    /// The code with its `//~ id` marks.
    pub code: String,
}

/// What a page lacks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PageError {
    /// The page does not begin with a sentence.
    #[error("the page has no headline")]
    Headline,
    /// The sections are not the required ones in the required order.
    #[error("sections: expected {SECTIONS:?}, found {found:?}")]
    Sections {
        /// The titles found.
        found: Vec<String>,
    },
    /// A section says nothing.
    #[error("section `{title}` is empty")]
    EmptySection {
        /// Its title.
        title: String,
    },
    /// A code block is not closed, or not marked `solidity bad` or `solidity good`.
    #[error(
        "code block `{fence}`: expected a closed block marked `solidity bad` or `solidity good`"
    )]
    Fence {
        /// The text after the opening fence.
        fence: String,
    },
    /// There is no bad or no good example.
    #[error("the page needs a `solidity bad` and a `solidity good` example")]
    Examples,
}

impl Page {
    /// Reads the page in a doc comment.
    ///
    /// # Errors
    /// [`PageError`] says what the page lacks.
    pub fn parse(doc: &str) -> Result<Self, PageError> {
        let mut headline = String::new();
        let mut sections: Vec<(String, String)> = Vec::new();
        let mut examples = Vec::new();
        let mut open: Option<(String, Example)> = None;
        for line in doc.lines().map(|line| line.strip_prefix(' ').unwrap_or(line)) {
            if let Some((_, example)) = &mut open {
                if line.trim_end() == "```" {
                    examples.extend(open.take().map(|(_, example)| example));
                } else {
                    example.code.push_str(line);
                    example.code.push('\n');
                }
            } else if let Some(fence) = line.strip_prefix("```") {
                let is_bad = match fence.trim() {
                    "solidity bad" => true,
                    "solidity good" => false,
                    _ => return Err(PageError::Fence { fence: fence.to_owned() }),
                };
                open = Some((fence.to_owned(), Example { is_bad, code: String::new() }));
            } else if let Some(title) = line.strip_prefix("## ") {
                sections.push((title.trim().to_owned(), String::new()));
                continue;
            }
            match sections.last_mut() {
                Some((_, body)) => push_line(body, line),
                None => push_line(&mut headline, line),
            }
        }
        let headline = headline.split("\n\n").next().unwrap_or_default().trim().replace('\n', " ");
        let titles: Vec<_> = sections.iter().map(|(title, _)| title.as_str()).collect();
        if headline.is_empty() {
            return Err(PageError::Headline);
        }
        if titles != SECTIONS {
            return Err(PageError::Sections {
                found: titles.into_iter().map(str::to_owned).collect(),
            });
        }
        if let Some((fence, _)) = open {
            return Err(PageError::Fence { fence });
        }
        for (title, body) in &mut sections {
            *body = body.trim().to_owned();
            if body.is_empty() {
                return Err(PageError::EmptySection { title: title.clone() });
            }
        }
        let has = |is_bad: bool| examples.iter().any(|example: &Example| example.is_bad == is_bad);
        if !has(true) || !has(false) {
            return Err(PageError::Examples);
        }
        Ok(Self { headline, sections, examples })
    }

    /// The body of a section.
    pub fn section(&self, title: &str) -> Option<&str> {
        self.sections.iter().find(|(found, _)| found == title).map(|(_, body)| body.as_str())
    }
}

/// As Markdown, without the marks that only tests need.
impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.headline)?;
        for (title, body) in &self.sections {
            write!(f, "\n\n## {title}\n")?;
            for line in body.lines() {
                let line = match line.strip_prefix("```solidity") {
                    Some(_) => "```solidity",
                    None => line.split("//~").next().unwrap_or_default().trim_end(),
                };
                write!(f, "\n{line}")?;
            }
        }
        writeln!(f)
    }
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = " Wrong thing.\n\n ## Why it matters\n Money.\n ## How to fix\n Do not.\n ## Bad\n ```solidity bad\n contract C { } //~ x\n ```\n ## Good\n ```solidity good\n contract D {}\n ```\n ## Silent on purpose\n Elsewhere.\n";

    #[test]
    fn a_whole_page_is_read_and_printed_without_marks() {
        let page = Page::parse(WHOLE).unwrap();
        assert_eq!(page.headline, "Wrong thing.");
        assert_eq!(page.section("How to fix"), Some("Do not."));
        assert_eq!(
            page.examples[0],
            Example { is_bad: true, code: "contract C { } //~ x\n".to_owned() }
        );
        let printed = page.to_string();
        assert!(
            printed.contains("## Bad\n\n```solidity\ncontract C { }\n```\n\n## Good"),
            "{printed}"
        );
    }

    #[test]
    fn each_missing_part_is_named() {
        for (title, _) in Page::parse(WHOLE).unwrap().sections {
            let without = WHOLE.replace(&format!(" ## {title}\n"), "");
            assert!(matches!(Page::parse(&without), Err(PageError::Sections { .. })), "{title}");
        }
        assert_eq!(
            Page::parse(&WHOLE.replace(" Money.\n", "")),
            Err(PageError::EmptySection { title: "Why it matters".to_owned() })
        );
        assert_eq!(Page::parse(&WHOLE.replace(" Wrong thing.\n", "")), Err(PageError::Headline));
        assert_eq!(
            Page::parse(&WHOLE.replace("solidity good", "solidity bad")),
            Err(PageError::Examples)
        );
        assert!(matches!(
            Page::parse(&WHOLE.replace("solidity good", "js")),
            Err(PageError::Fence { .. })
        ));
    }
}
