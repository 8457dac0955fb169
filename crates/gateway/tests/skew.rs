//! No skew: for payments that no model was trained on, the features that Python computed and those
//! that the gateway assembles are the same bits, and so are the scores of what eats them.
//!
//! `models/golden/fraud_rows.json` holds each payment, its moment, the vectors and the scores;
//! `fraud_payments.jsonl` what its card and store had done until then.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of a test fail as tests do"
)]

#[path = "support/mod.rs"]
mod support;

use std::{
    fs, iter,
    time::{Duration, UNIX_EPOCH},
};

use features::{
    Catalog, EntityField, FeatureRow, InputField, Plan, RequestRow, RequestSchema, Store,
    TensorDtype,
};
use gateway::{decision, diagnostic::Report};
use local_model::{Input, LocalModel, Runtime};
use serde_json::{Value, json};
use testkit::{Redis, Triton};
use tokio::time::Instant;
use triton_client::ModelConfig;

use support::{ask, eventually, files, gateway::Setup};

const MODELS: [&str; 2] = ["fraud_primary", "fraud_secondary"];

struct Golden {
    rows: Vec<Value>,
    payments: Vec<Value>,
    features: Value,
}

fn golden() -> Golden {
    let text = fs::read(files::root("models/golden/fraud_rows.json")).unwrap();
    let golden: Value = serde_json::from_slice(&text).unwrap();
    let rows = golden["rows"].as_array().unwrap().clone();
    assert!(rows.len() >= 50, "{} golden rows", rows.len());
    let payments = fs::read_to_string(files::root("models/golden/fraud_payments.jsonl")).unwrap();
    let payments = payments.lines().map(serde_json::from_str);
    let stored = |row: &&Value| !row["views"]["card"].is_null();
    let with_card = rows.iter().filter(stored).count();
    assert!(
        (1..rows.len()).contains(&with_card),
        "some cards are known and some are not"
    );
    Golden {
        rows,
        payments: payments.collect::<Result<_, _>>().unwrap(),
        features: golden["features"].clone(),
    }
}

/// The `gavel.features` list of a model, read from the file that the gateway and Triton read.
fn feature_list(model: &str) -> Vec<String> {
    let file = files::root("model_repository")
        .join(model)
        .join("config.pbtxt");
    let config = ModelConfig::parse_pbtxt(&fs::read_to_string(file).unwrap()).unwrap();
    config.feature_list("features").unwrap()
}

/// What a golden payment's card and store had done before it, oldest first. Different payments may be
/// of one card at different times, so each payment's card and store are its own.
fn past(golden: &Golden, row: &Value, place: usize) -> Vec<Value> {
    if row["store_down"] == true {
        return Vec::new();
    }
    let moment = row["moment"].as_i64().unwrap();
    let asked = &row["request"]["entities"];
    let earlier = golden.payments.iter();
    let mut past: Vec<Value> = earlier
        .filter(|payment| payment["timestamp"].as_i64().unwrap() < moment)
        .cloned()
        .collect();
    past.retain_mut(|payment| {
        let mut concerned = false;
        for entity in ["card_id", "store_id"] {
            if payment[entity] == asked[entity] {
                payment[entity] = key(place).into();
                concerned = true;
            }
        }
        concerned
    });
    past
}

/// The past of all golden payments, counted into the setup's store by `gavel ingest`.
async fn ingest(golden: &Golden, setup: &Setup) {
    let file = setup.folder().join("golden.jsonl");
    let rows = golden.rows.iter().enumerate();
    let past = rows.flat_map(|(place, row)| past(golden, row, place));
    let lines: Vec<String> = past.map(|payment| payment.to_string()).collect();
    assert!(lines.len() > 100);
    fs::write(&file, lines.join("\n")).unwrap();
    setup.ingest(&file).await;
}

fn key(place: usize) -> String {
    format!("golden-{place}")
}

/// The payment as a question about its own entities.
fn question(row: &Value, place: usize) -> Value {
    let mut question = row["request"].clone();
    question["entities"] = json!({"card_id": key(place), "store_id": key(place)});
    question["budget_ms"] = json!(95);
    question
}

