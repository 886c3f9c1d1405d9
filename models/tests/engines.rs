//! Both engines on the same file: the native walk is the referee for the real ONNX Runtime.

use std::path::PathBuf;
use std::sync::LazyLock;

use portcullis_models::data::{Dataset, Origin, Row, Rules};
use portcullis_models::random::Random;
use portcullis_models::schema::{CONTRACT, TRANSACTION, transaction};
use portcullis_models::train::{TrainOptions, fit};
use portcullis_models::{Engine, Model, Vector, shipped};

/// Where the set-up script puts the library.
fn library() -> PathBuf {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../.parts/onnxruntime/libonnxruntime.so");
    assert!(
        path.is_file(),
        "{} is missing: run `.ci/setup` at the root of the project",
        path.display()
    );
    path
}

fn random_vector(random: &mut Random) -> Vector {
    let mut vector = Vector::unknown(&TRANSACTION);
    for (index, feature) in TRANSACTION.features.iter().enumerate() {
        // Some features stay unknown, and some sit on whole numbers, where thresholds like to be.
        let value = feature.min + (feature.max - feature.min).min(20.0) * random.unit() as f32;
        match random.below(4) {
            0 => {}
            1 => vector.set(index, value.round()),
            _ => vector.set(index, value),
        }
    }
    vector
}

static MODEL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut rows = Vec::new();
    for episode in 0..80 {
        let mut random = Random::part(11, episode);
        for _ in 0..5 {
            let vector = random_vector(&mut random);
            let known = |index| vector.value(index).unwrap_or(0.0);
            let harm = known(transaction::OUTFLOW_FRAC) > 0.3
                && known(transaction::REENTRY_WRITE) > 2.0
                || known(transaction::SOLVENCY_DELTA_BPS) < -9_990.0;
            rows.push(Row {
                harm,
                intent: harm,
                family: "any".to_owned(),
                episode,
                protocol: String::new(),
                rules: Rules::Silent,
                values: vector.values().to_vec(),
            });
        }
    }
    let origin =
        Origin { generator: "test".to_owned(), generator_version: "1".to_owned(), seed: 11 };
    let data = Dataset { schema: &TRANSACTION, origin, rows };
    let options = TrainOptions { n_trees: 21, max_depth: 6, ..TrainOptions::default() };
    fit(&data, &options)
        .expect("the rows hold both classes")
        .with_card("limits", "made for a test")
        .to_onnx()
});

#[test]
fn onnx_runtime_and_the_native_walk_give_the_same_numbers() {
    let native = Model::from_bytes(&MODEL, &TRANSACTION, Engine::Native).unwrap();
    let library = library();
    let runtime =
        Model::from_bytes(&MODEL, &TRANSACTION, Engine::OnnxRuntime { library: &library }).unwrap();
    assert_eq!((native.engine_name(), runtime.engine_name()), ("native", "onnxruntime"));
    assert_eq!(native.hash_hex(), runtime.hash_hex());
    assert_eq!(runtime.card()["limits"], "made for a test");

    let mut random = Random::new(23);
    let (mut lowest, mut highest) = (1.0_f32, 0.0_f32);
    for _ in 0..500 {
        let vector = random_vector(&mut random);
        let (a, b) = (native.score(&vector).unwrap(), runtime.score(&vector).unwrap());
        assert!(
            (a.probability - b.probability).abs() <= 1e-6,
            "{} and {}",
            a.probability,
            b.probability
        );
        assert_eq!(a.contributions, b.contributions);
        let sum = b.bias + b.contributions.iter().map(|&(_, move_by)| move_by).sum::<f32>();
        assert!((sum - b.probability).abs() <= 1e-5, "{sum} and {}", b.probability);
        lowest = lowest.min(b.probability);
        highest = highest.max(b.probability);
    }
    assert!(highest - lowest > 0.3, "the rows do not move the model: {lowest} to {highest}");
}

#[test]
fn the_model_that_ships_gives_the_same_numbers_on_both() {
    let library = library();
    let load = |engine| Model::from_bytes(shipped::TRANSACTION, &TRANSACTION, engine).unwrap();
    let (native, runtime) = (load(Engine::Native), load(Engine::OnnxRuntime { library: &library }));
    let mut random = Random::new(29);
    for _ in 0..500 {
        let vector = random_vector(&mut random);
        let (a, b) = (
            native.score(&vector).unwrap().probability,
            runtime.score(&vector).unwrap().probability,
        );
        assert!((a - b).abs() <= 1e-6, "{a} and {b}");
    }
}

