//! Small histories by hand, and the whole of a real one against the online store.

mod parity;

use std::fs;

use tables::{Cell, Reader};
use tempfile::TempDir;

use super::*;

const FEATURES: &str = r#"
    entities = { card_id = "string", store_id = "int64" }
    [events.payment]
    id = "id"
    time = "at"
    [events.payment.fields]
    card_id = "string"
    store_id = { type = "int64", path = "store.id" }
    amount = "float64"
    [events.visit]
    time = "when"
    time_unit = "rfc3339"
    fields = { card_id = "string" }
    [views.card]
    entity = "card_id"
    events = "payment"
    features.count_1h = { dtype = "int64", default = -1, aggregate = "count", window = "1h" }
    features.sum_1h = { dtype = "float32", default = -1.0, aggregate = "sum", of = "amount", window = "1h" }
    features.newest = { dtype = "float32[2]", default = 0.0, aggregate = "last_n", of = "amount" }
    [views.store]
    entity = "store_id"
    events = "payment"
    features.last = { dtype = "float64", default = -1.0, aggregate = "last", of = "amount" }
    [views.visits]
    entity = "card_id"
    events = "visit"
    features.count_1d = { dtype = "int64", default = 0, aggregate = "count", window = "24h" }
    [views.profile]
    entity = "card_id"
    features.x = { dtype = "float64", default = 0.0 }
"#;

const PAYMENTS: &str = r#"{"id":"3","at":1300,"card_id":"a","store":{"id":7},"amount":4}
{"id":"1","at":1000,"card_id":"a","store":{"id":7},"amount":1.5}
{"id":"2","at":1200,"card_id":"b","store":{"id":7},"amount":2}

{"id":"1","at":1001,"card_id":"a","store":{"id":7},"amount":1.5}
{"id":"4","at":"noon","card_id":"a","amount":1}
nothing
{"id":"5","at":9000,"card_id":"a","store":{"id":7},"amount":9}
{"id":"6","at":1250,"card_id":"c","store":{"id":8},"amount":9}
"#;

const SPINE: &str = "card_id,label,store_id,time\n\
    a,007,7,1301\n\
    a,1,7,1300\n\
    \"b,\",,8,1970-01-01T00:21:40Z\n\
    a,2,7,1000\n";

struct Setup {
    folder: TempDir,
    catalog: Arc<Catalog>,
}

impl Setup {
    fn new() -> Setup {
        Setup {
            folder: TempDir::new().unwrap(),
            catalog: Arc::new(Catalog::parse(FEATURES).unwrap()),
        }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        fs::write(&file, text).unwrap();
        file
    }

    fn sight(&self, views: &[&str]) -> Sight {
        let views: Vec<String> = views.iter().map(|view| (*view).to_owned()).collect();
        Sight::of_views(&self.catalog, &views).unwrap()
    }

    fn make(&self, views: &[&str], files: &Files) -> Result<Made, String> {
        make(&self.catalog, &self.sight(views), files).map_err(|failure| failure.0)
    }

    fn files(&self, events: PathBuf, spine: PathBuf, out: &str) -> Files {
        Files {
            events: vec![(events, None)],
            spine,
            time: "time".into(),
            out: self.folder.path().join(out),
            rejects: None,
            status: false,
        }
    }
}

fn rows(file: &Path) -> Vec<String> {
    let mut reader = Reader::open(file, None).unwrap();
    let mut rows = Vec::new();
    while let Some(row) = reader.read().unwrap() {
        rows.push(row.unwrap().to_json());
    }
    rows
}

#[test]
fn each_row_sees_what_was_before_its_moment() {
    let setup = Setup::new();
    let events = setup.file("payments.jsonl", PAYMENTS);
    let spine = setup.file("spine.csv", SPINE);
    let files = setup.files(events, spine, "train.jsonl");
    let made = setup.make(&["card", "store"], &files).unwrap();
    assert_eq!(
        made.say(),
        format!(
            "8 events read: 4 counted, 1 duplicate, 1 not before its last moment, 2 rejected (see {}); 4 rows of 4 features",
            setup
                .folder
                .path()
                .join("payments.jsonl.rejected.jsonl")
                .display()
        )
    );
    assert_eq!(
        rows(&files.out),
        [
            r#"{"card_id":"a","label":"007","store_id":7,"time":"1301","card.count_1h":2,"card.newest":[4.0,1.5],"card.sum_1h":5.5,"store.last":4.0}"#,
            r#"{"card_id":"a","label":"1","store_id":7,"time":"1300","card.count_1h":1,"card.newest":[1.5,0.0],"card.sum_1h":1.5,"store.last":2.0}"#,
            r#"{"card_id":"b,","label":null,"store_id":8,"time":"1970-01-01T00:21:40Z","card.count_1h":-1,"card.newest":[0.0,0.0],"card.sum_1h":-1.0,"store.last":9.0}"#,
            r#"{"card_id":"a","label":"2","store_id":7,"time":"1000","card.count_1h":-1,"card.newest":[0.0,0.0],"card.sum_1h":-1.0,"store.last":-1.0}"#,
        ]
    );
}

