//! The files of a project as they were at an earlier commit, read from git.
//!
//! The Solidity files and the configuration of the commit are written below a temporary folder, under the paths
//! that they have today, so that the same reading finds them in the same way. What git does not hold (installed
//! packages, submodules) is linked to where it lies today.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

use super::layout::{is_configuration, is_test_file, is_test_folder, normalise};
use super::{MAX_FILE_BYTES, ProjectOptions};

/// Why an earlier state of the project cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The `git` program cannot be started.
    #[error("git cannot be started: {reason}")]
    NoGit {
        /// What the system says.
        reason: String,
    },
    /// A path lies in no repository.
    #[error(
        "`{path}` does not lie in a git repository, so there is no `{revision}` to compare with"
    )]
    NotARepository {
        /// The path as it was named.
        path: String,
        /// The revision that was asked for.
        revision: String,
    },
    /// The paths to audit lie in several repositories.
    #[error("`{path}` lies outside of the repository `{root}`: one run compares one repository")]
    OtherRepository {
        /// The path as it was named.
        path: String,
        /// Root of the repository that the first path lies in.
        root: String,
    },
    /// The repository does not know the revision.
    #[error(
        "the repository `{root}` has no commit `{revision}` (a shallow clone has only the newest: fetch it first)"
    )]
    UnknownRevision {
        /// Root of the repository.
        root: String,
        /// The revision that was asked for.
        revision: String,
    },
    /// A git command failed, or answered what was not expected.
    #[error("`git {command}` failed: {reason}")]
    Git {
        /// The command with its first argument.
        command: String,
        /// Its last words.
        reason: String,
    },
    /// The files of the commit cannot be written down.
    #[error("the files of `{revision}` cannot be written to a temporary folder: {reason}")]
    Unwritable {
        /// The revision that was asked for.
        revision: String,
        /// What the system says.
        reason: String,
    },
}

/// The files of one commit, below a folder that goes away with this value.
#[derive(Debug)]
pub(crate) struct Past {
    folder: tempfile::TempDir,
    options: ProjectOptions,
}

impl Past {
    /// Writes down what `options` would have read at `revision`, or at the last commit that `revision` and today
    /// have in common where they have parted.
    ///
    /// Files that are gone today count as read whatever was named, so that one which was moved into the named
    /// paths is recognised.
    pub(crate) fn read(options: &ProjectOptions, revision: &str) -> Result<Self, HistoryError> {
        let base = std::fs::canonicalize(&options.base).unwrap_or_else(|_| options.base.clone());
        let named: Vec<(String, PathBuf)> = options
            .paths
            .iter()
            .filter_map(|path| {
                let found = std::fs::canonicalize(base.join(path)).ok()?;
                Some((path.display().to_string(), found))
            })
            .collect();
        let repository = Repository::of(&base, &named, revision)?;
        let commit = repository.commit(revision)?;
        let unwritable = |error: std::io::Error| HistoryError::Unwritable {
            revision: revision.to_owned(),
            reason: error.to_string(),
        };
        let folder =
            tempfile::Builder::new().prefix("portcullis-").tempdir().map_err(unwritable)?;
        // Paths of the file system are compared in their canonical form everywhere.
        let top = std::fs::canonicalize(folder.path()).map_err(unwritable)?;
        let tree = Tree { top: &top, repository: &repository, revision };
        tree.write(&commit)?;
        let then = |path: &Path| below(&top, path);
        std::fs::create_dir_all(then(&base)).map_err(unwritable)?;
        let mut paths: Vec<PathBuf> = named
            .iter()
            .map(|(_, path)| then(path))
            .filter(|path| std::fs::canonicalize(path).is_ok_and(|real| real.starts_with(&top)))
            .collect();
        for gone in repository.gone_since(&commit)? {
            let path = then(&repository.root.join(&gone));
            if !is_of_tests(&gone) && path.is_file() {
                paths.push(path);
            }
        }
        let options = ProjectOptions {
            base: then(&base),
            paths,
            include: options.include.clone(),
            exclude: options.exclude.clone(),
        };
        Ok(Self { folder, options })
    }

