//! `portcullis models`, from the range to a score, and what it says of bad input.
#![cfg(feature = "guard")]

use std::path::Path;
use std::process::{Command, Output};

fn models(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .arg("models")
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the program can be started")
}

fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("it prints UTF-8")
}

fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr.clone()).expect("it prints UTF-8")
}

#[test]
fn a_model_is_made_from_nothing_and_asked() {
    let folder = tempfile::tempdir().unwrap();
    let models = |arguments: &[&str]| models(folder.path(), arguments);

    let made = printed(&models(&["range", "--seed", "3", "--episodes", "30", "--output", "data"]));
    assert!(made.starts_with("data: "), "{made}");
    let again =
        printed(&models(&["range", "--seed", "3", "--episodes", "30", "--output", "again"]));
    assert_eq!(made.strip_prefix("data"), again.strip_prefix("again"));

    let train = |output| {
        models(&["train", "--data", "data", "--trees", "5", "--depth", "4", "--output", output])
    };
    let card = printed(&train("model.onnx"));
    assert!(card.contains("## limits\n\nThe range is thin"), "{card}");
    printed(&train("same.onnx"));
    let bytes = |name| std::fs::read(folder.path().join(name)).unwrap();
    assert!(bytes("model.onnx") == bytes("same.onnx"), "the same data gave another model");
    assert_eq!(printed(&models(&["card", "--model", "model.onnx"])), card);

    let evaluation =
        printed(&models(&["evaluate", "--model", "model.onnx", "--data", "data", "--json"]));
    let evaluation: serde_json::Value = serde_json::from_str(&evaluation).unwrap();
    assert!(evaluation["auc"].as_f64().unwrap() > 0.95, "{evaluation}");
    assert_eq!(evaluation["families"]["deposit"]["harmful"], 0);

    let score = printed(&models(&[
        "score",
        "--model",
        "model.onnx",
        "--data",
        "data",
        "--row",
        "0",
        "--json",
    ]));
    let score: serde_json::Value = serde_json::from_str(&score).unwrap();
    let moves: f64 =
        score["moves"].as_array().unwrap().iter().map(|step| step["move"].as_f64().unwrap()).sum();
    let sum = score["bias"].as_f64().unwrap() + moves;
    assert!((sum - score["probability"].as_f64().unwrap()).abs() < 1e-5, "{score}");
    assert_eq!(score["engine"], "native");

    std::fs::write(folder.path().join("broken.onnx"), &bytes("model.onnx")[..1_000]).unwrap();
    let error = refused(&models(&["card", "--model", "broken.onnx"]));
    assert!(error.contains("broken.onnx: malformed model: "), "{error}");
    let error = refused(&models(&["evaluate", "--data", "nowhere"]));
    assert!(error.contains("nowhere/manifest.json"), "{error}");
    let error =
        refused(&models(&["train", "--data", "data", "--trees", "4", "--output", "x.onnx"]));
    assert!(error.contains("`n_trees` is 4, expected an odd number"), "{error}");
    let error = refused(&models(&["score", "--data", "data", "--row", "1000000"]));
    assert!(error.contains("there is no row 1000000"), "{error}");
}