#[test]
fn every_format_makes_the_same_set() {
    let setup = Setup::new();
    let lines = setup.file(
        "payments.jsonl",
        "{\"id\":\"1\",\"at\":1000,\"card_id\":\"7\",\"store\":{\"id\":7},\"amount\":1.5}\n",
    );
    let csv = setup.file(
        "payments.csv",
        "id,at,card_id,store.id,amount\n1,1000,7,7,1.5\n",
    );
    let parquet = setup.folder.path().join("payments.parquet");
    let column = |name: &str, holds| tables::Column {
        name: name.into(),
        holds,
        list: false,
    };
    let columns = vec![
        column("id", tables::Scalar::Int64),
        column("at", tables::Scalar::Timestamp),
        column("card_id", tables::Scalar::Int64),
        column("store.id", tables::Scalar::Int64),
        column("amount", tables::Scalar::Float64),
    ];
    let mut writer = tables::Writer::create(&parquet, None, columns).unwrap();
    let cells = [
        Cell::Int(1),
        Cell::Timestamp(1_000_000_000),
        Cell::Int(7),
        Cell::Int(7),
        Cell::Float(1.5),
    ];
    writer.write(&cells).unwrap();
    writer.finish().unwrap();

    let spine = setup.file("spine.csv", "card_id,time\n7,1970-01-01 00:16:41\n8,2000\n");
    for events in [lines, csv, parquet] {
        for out in ["t.csv", "t.jsonl", "t.parquet"] {
            let mut files = setup.files(events.clone(), spine.clone(), out);
            files.status = true;
            let made = setup.make(&["card"], &files).unwrap();
            assert_eq!((made.counted, made.rows), (1, 2), "{}", events.display());
            let mut reader = Reader::open(&files.out, None).unwrap();
            let row = reader.read().unwrap().unwrap().unwrap();
            let seen = [
                "card.count_1h",
                "card.count_1h.status",
                "card.sum_1h",
                "card.newest",
            ];
            let seen = seen.map(|name| match row.get(name).unwrap() {
                Cell::Untyped(text) => text.clone(),
                Cell::Text(text) => text.clone(),
                cell => cell.to_json(),
            });
            assert_eq!(seen[0], "1");
            assert_eq!(seen[1], "present");
            assert_eq!(seen[2], "1.5");
            assert_eq!(seen[3], "[1.5,0.0]");
            let row = reader.read().unwrap().unwrap().unwrap();
            let status = row.get("card.count_1h.status").unwrap().to_json();
            assert_eq!(status, "\"missing\"");
        }
    }
}

#[test]
fn columns_that_are_carried_keep_their_values() {
    let setup = Setup::new();
    let events = setup.file("payments.jsonl", "");
    let spine = setup.file(
        "spine.csv",
        "card_id,time,int,float,flag,padded,long,mixed,empty\n\
         4,1,1,1.50,True,007,12345678901234567890,1,\n\
         5,2,-2,2e3,false,08,1,x,\n",
    );
    let files = setup.files(events.clone(), spine.clone(), "train.parquet");
    setup.make(&["card"], &files).unwrap();
    let mut reader = Reader::open(&files.out, None).unwrap();
    let row = reader.read().unwrap().unwrap().unwrap();
    let cell = |name: &str| row.get(name).unwrap().clone();
    let text = |text: &str| Cell::Text(text.to_owned());
    assert_eq!(cell("card_id"), text("4"));
    assert_eq!(cell("int"), Cell::Int(1));
    assert_eq!(cell("float"), Cell::Float(1.5));
    assert_eq!(cell("flag"), Cell::Bool(true));
    assert_eq!(cell("padded"), text("007"));
    assert_eq!(cell("long"), text("12345678901234567890"));
    assert_eq!(cell("mixed"), text("1"));
    assert_eq!(cell("empty"), Cell::Null);

    let files = setup.files(events, spine, "train.csv");
    setup.make(&["card"], &files).unwrap();
    let csv = fs::read_to_string(&files.out).unwrap();
    assert!(
        csv.contains("4,1,1,1.50,True,007,12345678901234567890,1,,-1,"),
        "{csv}"
    );
}

