//! Files of each format into an embedded store, and what becomes of rows that are none.

use std::{
    fs,
    time::{Duration, SystemTime},
};

use features::{Dtype, EntityField, Plan, RequestRow, RequestSchema, Value};
use tables::{Cell, Column, Scalar, Writer};
use tempfile::TempDir;
use tokio::time::Instant;

use super::*;

const FEATURES: &str = r#"
    entities = { card_id = "string" }
    [views.card]
    entity = "card_id"
    features.count = { dtype = "int64", default = -1 }
    features.mean = { dtype = "float32", default = -1.0 }
    features.name = { dtype = "string", default = "-" }
    features.last = { dtype = "int64[2]", default = -1 }
"#;

struct Setup {
    folder: TempDir,
    catalog: Catalog,
    store: Store,
}

impl Setup {
    fn new() -> Setup {
        let folder = TempDir::new().unwrap();
        let url = format!("embedded:{}", folder.path().join("store").display());
        Setup {
            catalog: Catalog::parse(FEATURES).unwrap(),
            store: Store::open(&url).unwrap(),
            folder,
        }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        fs::write(&file, text).unwrap();
        file
    }

    async fn load(&self, file: &Path, view: Option<&str>) -> Result<Loaded, String> {
        let reading = Reading {
            view: view.map(str::to_owned),
            ..Reading::default()
        };
        let loaded = load(&[file.to_owned()], &reading, &self.catalog, &self.store).await;
        let (loaded, _) = loaded.map_err(|failure| failure.0)?;
        let accounted = loaded.written + loaded.older + loaded.rejected;
        assert_eq!(loaded.read, accounted, "{loaded:?}");
        Ok(loaded)
    }

    /// What a decision would see of a card: its features in the order of their names.
    async fn card(&self, id: &str) -> Vec<Value> {
        let schema = RequestSchema {
            entities: vec![EntityField {
                name: "card_id".into(),
                dtype: Dtype::String,
            }],
            inputs: Vec::new(),
        };
        let names = ["card.count", "card.last", "card.mean", "card.name"];
        let plan = Plan::compile(&self.catalog, &schema, &names).unwrap();
        let request = RequestRow {
            entities: vec![Value::String(id.into())],
            inputs: Vec::new(),
        };
        let until = Instant::now() + Duration::from_secs(5);
        let row = plan
            .assemble(&self.store, &request, SystemTime::now(), until)
            .await;
        let columns = names.map(|name| plan.column(name).unwrap());
        columns.map(|column| row.value(column).clone()).to_vec()
    }
}

fn seen(count: i64, last: [i64; 2], mean: f32, name: &str) -> Vec<Value> {
    vec![
        Value::Int64(count),
        Value::List(last.map(Value::Int64).into()),
        Value::Float32(mean),
        Value::String(name.into()),
    ]
}

#[tokio::test]
async fn the_same_rows_in_every_format() {
    let csv = "card_id,count,mean,name,last,event_time\n\
               007,3,0.1,\"a,b\",\"[1,2]\",2019-08-31 12:00:00+02:00\n\
               8,,,,,\n";
    let flat = r#"{"card_id":"007","count":3,"mean":0.1,"name":"a,b","last":[1,2],"event_time":"2019-08-31T10:00:00Z"}
        {"card_id":"8","count":null}"#;
    let nested = r#"{"view":"card","entity":{"card_id":"007"},"event_time":"2019-08-31T10:00:00Z","values":{"count":3,"mean":0.1,"name":"a,b","last":[1,2]}}

        {"view":"card","entity":{"card_id":"8"},"values":{}}"#;
    for (name, text, view) in [
        ("rows.csv", csv, Some("card")),
        ("rows.jsonl", flat, Some("card")),
        ("nested.jsonl", nested, None),
        ("rows.parquet", "", Some("card")),
    ] {
        let setup = Setup::new();
        let file = setup.file(name, text);
        if name == "rows.parquet" {
            parquet(&file);
        }
        let loaded = setup.load(&file, view).await.unwrap();
        let wanted = Loaded {
            read: 2,
            written: 2,
            older: 0,
            rejected: 0,
        };
        assert_eq!(loaded, wanted, "{name}");
        let card = setup.card("007").await;
        assert_eq!(card, seen(3, [1, 2], 0.1, "a,b"), "{name}");
        assert_eq!(
            setup.card("8").await,
            seen(-1, [-1, -1], -1.0, "-"),
            "{name}"
        );
        assert_eq!(fs::read_dir(setup.folder.path()).unwrap().count(), 2);
    }
}

fn parquet(file: &Path) {
    let column = |name: &str, holds, list| Column {
        name: name.into(),
        holds,
        list,
    };
    let columns = vec![
        column("card_id", Scalar::Text, false),
        column("count", Scalar::Int64, false),
        column("mean", Scalar::Float32, false),
        column("name", Scalar::Text, false),
        column("last", Scalar::Int64, true),
        column("event_time", Scalar::Timestamp, false),
    ];
    let mut writer = Writer::create(file, None, columns).unwrap();
    let last = Cell::List(vec![Cell::Int(1), Cell::Int(2)]);
    let text = |text: &str| Cell::Text(text.to_owned());
    writer
        .write(&[
            text("007"),
            Cell::Int(3),
            Cell::Float(f64::from(0.1_f32)),
            text("a,b"),
            last,
            Cell::Timestamp(1_567_245_600_000_000),
        ])
        .unwrap();
    writer.write(&[text("8")]).unwrap();
    writer.finish().unwrap();
}

