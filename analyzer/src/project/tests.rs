use std::fs;
use std::path::Path;

use super::*;

/// Writes `files` (path, text) below a fresh folder.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn read(base: &Path, paths: &[&str]) -> Project {
    let paths = paths.iter().map(PathBuf::from).collect();
    Project::read(&ProjectOptions { base: base.to_owned(), paths, ..ProjectOptions::default() })
        .unwrap()
}

/// One line per file: `+` reported or `-` read only, the path, and what its imports became.
fn picture(project: &Project) -> Vec<String> {
    let name = |number: &Option<usize>| {
        number.map_or("?", |number| project.files[number].shown.as_str()).to_owned()
    };
    let line = |file: &ProjectFile| {
        let sign = if file.is_reported { '+' } else { '-' };
        let imports: Vec<_> = file
            .imports
            .iter()
            .map(|(import, number)| format!(" {import}={}", name(number)))
            .collect();
        format!("{sign}{}{}", file.shown, imports.concat())
    };
    project.files.iter().map(line).collect()
}

#[test]
fn foundry_remappings_libraries_and_tests() {
    let folder = folder(&[
        (
            "foundry.toml",
            "[profile.default]\nsrc = 'src'\nlibs = ['lib', 'vendor']\nremappings = ['@tokens/=lib/tokens/contracts/', 'src/old/:@tokens/=vendor/old-tokens/']\n",
        ),
        ("remappings.txt", "# local\nmath/=lib/maths/src/\n"),
        (
            "src/A.sol",
            "import '@tokens/T.sol'; import 'math/M.sol'; import 'src/B.sol'; import 'solmate/S.sol';",
        ),
        ("src/old/B.sol", "import '@tokens/T.sol';"),
        ("src/B.sol", "import '@openzeppelin/contracts/Z.sol';"),
        ("lib/tokens/contracts/T.sol", "import './U.sol';"),
        ("lib/tokens/contracts/U.sol", ""),
        ("lib/maths/src/M.sol", ""),
        ("lib/solmate/src/S.sol", ""),
        ("lib/openzeppelin-contracts/contracts/Z.sol", ""),
        ("lib/unused/X.sol", ""),
        ("vendor/old-tokens/T.sol", ""),
        ("test/A.t.sol", "import '../src/A.sol';"),
        ("script/Deploy.s.sol", ""),
    ]);
    let project = read(folder.path(), &["."]);
    assert_eq!(
        picture(&project),
        [
            "-lib/maths/src/M.sol",
            "-lib/openzeppelin-contracts/contracts/Z.sol",
            "-lib/solmate/src/S.sol",
            "-lib/tokens/contracts/T.sol ./U.sol=lib/tokens/contracts/U.sol",
            "-lib/tokens/contracts/U.sol",
            "+src/A.sol @tokens/T.sol=lib/tokens/contracts/T.sol math/M.sol=lib/maths/src/M.sol \
             solmate/S.sol=lib/solmate/src/S.sol src/B.sol=src/B.sol",
            "+src/B.sol @openzeppelin/contracts/Z.sol=lib/openzeppelin-contracts/contracts/Z.sol",
            "+src/old/B.sol @tokens/T.sol=vendor/old-tokens/T.sol",
            "-vendor/old-tokens/T.sol",
        ]
    );
    assert_eq!(project.problems, []);
    assert_eq!(project.skipped, 4, "lib, vendor, test and script");
}

#[test]
fn hardhat_finds_node_modules_above() {
    let folder = folder(&[
        ("node_modules/@oz/contracts/T.sol", "import '../other/U.sol';"),
        ("node_modules/@oz/other/U.sol", ""),
        ("packages/core/hardhat.config.ts", ""),
        ("packages/core/contracts/A.sol", "import '@oz/contracts/T.sol';"),
        ("packages/core/contracts/test/Mock.sol", ""),
        ("packages/core/artifacts/A.sol/A.json", "{}"),
    ]);
    let project = read(folder.path(), &["packages/core"]);
    assert_eq!(
        picture(&project),
        [
            "-node_modules/@oz/contracts/T.sol ../other/U.sol=node_modules/@oz/other/U.sol",
            "-node_modules/@oz/other/U.sol",
            "+packages/core/contracts/A.sol @oz/contracts/T.sol=node_modules/@oz/contracts/T.sol",
        ]
    );
}

#[test]
fn a_path_named_inside_dependencies_or_tests_is_reported_on() {
    let folder = folder(&[
        ("foundry.toml", ""),
        ("lib/dep/src/D.sol", ""),
        ("test/unit/A.t.sol", "import 'dep/D.sol';"),
        ("node_modules/pkg/P.sol", ""),
    ]);
    assert_eq!(picture(&read(folder.path(), &["lib/dep"])), ["+lib/dep/src/D.sol"]);
    assert_eq!(picture(&read(folder.path(), &["node_modules/pkg"])), ["+node_modules/pkg/P.sol"]);
    let expected = ["-lib/dep/src/D.sol", "+test/unit/A.t.sol dep/D.sol=lib/dep/src/D.sol"];
    assert_eq!(picture(&read(folder.path(), &["test/unit"])), expected);
    assert_eq!(picture(&read(folder.path(), &["test/unit/A.t.sol"])), expected);
}

#[test]
fn the_order_of_arguments_changes_nothing() {
    let folder = folder(&[
        ("b.sol", "import './a.sol';"),
        ("a.sol", ""),
        ("sub/c.sol", "import '../b.sol';"),
    ]);
    let expected = ["+a.sol", "+b.sol ./a.sol=a.sol", "+sub/c.sol ../b.sol=b.sol"];
    assert_eq!(picture(&read(folder.path(), &["sub", "b.sol", "a.sol"])), expected);
    assert_eq!(picture(&read(folder.path(), &["a.sol", ".", "sub"])), expected);
}

