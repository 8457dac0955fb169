//! A scripted Triton in the test's own process, for what a real one does only by chance.

use fake_triton::{FakeModel, FakeTriton, Tensor};
use serde_json::Value;

use super::files;

/// Serves the fraud decision's primary model and answers at once, unless scripted otherwise.
/// Gives its URL as well.
pub(crate) async fn triton() -> (FakeTriton, String) {
    let text = std::fs::read(files::root("models/golden/fraud_rows.json")).unwrap();
    let golden: Value = serde_json::from_slice(&text).unwrap();
    let features = golden["features"]["fraud_primary"].as_array().unwrap();
    let names: Vec<&str> = features.iter().map(|name| name.as_str().unwrap()).collect();
    // A list fills more than one column.
    let width = golden["rows"][0]["vectors"]["fraud_primary"]
        .as_array()
        .unwrap()
        .len();
    let model = FakeModel::new("fraud_primary")
        .input("features", "FP32", &[width as i64])
        .output("score", "FP32", &[1])
        .parameter("gavel.features.features", &names.join(", "))
        .answer(|_| vec![Tensor::fp32("score", &[1, 1], &[0.125])]);
    let fake = FakeTriton::new().model(model);
    let address = fake.listen().await.unwrap();
    (fake, format!("http://{address}"))
}