fn bits(vector: &Value) -> Vec<u32> {
    let numbers = vector.as_array().unwrap().iter();
    // Each is a float32, written with the digits of a float64: both steps are exact.
    numbers
        .map(|n| (n.as_f64().unwrap() as f32).to_bits())
        .collect()
}

/// The decision's schema and features, and a store in which every golden past was counted.
struct Assembly {
    catalog: Catalog,
    schema: RequestSchema,
    store: Store,
    _setup: Setup,
}

impl Assembly {
    async fn new(golden: &Golden, store_url: Option<String>) -> Self {
        let mut report = Report::default();
        let read = decision::read_folder(&files::root("decisions"), &mut report);
        let read = read.unwrap_or_else(|| panic!("{}", report.render(false)));
        let setup = Setup::new();
        let embedded = || format!("embedded:{}", setup.folder().join("store").display());
        let url = store_url.unwrap_or_else(embedded);
        let setup = setup.flag("store", &url);
        ingest(golden, &setup).await;
        let store = Store::open(&url).unwrap();
        Self {
            schema: read.definitions["fraud"].schema.clone(),
            catalog: read.catalog,
            store,
            _setup: setup,
        }
    }

    fn plan(&self, features: &[String]) -> Plan {
        let features: Vec<&str> = features.iter().map(String::as_str).collect();
        Plan::compile(&self.catalog, &self.schema, &features).unwrap()
    }

    async fn assemble(&self, plan: &Plan, row: &Value, place: usize) -> FeatureRow {
        let moment = UNIX_EPOCH + Duration::from_secs(row["moment"].as_u64().unwrap());
        let until = Instant::now() + Duration::from_secs(10);
        plan.assemble(&self.store, &self.request(row, place), moment, until)
            .await
    }

    /// A payment's row, typed as the schema says.
    fn request(&self, row: &Value, place: usize) -> RequestRow {
        let key = |_: &EntityField| features::Value::String(key(place).into());
        let value = |field: &InputField| {
            let json = &row["request"]["inputs"][&field.name];
            Some(match field.dtype {
                features::Dtype::Bool => features::Value::Bool(json.as_bool()?),
                features::Dtype::Int64 => features::Value::Int64(json.as_i64()?),
                features::Dtype::String => features::Value::String(json.as_str()?.into()),
                _ => features::Value::Float64(json.as_f64()?),
            })
        };
        RequestRow {
            entities: self.schema.entities.iter().map(key).collect(),
            inputs: self.schema.inputs.iter().map(value).collect(),
        }
    }