/// A line of the golden rows that the model's making writes beside it.
#[derive(Debug, serde::Deserialize)]
struct Golden {
    family: String,
    values: Vec<f32>,
    probability: f32,
}

#[test]
fn golden_rows_score_the_same_on_every_way_of_serving() {
    let library = library();
    let shipped = [
        (shipped::TRANSACTION, &TRANSACTION, include_str!("../shipped/transaction.golden.jsonl")),
        (shipped::CONTRACT, &CONTRACT, include_str!("../shipped/contract.golden.jsonl")),
    ];
    for (bytes, schema, golden) in shipped {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.onnx");
        std::fs::write(&path, bytes).unwrap();
        let native = Model::from_bytes(bytes, schema, Engine::Native).unwrap();
        let from_file = Model::from_file(&path, schema, Engine::Native).unwrap();
        let runtime =
            Model::from_bytes(bytes, schema, Engine::OnnxRuntime { library: &library }).unwrap();
        let rows: Vec<Golden> =
            golden.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(rows.len() >= 40, "{}: {} rows", schema.name, rows.len());
        let (mut lowest, mut highest) = (1.0_f32, 0.0_f32);
        for Golden { family, values, probability } in rows {
            let vector = Vector::from_values(schema, &values).unwrap();
            for model in [&native, &from_file] {
                let found = model.score(&vector).unwrap().probability;
                assert_eq!(found.to_bits(), probability.to_bits(), "{family}: {found}");
            }
            let found = runtime.score(&vector).unwrap().probability;
            assert!((found - probability).abs() <= 1e-6, "{family}: {found}, not {probability}");
            (lowest, highest) = (lowest.min(probability), highest.max(probability));
        }
        assert!(lowest < native.threshold() && highest >= native.threshold(), "{}", schema.name);
    }
}

#[test]
fn many_threads_share_one_model() {
    let library = library();
    let model =
        Model::from_bytes(&MODEL, &TRANSACTION, Engine::OnnxRuntime { library: &library }).unwrap();
    let vector = random_vector(&mut Random::new(3));
    let expected = model.score(&vector).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                (0..50).for_each(|_| assert_eq!(model.score(&vector).unwrap(), expected))
            });
        }
    });
}

#[test]
fn another_schema_is_refused_with_both_hashes_and_the_fix() {
    let error = Model::from_bytes(&MODEL, &CONTRACT, Engine::Native).unwrap_err().to_string();
    assert!(
        error.contains(&TRANSACTION.hash_hex()) && error.contains(&CONTRACT.hash_hex()),
        "{error}"
    );
    assert!(error.contains("portcullis models train"), "{error}");

    let model = Model::from_bytes(&MODEL, &TRANSACTION, Engine::Native).unwrap();
    let error = model.score(&Vector::unknown(&CONTRACT)).unwrap_err().to_string();
    assert_eq!(error, "a `contract` vector was given to a `transaction` model");
}

#[test]
fn a_library_that_is_not_there_or_is_none_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("libonnxruntime.so");
    let load = || {
        Model::from_bytes(&MODEL, &TRANSACTION, Engine::OnnxRuntime { library: &missing })
            .unwrap_err()
    };
    assert!(load().to_string().contains("libonnxruntime.so"), "{}", load());
    std::fs::write(&missing, b"no library").unwrap();
    assert!(load().to_string().contains("libonnxruntime.so"), "{}", load());
}

#[test]
fn a_file_that_is_no_model_is_an_error_and_an_endless_one_ends() {
    let load = |path: &str| {
        Model::from_file(path.as_ref(), &TRANSACTION, Engine::Native).unwrap_err().to_string()
    };
    assert!(
        load("/dev/zero").contains("more than the 8388608 that are read"),
        "{}",
        load("/dev/zero")
    );
    assert!(load("no/such/model.onnx").starts_with("no/such/model.onnx: "));
    assert!(load(env!("CARGO_MANIFEST_DIR")).contains("directory"));
}
