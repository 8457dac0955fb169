//! `features.toml`: every problem has its place; and features that parse can be planned, computed
//! and written as tensors for any request, none of them NaN.
#![no_main]

use std::{cell::LazyCell, time::UNIX_EPOCH};

use features::{Catalog, Dtype, Plan, RequestRow, Scalar, Store, TensorDtype, Value};
use gavel_fuzz::{Folder, SCHEMA, assert_in};
use libfuzzer_sys::fuzz_target;
use tokio::{
    runtime::{Builder, Runtime},
    time::Instant,
};

struct Assembly {
    runtime: Runtime,
    store: Store,
    _folder: Folder,
}

impl Assembly {
    fn new() -> Self {
        let folder = Folder::new(&[]);
        let store = Store::open(&format!("embedded:{}", folder.path().display()));
        let runtime = Builder::new_current_thread().enable_time().build();
        Self {
            store: store.expect("an empty store can be opened"),
            runtime: runtime.expect("a runtime can be built"),
            _folder: folder,
        }
    }
}

thread_local! {
    static ASSEMBLY: LazyCell<Assembly> = const { LazyCell::new(Assembly::new) };
}

/// Two requests: all that the decision asks for, extreme; and only what it must have.
fn requests() -> [RequestRow; 2] {
    let extreme = |dtype: Dtype| match dtype.element() {
        Scalar::String => Value::String("\u{10ffff}".into()),
        Scalar::Bool => Value::Bool(true),
        Scalar::Int64 => Value::Int64(i64::MIN),
        Scalar::Float32 | Scalar::Float64 => Value::Float64(-3.4e38),
    };
    let entities: Vec<Value> = SCHEMA.entities.iter().map(|e| extreme(e.dtype)).collect();
    let inputs = |all: bool| {
        let inputs = SCHEMA.inputs.iter();
        inputs.map(move |i| (all || i.required).then(|| extreme(i.dtype)))
    };
    [true, false].map(|all| RequestRow {
        entities: entities.clone(),
        inputs: inputs(all).collect(),
    })
}

fuzz_target!(|source: &str| {
    let catalog = match Catalog::parse(source) {
        Ok(catalog) => catalog,
        Err(problems) => {
            assert!(!problems.is_empty());
            problems.iter().for_each(|p| assert_in(source, &p.span));
            return;
        }
    };
    let names: Vec<String> = catalog.feature_names().collect();
    // Each by itself: one whose entity or input the request lacks must not hide the others.
    let good: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| match Plan::compile(&catalog, &SCHEMA, &[name]) {
            Ok(_) => true,
            Err(errors) => {
                assert!(errors.iter().all(|error| !error.to_string().is_empty()));
                false
            }
        })
        .collect();
    let plan = Plan::compile(&catalog, &SCHEMA, &good)
        .expect("what can be planned one by one can be planned together");
    ASSEMBLY.with(|assembly| {
        for request in requests() {
            let row = assembly.runtime.block_on(plan.assemble(
                &assembly.store,
                &request,
                UNIX_EPOCH,
                Instant::now(),
            ));
            for name in &good {
                let column = plan.column(name).expect("a planned feature has a column");
                let value = row.value(column);
                assert!(value.is_finite(), "{name} is {value:?}");
                assert!(value.is_of(plan.dtype(column)));
                let dtype = match plan.dtype(column).element() {
                    Scalar::String => TensorDtype::Bytes,
                    _ => TensorDtype::Fp32,
                };
                let layout = plan
                    .tensor(dtype, &[name])
                    .expect("any value fits one of these");
                layout.write(&row, &mut Vec::new());
            }
        }
    });
});