#[test]
fn rejected_rows_go_where_it_is_said() {
    let setup = Setup::new();
    let events = setup.file("payments.jsonl", PAYMENTS);
    let spine = setup.file("spine.csv", SPINE);
    let mut files = setup.files(events, spine, "train.jsonl");
    let rejects = setup.folder.path().join("elsewhere.jsonl");
    files.rejects = Some(rejects.clone());
    let made = setup.make(&["card"], &files).unwrap();
    assert_eq!((made.rejected, &*made.rejects), (2, &[rejects.clone()][..]));
    assert_eq!(fs::read_to_string(rejects).unwrap().lines().count(), 2);
    let beside = setup.folder.path().join("payments.jsonl.rejected.jsonl");
    assert!(!beside.exists());
}

#[test]
fn an_archive_of_several_types_is_read_by_labels() {
    let setup = Setup::new();
    let archive = "{\"type\":\"payment\",\"at\":1000,\"card_id\":\"a\",\"amount\":1}\n\
                   {\"type\":\"visit\",\"when\":\"1970-01-01T00:16:40Z\",\"at\":1000,\"card_id\":\"a\",\"amount\":1}\n\
                   {\"type\":\"other\",\"at\":1000,\"card_id\":\"a\",\"amount\":1}\n";
    let table = "type,at,when,card_id,amount\n\
                 payment,1000,,a,1\nvisit,1000,1970-01-01T00:16:40Z,a,1\nother,1000,,a,1\n";
    let spine = setup.file("spine.csv", "card_id,time\na,1001\n");
    for (name, text) in [("all.jsonl", archive), ("all.csv", table)] {
        let events = setup.file(name, text);
        let mut files = setup.files(events.clone(), spine.clone(), "train.jsonl");
        let counts = |made: Made| (made.counted, made.others, made.rejected);

        let made = setup.make(&["card"], &files).unwrap();
        assert_eq!(counts(made), (1, 1, 1), "{name}: by their labels");
        let made = setup.make(&["card", "visits"], &files).unwrap();
        assert_eq!(counts(made), (2, 0, 1), "{name}: of both");
        let row = &rows(&files.out)[0];
        let seen = row.contains("\"card.count_1h\":1") && row.contains("\"visits.count_1d\":1");
        assert!(seen, "{row}");

        files.events[0].1 = Some("payment".into());
        let made = setup.make(&["card"], &files).unwrap();
        assert_eq!(
            counts(made),
            (1, 0, 2),
            "{name}: others are not of its type"
        );
        assert_eq!(files.events.pop(), Some((events, Some("payment".into()))));
    }
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_written() {
    let setup = Setup::new();
    let events = setup.file("payments.jsonl", PAYMENTS);
    let spine = setup.file("spine.csv", SPINE);
    let good = setup.files(events.clone(), spine, "train.csv");
    let written = std::cell::Cell::new(0);
    let with_spine = |text: &str| {
        written.set(written.get() + 1);
        Files {
            spine: setup.file(&format!("other{}.csv", written.get()), text),
            ..good.clone()
        }
    };
    let with_events = |events: Vec<(PathBuf, Option<&str>)>| Files {
        events: events
            .into_iter()
            .map(|(file, kind)| (file, kind.map(str::to_owned)))
            .collect(),
        ..good.clone()
    };
    let untimed = setup.file("untimed.csv", "id,card_id\n1,a\n");
    for (views, files, said) in [
        (
            &["card"][..],
            with_spine("card_id\na\n"),
            "there is no column `time`",
        ),
        (
            &["card"],
            with_spine("time\n1\n"),
            "no column of the entity `card_id`",
        ),
        (
            &["card"],
            with_spine("card_id,time\na,1\n,2\na,then\na,1567245600000\n"),
            "csv:3: the entity `card_id` is missing",
        ),
        (
            &["card"],
            with_spine("card_id,time\na,then\n"),
            "and \"then\" is neither",
        ),
        (
            &["card"],
            with_spine("card_id,time\na,1567245600000\n"),
            "Unix seconds before 2100",
        ),
        (
            &["card"],
            with_spine("card_id,time,card.sum_1h\na,1,2\n"),
            "has a column `card.sum_1h`",
        ),
        (
            &["card", "visits"],
            with_events(vec![(untimed.clone(), None)]),
            "say of which type its events are, as FILE=TYPE: payment or visit",
        ),
        (
            &["card", "visits"],
            with_events(vec![(events.clone(), Some("payment"))]),
            "made from events `visit`, and no --events FILE=visit is given",
        ),
        (
            &["card"],
            with_events(vec![(events.clone(), Some("visit"))]),
            "none of the features is made from events `visit`, but from payment",
        ),
        (
            &["card"],
            with_events(vec![(untimed, None)]),
            "no column is the time of events `payment`",
        ),
    ] {
        let error = setup.make(views, &files).unwrap_err();
        assert!(error.contains(said), "{error}");
        assert!(!files.out.exists());
    }
    let failure = Sight::of_views(&setup.catalog, &["profile".to_owned()]).unwrap_err();
    assert!(failure.0.contains("is not made from events"), "{failure}");
}