    /// What to read, as [`ProjectOptions`] of the earlier state; no paths where nothing of them existed.
    pub(crate) fn options(&self) -> &ProjectOptions {
        debug_assert!(self.folder.path().exists(), "the folder lives as long as this value");
        &self.options
    }
}

/// An absolute path, mirrored below `top`.
fn below(top: &Path, path: &Path) -> PathBuf {
    let parts = path.components().filter(|part| matches!(part, Component::Normal(_)));
    parts.fold(top.to_owned(), |place, part| place.join(part))
}

fn is_of_tests(path: &Path) -> bool {
    let name = |part: Component<'_>| part.as_os_str().to_string_lossy().into_owned();
    let is_test = |name: String| is_test_folder(&name) || is_test_file(&name);
    path.components().map(name).any(is_test)
}

/// A git repository with a working tree.
struct Repository {
    root: PathBuf,
}

impl Repository {
    /// The one repository that all named paths lie in.
    fn of(base: &Path, named: &[(String, PathBuf)], revision: &str) -> Result<Self, HistoryError> {
        let fallback = (base.display().to_string(), base.to_owned());
        let (shown, first) = named.first().unwrap_or(&fallback);
        let folder = if first.is_dir() { first.as_path() } else { first.parent().unwrap_or(base) };
        let output = git(folder, &["rev-parse", "--show-toplevel"])?;
        let not_a_repository =
            || HistoryError::NotARepository { path: shown.clone(), revision: revision.to_owned() };
        if !output.status.success() {
            let said = last_words(&output);
            // A repository that git refuses to read (`safe.directory`) is another matter, which git explains best.
            if said.contains("not a git repository") {
                return Err(not_a_repository());
            }
            return Err(HistoryError::Git { command: "rev-parse".to_owned(), reason: said });
        }
        let root =
            String::from_utf8_lossy(&output.stdout).trim_end_matches(['\n', '\r']).to_owned();
        let root = std::fs::canonicalize(root).map_err(|_| not_a_repository())?;
        match named.iter().find(|(_, path)| !path.starts_with(&root)) {
            Some((path, _)) => Err(HistoryError::OtherRepository {
                path: path.clone(),
                root: root.display().to_string(),
            }),
            None => Ok(Self { root }),
        }
    }

    /// The commit to compare with.
    fn commit(&self, revision: &str) -> Result<String, HistoryError> {
        let spelled = format!("{revision}^{{commit}}");
        let asked = ["rev-parse", "--verify", "--quiet", "--end-of-options", &spelled];
        let output = git(&self.root, &asked)?;
        if !output.status.success() {
            return Err(HistoryError::UnknownRevision {
                root: self.root.display().to_string(),
                revision: revision.to_owned(),
            });
        }
        let commit = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        // What others changed on a branch since it parted from ours is not of our making. Without a common
        // ancestor (or without a commit of our own) the revision itself is what there is to compare with.
        let shared = git(&self.root, &["merge-base", &commit, "HEAD"])?;
        let shared_commit = String::from_utf8_lossy(&shared.stdout).trim().to_owned();
        Ok(if shared.status.success() && !shared_commit.is_empty() {
            shared_commit
        } else {
            commit
        })
    }

    /// Solidity files of the commit that no longer stand at their path.
    fn gone_since(&self, commit: &str) -> Result<Vec<PathBuf>, HistoryError> {
        let asked = ["diff", "--name-only", "--diff-filter=D", "--no-renames", "-z", commit, "--"];
        let names = self.names(&asked)?;
        Ok(names.iter().map(PathBuf::from).filter(|path| is_solidity(path)).collect())
    }

    /// Folders that git does not hold: installed packages, build results, what is not added yet.
    fn folders_outside_of_git(&self) -> Result<Vec<PathBuf>, HistoryError> {
        let names = self.names(&["ls-files", "--others", "--directory", "-z"])?;
        Ok(names.iter().filter_map(|name| name.strip_suffix('/')).map(PathBuf::from).collect())
    }