    /// Compares every golden vector of every model with what is assembled, bit for bit.
    async fn compare(&self, golden: &Golden) {
        for model in MODELS {
            let features = feature_list(model);
            assert_eq!(json!(features), golden.features[model], "{model}");
            let plan = self.plan(&features);
            let names: Vec<&str> = features.iter().map(String::as_str).collect();
            let layout = plan.tensor(TensorDtype::Fp32, &names).unwrap();
            // A list fills as many columns as it has elements.
            let width = |name: &str| self.catalog.width(name).unwrap_or(1);
            let columns = names
                .iter()
                .flat_map(|name| iter::repeat_n(*name, width(name)));
            let columns: Vec<&str> = columns.collect();
            for (place, row) in golden.rows.iter().enumerate() {
                let assembled = self.assemble(&plan, row, place).await;
                let mut bytes = Vec::new();
                layout.write(&assembled, &mut bytes);
                let (words, rest) = bytes.as_chunks::<4>();
                assert!(rest.is_empty());
                let found: Vec<u32> = words.iter().map(|w| u32::from_le_bytes(*w)).collect();
                let expected = bits(&row["vectors"][model]);
                for ((name, found), expected) in columns.iter().zip(&found).zip(&expected) {
                    let values = [*found, *expected].map(f32::from_bits);
                    let id = &row["request"]["id"];
                    assert_eq!(found, expected, "{model}, {name} of {id}: {values:?}");
                }
                assert_eq!((found.len(), found.len()), (expected.len(), columns.len()));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_are_pythons_bit_for_bit() {
    let golden = golden();
    Assembly::new(&golden, None).await.compare(&golden).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_are_pythons_bit_for_bit_out_of_redis() {
    let golden = golden();
    let redis = Redis::start();
    let assembly = Assembly::new(&golden, Some(redis.url())).await;
    assembly.compare(&golden).await;
}

/// Kernels differ from one CPU to another in the last bits of what they add up.
#[track_caller]
fn assert_close(found: f64, row: &Value, model: &str) {
    let expected = row["scores"][model]["onnx_fp32"].as_f64().unwrap();
    let id = &row["request"]["id"];
    assert!(
        (found - expected).abs() <= 1e-6,
        "{model} of {id}: {found}, expected {expected}"
    );
}

/// The secondary model's scores of Python's own vectors, computed on this machine.
fn scores_in_process(golden: &Golden) -> Vec<f64> {
    let model = "fraud_secondary";
    let file = files::root("model_repository")
        .join(model)
        .join("1/model.onnx");
    let runtime = Runtime::load(Some(&files::onnxruntime())).unwrap();
    let loaded = LocalModel::load(&runtime, &file, 1).unwrap();
    let score = |row: &Value| {
        let vector = bits(&row["vectors"][model]);
        let data: Vec<u8> = vector.iter().flat_map(|word| word.to_le_bytes()).collect();
        let input = Input {
            name: "features",
            dtype: local_model::Dtype::Fp32,
            shape: &[1, vector.len() as i64],
            data: &data,
        };
        let outputs = loaded.run(&[input]).unwrap();
        let output = outputs
            .iter()
            .find(|output| output.name == "score")
            .unwrap();
        f64::from(f32::from_le_bytes(
            output.data.as_slice().try_into().unwrap(),
        ))
    };
    golden.rows.iter().map(score).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_models_score_in_process_is_pythons() {
    let golden = golden();
    for (row, found) in golden.rows.iter().zip(scores_in_process(&golden)) {
        assert_close(found, row, "fraud_secondary");
    }
}

/// The golden payments that say when they are: the others are now, long after their pasts.
fn timed(golden: &Golden) -> impl Iterator<Item = (usize, &Value)> {
    let rows = golden.rows.iter().enumerate();
    rows.filter(|(_, row)| row["request"]["inputs"]["timestamp"].is_i64())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_gateway_scores_as_python_did() {
    let golden = golden();
    let triton = Triton::start(&files::root("model_repository"));
    let setup = Setup::new();
    ingest(&golden, &setup).await;

    // Without Triton the model in process answers: the same bits as on Python's own vectors.
    let gateway = setup.start().await;
    let scores = scores_in_process(&golden);
    for (place, row) in timed(&golden) {
        let expected = scores[place];
        let answer = gateway.ask(&question(row, place)).await;
        let decision = answer.decision();
        assert_eq!(decision["tier"], "secondary", "{decision}");
        assert_eq!(ask::score_bits(&answer), expected.to_bits(), "{decision}");
        assert_close(expected, row, "fraud_secondary");
    }

    // With it, the three steps of the ensemble.
    let setup = gateway.stop().await.flag("triton", &triton.grpc_url);
    let gateway = setup.start().await;
    eventually("the primary answers", async || {
        let decision = gateway.decide(&files::payment()).await;
        (decision["tier"] == "primary").then_some(())
    })
    .await;
    for (place, row) in timed(&golden) {
        let question = question(row, place);
        let answer = eventually("the primary answers", async || {
            let answer = gateway.ask(&question).await;
            (answer.decision()["tier"] == "primary").then_some(answer)
        })
        .await;
        assert_close(
            f64::from_bits(ask::score_bits(&answer)),
            row,
            "fraud_primary",
        );
    }

    // And over no model at all, the row of the table that Python found.
    let nowhere = gateway.setup().folder().join("no-such-library.so");
    let setup = gateway
        .stop()
        .await
        .flag("triton", "")
        .flag("onnxruntime", nowhere);
    let gateway = setup.start().await;
    for (place, row) in timed(&golden) {
        let decision = gateway.decide(&question(row, place)).await;
        assert_eq!(decision["tier"], "rules", "{decision}");
        assert_eq!(decision["reasons"][0], row["rule"]["reason"], "{decision}");
        assert_eq!(
            decision["scores"]["fraud"], row["rule"]["fraud"],
            "{decision}"
        );
    }
}
