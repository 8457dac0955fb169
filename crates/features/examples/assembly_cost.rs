//! What assembling one request costs: time and allocations, by store.
//!
//! ```text
//! cargo run --release -p features --example assembly_cost [-- redis://127.0.0.1:6379]
//! ```
//! The allocations, unlike the times, are the same everywhere: 5 with the embedded store and 15 with
//! Redis, most of them the client's. Two views of 19 float features each and ten derived ones, into an FP32 tensor of 48. The store is
//! embedded in a temporary folder unless a URL is given, whose store this writes two rows into.

#![allow(clippy::unwrap_used, reason = "a tool for the one who runs it")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use features::{
    Catalog, Dtype, EntityField, InputField, Plan, RequestRow, RequestSchema, Store, TensorDtype,
    Value,
};
use tokio::time::Instant;

const REQUESTS: u32 = 50_000;

struct Counting;
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[expect(
    unsafe_code,
    reason = "an allocator is unsafe by its signature; this one only counts"
)]
// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let embedded = format!("embedded:{}", folder.path().display());
    let store = Store::open(&std::env::args().nth(1).unwrap_or(embedded)).unwrap();
    let catalog = Catalog::parse(&definitions()).unwrap();
    let schema = RequestSchema {
        entities: ["card_id", "store_id"]
            .map(|name| EntityField {
                name: name.to_owned(),
                dtype: Dtype::String,
            })
            .to_vec(),
        inputs: vec![InputField {
            name: "amount".to_owned(),
            dtype: Dtype::Float64,
            required: true,
            default: None,
        }],
    };
    let names: Vec<String> = catalog.feature_names().collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let plan = Plan::compile(&catalog, &schema, &names).unwrap();
    let tensor = plan.tensor(TensorDtype::Fp32, &names).unwrap();
    let rows = ["card", "store"].map(|view| {
        let values: Vec<String> = (0..19).map(|i| format!("\"f{i}\":{i}.5")).collect();
        let values = values.join(",");
        let line = format!(
            r#"{{"view":"{view}","entity":{{"{view}_id":"4022000000000001"}},"values":{{{values}}}}}"#
        );
        features::load::parse_line(&catalog, &line).unwrap()
    });
    store.put(&catalog, &rows).await.unwrap();

    let id = Value::String("4022000000000001".into());
    let request = RequestRow {
        entities: vec![id.clone(), id],
        inputs: vec![Some(Value::Float64(129.9))],
    };
    let mut bytes = Vec::with_capacity(4 * tensor.width());
    let mut times_ns = Vec::with_capacity(REQUESTS as usize);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for _ in 0..REQUESTS {
        let started = Instant::now();
        let until = started + Duration::from_secs(1);
        let row = plan
            .assemble(&store, &request, SystemTime::now(), until)
            .await;
        bytes.clear();
        tensor.write(&row, &mut bytes);
        times_ns.push(started.elapsed().as_nanos());
        assert_eq!(row.missing().count(), 0);
    }
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    times_ns.sort_unstable();
    let at = |quantile: f64| times_ns[(quantile * f64::from(REQUESTS - 1)) as usize];
    println!(
        "{}: p50 {} ns, p99 {} ns, {:.1} allocations a request",
        store.kind(),
        at(0.5),
        at(0.99),
        allocations as f64 / f64::from(REQUESTS)
    );
}

fn definitions() -> String {
    let mut text = "entities = { card_id = \"string\", store_id = \"string\" }\n".to_owned();
    for view in ["card", "store"] {
        writeln!(
            text,
            "[views.{view}]\nentity = \"{view}_id\"\nttl = \"90d\""
        )
        .unwrap();
        for i in 0..19 {
            writeln!(
                text,
                "features.f{i} = {{ dtype = \"float32\", default = 0.0 }}"
            )
            .unwrap();
        }
    }
    text += "[derived]\n";
    for i in 0..10 {
        writeln!(
            text,
            "d{i} = {{ transform = \"ratio\", inputs = [\"request.amount\", \"card.f{i}\"] }}"
        )
        .unwrap();
    }
    text
}