    /// The answer of a command that separates names by zero bytes.
    fn names(&self, asked: &[&str]) -> Result<Vec<String>, HistoryError> {
        let output = git(&self.root, asked)?;
        if !output.status.success() {
            let command = asked.first().copied().unwrap_or_default().to_owned();
            return Err(HistoryError::Git { command, reason: last_words(&output) });
        }
        let names = output.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        Ok(names.map(|name| String::from_utf8_lossy(name).into_owned()).collect())
    }
}

/// The tree of one commit, being written below `top`.
struct Tree<'a> {
    top: &'a Path,
    repository: &'a Repository,
    revision: &'a str,
}

impl Tree<'_> {
    fn write(&self, commit: &str) -> Result<(), HistoryError> {
        let listed = self.repository.names(&["ls-tree", "-r", "-z", "--full-tree", commit])?;
        let entries: Vec<Entry> = listed.iter().filter_map(|line| Entry::parse(line)).collect();
        let mut blobs = Blobs::open(&self.repository.root)?;
        let mut links = Vec::new();
        for entry in &entries {
            match entry.kind {
                Kind::File if is_solidity(&entry.path) || is_configuration(&entry.path) => {
                    if let Some(bytes) = blobs.read(&entry.hash)? {
                        self.write_file(&entry.path, &bytes)?;
                    }
                }
                Kind::File => {}
                Kind::Link => {
                    if let Some(bytes) = blobs.read(&entry.hash)? {
                        links.push((&entry.path, String::from_utf8_lossy(&bytes).into_owned()));
                    }
                }
                // A submodule: its files lie where it is checked out.
                Kind::Submodule => self.link_to_today(&entry.path)?,
            }
        }
        // After all files, so that none is written through a link.
        for (path, target) in links {
            let lies_inside = normalise(&path.parent().unwrap_or(path).join(&target))
                .components()
                .all(|part| matches!(part, Component::Normal(_)));
            if lies_inside {
                self.link(path, Path::new(&target))?;
            }
        }
        for folder in self.repository.folders_outside_of_git()? {
            self.link_to_today(&folder)?;
        }
        // Packages may be installed above the repository.
        for above in self.repository.root.ancestors().skip(1) {
            let packages = above.join("node_modules");
            if packages.is_dir() {
                self.unwritable(symlink(&packages, &below(self.top, &packages)))?;
            }
        }
        Ok(())
    }

    fn place(&self, path: &Path) -> PathBuf {
        below(self.top, &self.repository.root).join(path)
    }

    fn write_file(&self, path: &Path, bytes: &[u8]) -> Result<(), HistoryError> {
        let place = self.place(path);
        self.make_parent(&place)?;
        self.unwritable(std::fs::write(place, bytes))
    }

    /// Links `path` to what stands there today, if anything does.
    fn link_to_today(&self, path: &Path) -> Result<(), HistoryError> {
        let today = self.repository.root.join(path);
        if today.exists() { self.link(path, &today) } else { Ok(()) }
    }

    fn link(&self, path: &Path, target: &Path) -> Result<(), HistoryError> {
        let place = self.place(path);
        if place.symlink_metadata().is_ok() {
            return Ok(());
        }
        self.make_parent(&place)?;
        self.unwritable(symlink(target, &place))
    }

    fn make_parent(&self, place: &Path) -> Result<(), HistoryError> {
        self.unwritable(place.parent().map_or(Ok(()), std::fs::create_dir_all))
    }

    fn unwritable<T>(&self, result: std::io::Result<T>) -> Result<T, HistoryError> {
        result.map_err(|error| HistoryError::Unwritable {
            revision: self.revision.to_owned(),
            reason: error.to_string(),
        })
    }
}

#[cfg(unix)]
fn symlink(target: &Path, place: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, place)
}

#[cfg(windows)]
fn symlink(target: &Path, place: &Path) -> std::io::Result<()> {
    std::os::windows::fs::symlink_dir(target, place)
}

/// One line of `git ls-tree`.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    kind: Kind,
    hash: String,
    path: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Link,
    Submodule,
}