#[tokio::test]
async fn no_row_is_lost() {
    let setup = Setup::new();
    let newer = setup.file(
        "newer.csv",
        "card_id,count,event_time\na,1,1567245600\nb,1,1567245600\n",
    );
    setup.load(&newer, Some("card")).await.unwrap();
    let mut text = "card_id,count,event_time\n".to_owned();
    for i in 0..1200 {
        text += &format!("c{i},{i},1567245600\n");
    }
    text += "a,2,1567245599\nb,2,1567245601\nragged\nd,x,\n,5,\n";
    let file = setup.file("rows.csv", &text);
    let loaded = setup.load(&file, Some("card")).await.unwrap();
    assert_eq!(
        loaded,
        Loaded {
            read: 1205,
            written: 1201,
            older: 1,
            rejected: 3,
        }
    );
    assert_eq!(setup.card("a").await[0], Value::Int64(1));
    assert_eq!(setup.card("b").await[0], Value::Int64(2));
    assert_eq!(setup.card("c1199").await[0], Value::Int64(1199));

    let rejected = fs::read_to_string(setup.folder.path().join("rows.csv.rejected.jsonl")).unwrap();
    let rejected: Vec<serde_json::Value> = rejected
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let field = |i: usize, name: &str| rejected[i][name].to_string();
    assert_eq!(rejected.len(), 3);
    assert_eq!(field(0, "position"), r#""line 1204""#);
    assert_eq!(field(0, "raw"), r#""ragged""#);
    assert_eq!(
        field(1, "reason"),
        r#""`count` is int64, and \"x\" is not one""#
    );
    assert_eq!(
        field(1, "row"),
        r#"{"card_id":"d","count":"x","event_time":null}"#
    );
    assert_eq!(
        field(2, "reason"),
        r#""a row of view `card` needs the entity `card_id`""#
    );
}

#[tokio::test]
async fn rejects_of_all_files_may_go_into_one() {
    let setup = Setup::new();
    let files = [
        setup.file("a.jsonl", "{\"card_id\":1}\n"),
        setup.file("b.jsonl", "nothing\n{\"card_id\":\"1\"}"),
    ];
    let rejects = setup.folder.path().join("rejected");
    let reading = Reading {
        view: Some("card".into()),
        rejects: Some(rejects.clone()),
        format: None,
    };
    let loaded = load(&files, &reading, &setup.catalog, &setup.store).await;
    let (loaded, kept) = loaded.unwrap();
    assert_eq!((loaded.written, loaded.rejected), (1, 2));
    assert_eq!(kept, std::slice::from_ref(&rejects));
    let text = fs::read_to_string(rejects).unwrap();
    assert!(
        text.contains("a.jsonl") && text.contains("b.jsonl"),
        "{text}"
    );

    let reading = Reading {
        rejects: Some(setup.folder.path().join("none/there")),
        ..reading
    };
    let failure = load(&files, &reading, &setup.catalog, &setup.store).await;
    assert!(failure.unwrap_err().0.contains("cannot be kept in"));
}

#[tokio::test]
async fn a_table_that_does_not_fit_is_refused_as_a_whole() {
    let setup = Setup::new();
    for (name, text, view, said) in [
        (
            "a.csv",
            "card_id\n1\n",
            None,
            "say which view they are of with --view",
        ),
        (
            "a.csv",
            "card_id\n1\n",
            Some("crad"),
            "there is no view `crad` (did you mean `card`?)",
        ),
        (
            "a.csv",
            "card_id,cuont\n1,2\n",
            Some("card"),
            "a.csv: there is no entity or feature of view `card` `cuont` (did you mean `count`?)",
        ),
        (
            "a.csv",
            "count\n2\n",
            Some("card"),
            "needs the entity `card_id`",
        ),
        ("a.txt", "", Some("card"), "name it with --format"),
        (
            "a.parquet",
            "no Parquet",
            Some("card"),
            "is not Parquet that can be read",
        ),
    ] {
        let file = setup.file(name, text);
        let error = setup.load(&file, view).await.unwrap_err();
        assert!(error.contains(said), "{error}");
    }
}

#[tokio::test]
async fn one_row_is_put() {
    let setup = Setup::new();
    let put = async |fields: &[(&str, &str)]| {
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect();
        put("card", &fields, &setup.catalog, &setup.store)
            .await
            .map_err(|failure| failure.0)
    };
    let row = [
        ("card_id", "007"),
        ("mean", "0.1"),
        ("name", "7"),
        ("last", "[4,5]"),
        ("event_time", "2019-08-31T10:00:00Z"),
    ];
    assert_eq!(put(&row).await, Ok(true));
    assert_eq!(setup.card("007").await, seen(-1, [4, 5], 0.1, "7"));
    let older = [("card_id", "007"), ("event_time", "1567245599")];
    assert_eq!(put(&older).await, Ok(false));
    assert_eq!(setup.card("007").await, seen(-1, [4, 5], 0.1, "7"));
    let error = put(&[("card_id", "1"), ("count", "three")])
        .await
        .unwrap_err();
    assert_eq!(error, r#"`count` is int64, and "three" is not one"#);
}