#[test]
fn cycles_of_imports_end() {
    let folder =
        folder(&[("a.sol", "import './b.sol';"), ("b.sol", "import './a.sol'; import './b.sol';")]);
    assert_eq!(
        picture(&read(folder.path(), &["a.sol"])),
        ["+a.sol ./b.sol=b.sol", "-b.sol ./a.sol=a.sol ./b.sol=b.sol"]
    );
}

#[cfg(unix)]
#[test]
fn links_are_followed_once_and_never_out_of_the_named_folder() {
    use std::os::unix::fs::symlink;
    let folder = folder(&[("named/real/a.sol", ""), ("outside/b.sol", "")]);
    let named = folder.path().join("named");
    symlink(&named, named.join("real/loop")).unwrap();
    symlink(named.join("real"), named.join("alias")).unwrap();
    symlink(folder.path().join("outside"), named.join("out")).unwrap();
    symlink(named.join("gone.sol"), named.join("dangling.sol")).unwrap();
    let project = read(folder.path(), &["named"]);
    assert_eq!(picture(&project), ["+named/real/a.sol"]);
    let [ProjectProblem::File { path, .. }] = project.problems.as_slice() else {
        panic!("{:?}", project.problems)
    };
    assert_eq!(path, "named/dangling.sol");
}

#[test]
fn a_missing_import_is_said_once() {
    let folder = folder(&[
        ("a.sol", "import '@gone/G.sol'; import './near.sol';"),
        ("b.sol", "\n  import '@gone/G.sol';"),
        ("sub/c.sol", "import '../near.sol'; import '@gone/G.sol';"),
    ]);
    let missing = |offset, import: &str, importers| ProjectProblem::MissingImport {
        path: "a.sol".to_owned(),
        offset,
        import: import.to_owned(),
        importers,
    };
    assert_eq!(
        read(folder.path(), &["."]).problems,
        [missing(8, "@gone/G.sol", 3), missing(30, "./near.sol", 2)]
    );
}

#[test]
fn named_paths_that_give_nothing_are_said() {
    let folder = folder(&[("empty/readme.md", ""), ("test/A.t.sol", ""), ("a.sol", "")]);
    let project = read(folder.path(), &["a.sol", "gone.sol", "empty"]);
    assert_eq!(picture(&project), ["+a.sol"]);
    let named = project.problems.iter().map(|problem| match problem {
        ProjectProblem::NamedPath { path, .. } => path.as_str(),
        other => panic!("{other:?}"),
    });
    assert_eq!(named.collect::<Vec<_>>(), ["empty", "gone.sol"]);
}

#[test]
fn text_that_is_not_utf8_is_read_and_said() {
    let folder = folder(&[]);
    fs::write(folder.path().join("a.sol"), b"\xef\xbb\xbf// caf\xe9\ncontract C {}").unwrap();
    let project = read(folder.path(), &["a.sol"]);
    assert_eq!(&*project.files[0].text, "// caf\u{fffd}\ncontract C {}");
    assert_eq!(project.problems, [ProjectProblem::NotUtf8 { path: "a.sol".to_owned() }]);
}

#[test]
fn broken_configuration_is_said_and_defaults_are_used() {
    let folder =
        folder(&[("foundry.toml", "[profile.default\n"), ("src/A.sol", ""), ("lib/x/X.sol", "")]);
    let project = read(folder.path(), &["."]);
    assert_eq!(picture(&project), ["+src/A.sol"]);
    let [ProjectProblem::Configuration { path, reason }] = project.problems.as_slice() else {
        panic!("{:?}", project.problems)
    };
    assert_eq!(path, "foundry.toml");
    assert!(reason.contains("line 1"), "{reason}");
}

#[test]
fn globs_choose_what_is_reported_on() {
    let folder = folder(&[
        ("src/A.sol", "import './B.sol';"),
        ("src/B.sol", ""),
        ("src/old/C.sol", ""),
        ("other/D.sol", ""),
    ]);
    let select = |include: &[&str], exclude: &[&str]| {
        let owned = |globs: &[&str]| globs.iter().map(|glob| (*glob).to_owned()).collect();
        let options = ProjectOptions {
            base: folder.path().to_owned(),
            paths: vec![PathBuf::from(".")],
            include: owned(include),
            exclude: owned(exclude),
        };
        Project::read(&options).map(|project| {
            project
                .files
                .iter()
                .filter(|file| file.is_reported)
                .map(|file| file.shown.clone())
                .collect::<Vec<_>>()
                .join(" ")
        })
    };
    assert_eq!(select(&["src"], &["old/"]).unwrap(), "src/A.sol src/B.sol");
    assert_eq!(select(&["src/*.sol"], &["B.sol"]).unwrap(), "src/A.sol");
    assert_eq!(select(&[], &["./src/**"]).unwrap(), "other/D.sol");
    assert_eq!(select(&["[a"], &[]).unwrap_err().pattern, "[a");
}

#[test]
fn paths_are_shown_relative_to_the_base() {
    assert_eq!(shown_path(Path::new("/a/b"), Path::new("/a/b/c/d.sol")), "c/d.sol");
    assert_eq!(shown_path(Path::new("/a/b"), Path::new("/a/x.sol")), "../x.sol");
    assert_eq!(shown_path(Path::new("/a/b"), Path::new("/a/b")), ".");
}