impl Entry {
    /// `MODE TYPE HASH<tab>PATH`; nothing for a path that would lead out of the tree, which no sound one has.
    fn parse(line: &str) -> Option<Self> {
        let (head, path) = line.split_once('\t')?;
        let mut words = head.split(' ');
        let kind = match words.next()? {
            "120000" => Kind::Link,
            "160000" => Kind::Submodule,
            _ => Kind::File,
        };
        let hash = words.nth(1)?.to_owned();
        let path = PathBuf::from(path);
        let is_sound = path.components().all(|part| matches!(part, Component::Normal(_)));
        is_sound.then_some(Self { kind, hash, path })
    }
}

/// The contents of objects, from one `git cat-file --batch`.
struct Blobs {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Blobs {
    fn open(root: &Path) -> Result<Self, HistoryError> {
        let started = command(root, &["cat-file", "--batch"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child =
            started.map_err(|error| HistoryError::NoGit { reason: error.to_string() })?;
        let piped = (child.stdin.take(), child.stdout.take());
        let (Some(questions), Some(answers)) = piped else {
            return Err(failed("no pipe to it could be opened"));
        };
        Ok(Self { child, questions, answers: BufReader::new(answers) })
    }

    /// The bytes of one object; nothing where it is larger than what is read of a file.
    fn read(&mut self, hash: &str) -> Result<Option<Vec<u8>>, HistoryError> {
        let broken = |error: std::io::Error| failed(&error.to_string());
        writeln!(self.questions, "{hash}").and_then(|()| self.questions.flush()).map_err(broken)?;
        let mut head = String::new();
        self.answers.read_line(&mut head).map_err(broken)?;
        let length = head.trim_end().rsplit(' ').next().and_then(|word| word.parse::<u64>().ok());
        let Some(length) = length else { return Err(failed(head.trim_end())) };
        // The line feed behind the object belongs to the answer.
        let mut answer = self.answers.by_ref().take(length + 1);
        if length > MAX_FILE_BYTES {
            std::io::copy(&mut answer, &mut std::io::sink()).map_err(broken)?;
            return Ok(None);
        }
        let mut bytes = Vec::new();
        answer.read_to_end(&mut bytes).map_err(broken)?;
        if bytes.pop().is_none() || bytes.len() as u64 != length {
            return Err(failed("it ended early"));
        }
        Ok(Some(bytes))
    }
}

impl Drop for Blobs {
    fn drop(&mut self) {
        // It only reads; whether it ends by itself or by this changes nothing.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn failed(reason: &str) -> HistoryError {
    HistoryError::Git { command: "cat-file --batch".to_owned(), reason: reason.to_owned() }
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(arguments);
    // Its words are looked at, and it must neither wait for a person nor refresh the index.
    command.env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0").env("GIT_OPTIONAL_LOCKS", "0");
    command
}

fn git(folder: &Path, arguments: &[&str]) -> Result<Output, HistoryError> {
    command(folder, arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| HistoryError::NoGit { reason: error.to_string() })
}

fn last_words(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().rev().find(|line| !line.trim().is_empty());
    line.map_or_else(|| output.status.to_string(), |line| line.trim().to_owned())
}

fn is_solidity(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "sol")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_a_tree_are_read_and_paths_out_of_it_are_not() {
        let entry =
            |line: &str| Entry::parse(line).map(|entry| (entry.kind, entry.hash, entry.path));
        assert_eq!(
            entry("100644 blob 0123\tsrc/a b.sol"),
            Some((Kind::File, "0123".to_owned(), PathBuf::from("src/a b.sol")))
        );
        assert_eq!(entry("120000 blob 45\tlink").map(|entry| entry.0), Some(Kind::Link));
        assert_eq!(entry("160000 commit 67\tlib/x").map(|entry| entry.0), Some(Kind::Submodule));
        for bad in ["100644 blob 01\t../a.sol", "100644 blob 01\t/a.sol", "100644 blob", ""] {
            assert_eq!(entry(bad), None, "{bad}");
        }
    }
}
