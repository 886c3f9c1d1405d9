//! What is shipped for running the guard as a service: as far as it can be checked without docker or systemd.

#![cfg(feature = "guard")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The lines of a Dockerfile, each as its instruction and its arguments; continued lines are one.
fn instructions(text: &str) -> Vec<(String, String)> {
    let text = text.replace("\\\n", " ");
    let lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (word, rest) = line.split_once(' ').unwrap();
            (word.to_owned(), rest.trim().to_owned())
        })
        .collect()
}

/// The arguments of what is run, as clap sees them: `--help` behind them prints help where all of them are known, and
/// would fail where one is not.
fn assert_understood(arguments: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(arguments)
        .arg("--help")
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    // A path that is not there is an error of the guard, not of its usage.
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis")).args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(error.contains("/etc/portcullis/portcullis.toml"), "{error}");
    assert!(!error.contains("Usage:"), "{error}");
}

#[test]
fn the_image_builds_what_it_copies_and_runs_as_an_ordinary_user() {
    let file = instructions(&read("docs/examples/Dockerfile"));
    let of = |word: &str| -> Vec<&str> {
        file.iter().filter(|(found, _)| found == word).map(|(_, rest)| rest.as_str()).collect()
    };
    let from = of("FROM");
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let version = manifest["workspace"]["package"]["rust-version"].as_str().unwrap();
    assert!(
        from[0].starts_with(&format!("rust:{version}-")),
        "built with the version that the workspace asks for: {from:?}"
    );
    let release = |image: &str| {
        ["trixie", "bookworm"]
            .into_iter()
            .find(|release| image.contains(release))
            .map(str::to_owned)
    };
    assert!(
        release(from[0]).is_some() && release(from[0]) == release(from[1]),
        "one libc: {from:?}"
    );

    // What is built is a binary of this package, with its default features: `guard` among them.
    let build = of("RUN").into_iter().find(|run| run.starts_with("cargo build")).unwrap();
    assert!(build.contains("--release") && build.contains("--locked"), "{build}");
    let name = build.split_once("--bin ").unwrap().1.split_whitespace().next().unwrap();
    assert_eq!(name, manifest["package"]["name"].as_str().unwrap());
    let features = manifest["features"]["default"].as_array().unwrap();
    assert!(features.iter().any(|feature| feature.as_str() == Some("guard")), "{features:?}");
    assert!(!build.contains("--no-default-features"), "{build}");
    let copied = of("COPY").into_iter().find(|copy| copy.starts_with("--from=build")).unwrap();
    let [_, from_path, to_path] = copied.split_whitespace().collect::<Vec<_>>()[..] else {
        panic!("{copied}")
    };
    assert_eq!(from_path, format!("/src/target/release/{name}"));
    let entry: Vec<String> = serde_json::from_str(of("ENTRYPOINT")[0]).unwrap();
    assert_eq!(entry, [to_path]);
    let command: Vec<String> = serde_json::from_str(of("CMD")[0]).unwrap();
    assert_understood(&command.iter().map(String::as_str).collect::<Vec<_>>());

    let user = of("USER")[0];
    let (uid, _) = user.split_once(':').unwrap();
    assert!(uid.parse::<u32>().unwrap() > 0, "{user}");
    let run = of("RUN").into_iter().find(|run| run.contains("useradd")).unwrap();
    assert!(run.contains(&format!("--uid {uid} ")), "{run}");
    for folder in [of("VOLUME")[0], of("WORKDIR")[1]] {
        assert!(run.contains(&format!("{folder}\n")) || run.ends_with(folder), "{folder}: {run}");
    }
    // The guard ends in order on what docker sends.
    assert_eq!(of("STOPSIGNAL"), ["SIGTERM"]);
    // What the build needs is not kept out of it, and what it does not need is.
    let ignored = read(".dockerignore");
    for needed in ["Cargo.lock", "src", "rules", "models", "alerting", "fixtures", "watcher"] {
        assert!(ignored.lines().all(|line| line.trim_matches('/') != needed), "{needed}");
    }
    assert!(ignored.lines().any(|line| line == "target"), "{ignored}");
}

#[test]
fn the_unit_starts_what_there_is_and_lets_it_write_its_folder_only() {
    let text = read("docs/examples/portcullis.service");
    let of = |key: &str| -> Vec<&str> {
        text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
    };
    for key in ["ExecStartPre", "ExecStart"] {
        let [line] = of(key)[..] else { panic!("one {key}") };
        let mut words = line.split_whitespace();
        assert_eq!(words.next(), Some("/usr/local/bin/portcullis"));
        assert_understood(&words.collect::<Vec<_>>());
    }
    assert_eq!(of("ProtectSystem"), ["strict"]);
    assert_eq!(of("StateDirectory"), ["portcullis"]);
    assert_ne!(of("User"), ["root"]);
    // The control socket, and nodes over the network.
    for family in ["AF_UNIX", "AF_INET", "AF_INET6"] {
        assert!(
            of("RestrictAddressFamilies")[0].split(' ').any(|found| found == family),
            "{family}"
        );
    }
}
