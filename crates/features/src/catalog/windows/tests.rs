//! Views from events: what is accepted, and how every problem is reported.

use crate::catalog::{Catalog, Problem};

fn problems(source: &str) -> Vec<String> {
    let problems = Catalog::parse(source).expect_err("a problem");
    for problem in &problems {
        assert!(source.get(problem.span.clone()).is_some(), "{problem:?}");
    }
    problems.iter().map(Problem::to_string).collect()
}

const EVENTS: &str = r#"
entities = { card_id = "string", store_id = "int64" }
[events.payment]
time = "t"
[events.payment.fields]
card_id = "string"
store_id = "string"
amount = "float64"
items = "int64"
present = "bool"
currency = "string"
"#;

/// The problems of one view with these features, less the path to them.
fn of_features(features: &str) -> Vec<String> {
    let view = "[views.v]\nentity = \"card_id\"\nevents = \"payment\"\n[views.v.features]\n";
    let all = problems(&format!("{EVENTS}{view}{features}"));
    let short = |problem: &String| problem.replace("views.v.features.", "");
    all.iter().map(short).collect()
}

#[test]
fn every_problem_of_events_is_reported() {
    let all = problems(
        r#"
        entities.card_id = "string"
        [events.payment]
        id = "meta..id"
        time_unit = "sec"
        lateness = "91d"
        colour = "red"
        [events.payment.fields]
        card_id = "strng"
        amount = { type = "float32", path = "" }
        items = { path = "a.b" }
        [events.other]
        time = "t"
        fields.card_id = "string"
        [views.v]
        entity = "card_id"
        events = "paymnt"
        features.n = { dtype = "int64", default = 0, aggregate = "count", window = "1h" }
        "#,
    );
    assert_eq!(
        all,
        [
            "events.payment: lacks `time`: the field with an event's time",
            "events.payment: no view is made from these events: a view with `events = \"payment\"` would be",
            "events.payment.id: a path is keys with a dot between them, such as `payment.amount`",
            "events.payment.time_unit: \"sec\" is not a unit of time: s, ms, us, or rfc3339 for text",
            "events.payment.lateness: must be at most 90 days",
            "events.payment.colour: unknown key (known here: id, time, time_unit, lateness, fields)",
            "events.payment.fields.card_id: \"strng\" is not a field's type: bool, int64, float64 or string (did you mean `string`?)",
            "events.payment.fields.amount.type: \"float32\" is not a field's type: bool, int64, float64 or string (did you mean `float64`?)",
            "events.payment.fields.amount.path: a path is keys with a dot between them, such as `payment.amount`",
            "events.payment.fields.items: lacks `type`: bool, int64, float64 or string",
            "events.other: no view is made from these events: a view with `events = \"other\"` would be",
            "views.v.events: `paymnt` is not among the [events] (did you mean `payment`?)",
        ]
    );
}

#[test]
fn an_aggregate_takes_what_it_can_fold_and_makes_what_it_can_hold() {
    let all = of_features(
        r#"
        a = { dtype = "string", default = "", aggregate = "count", window = "1h" }
        b = { dtype = "int64", default = 0, aggregate = "count", window = "1h", of = "amount" }
        c = { dtype = "int64", default = 0, aggregate = "sum", of = "amount", window = "1h" }
        d = { dtype = "int64", default = 0, aggregate = "mean", of = "items", window = "1h" }
        e = { dtype = "float32", default = 0.0, aggregate = "sum", of = "currency", window = "1h" }
        f = { dtype = "float32", default = 0.0, aggregate = "max", of = "present", window = "1h" }
        g = { dtype = "int64", default = 0, aggregate = "last", of = "amount" }
        h = { dtype = "int64", default = 0, aggregate = "last_n", of = "items" }
        i = { dtype = "int64[129]", default = 0, aggregate = "last_n", of = "items" }
        j = { dtype = "int64[2]", default = 0, aggregate = "count", window = "1h" }
        k = { dtype = "float64", default = 0.0, aggregate = "since_last", of = "amount" }
        l = { dtype = "string[3]", default = "", aggregate = "last_n", of = "items" }
        "#,
    );
    assert_eq!(
        all,
        [
            "a.dtype: this count is int64 or float32 or float64, not string",
            "b.of: count takes no `of`: it counts events",
            "c.dtype: this sum is float32 or float64, not int64",
            "d.dtype: this mean is float32 or float64, not int64",
            "e.of: sum takes a number (bool, int64 or float64), and `currency` is string",
            "f.of: max takes a number (int64 or float64), and `present` is bool",
            "g.dtype: this last is float32 or float64, not int64",
            "h.dtype: this last_n is a list such as int64[5] or float32[5] or float64[5], not int64",
            "i.dtype: last_n keeps at most 128 values, not 129",
            "j.dtype: this count is int64 or float32 or float64, not int64[2]",
            "k.of: since_last takes no `of`: it is of any event",
            "l.dtype: this last_n is a list such as int64[5] or float32[5] or float64[5], not string[3]",
        ]
    );
}

#[test]
fn windows_and_references_are_checked() {
    let all = of_features(
        r#"
        a = { dtype = "int64", default = 0, aggregate = "count" }
        b = { dtype = "int64", default = 0, aggregate = "count", window = "59s" }
        c = { dtype = "int64", default = 0, aggregate = "count", window = "91d" }
        d = { dtype = "int64", default = 0, aggregate = "distinct", window = "1h" }
        e = { dtype = "int64", default = 0, aggregate = "distinct", of = "amonut", window = "1h" }
        f = { dtype = "string", default = "", aggregate = "last", of = "currency", window = "1h" }
        g = { dtype = "int64", default = 0, aggregate = "cuont", window = "1h" }
        h = { dtype = "int64", default = 0 }
        i = { dtype = "int64", default = 0, aggregate = "count", window = "1h" }
        j = { dtype = "float64", default = 0.0, aggregate = "ratio", of = ["i", "f", "x"] }
        k = { dtype = "int64", default = 0, aggregate = "ratio", of = ["i", "ii"], window = "1h" }
        l = { dtype = "float64", default = 0.0, aggregate = "ratio", of = ["i", "k"] }
        "#,
    );
    assert_eq!(
        all,
        [
            "a: lacks `window`: how far back it reaches, such as \"24h\"",
            "b.window: a window is from a minute to 90 days long",
            "c.window: a window is from a minute to 90 days long",
            "d: lacks `of`: the events' field that it is of",
            "e.of: `amonut` is no field of the events `payment` (did you mean `amount`?)",
            "f.window: last takes no `window`: it reaches back to the newest events, however old",
            "g.aggregate: \"cuont\" is not an aggregate (did you mean `count`?)",
            "h: lacks `aggregate`: how events make it: count, sum, mean, min, max, distinct, last, last_n, since_last or ratio",
            "j.of: ratio takes 2 features, not 3",
            "j.of[1]: ratio takes a count or a sum, and `f` is last",
            "j.of[2]: `x` is no feature of this view (did you mean `a`?)",
            "k.dtype: this ratio is float32 or float64, not int64",
            "k.of[1]: `ii` is no feature of this view (did you mean `i`?)",
            "k.window: ratio takes no `window`: its features have theirs",
            "l.of[1]: ratio takes a count or a sum, and `k` is ratio",
        ]
    );
}

#[test]
fn a_view_is_made_from_events_entirely_or_not_at_all() {
    let all = problems(&format!(
        r#"{EVENTS}
        [views.a]
        entity = "card_id"
        features.n = {{ dtype = "int64", default = 0, aggregate = "count", window = "1h" }}
        [views.b]
        entity = ["store_id", "card_id"]
        events = "payment"
        ttl = "30min"
        features.n = {{ dtype = "int64", default = 0, aggregate = "count", window = "1h" }}
        [views.c]
        entity = "card_id"
        events = "payment"
        ttl = "30min"
        features.n = {{ dtype = "int64", default = 0, aggregate = "count", window = "1h" }}
        [views.d]
        entity = "card_id"
        features.n = {{ dtype = "int64", default = 0, window = "1h" }}
        "#
    ));
    assert_eq!(
        all,
        [
            "views.a: lacks `events`: the event type that its features with an `aggregate` are made from",
            "views.b.events: the entity `store_id` is int64, but the events' field is string",
            "views.b.ttl: is shorter than the view's longest window, 1h",
            "views.c.ttl: is shorter than the view's longest window, 1h",
            "views.d.features.n.window: unknown key (known here: dtype, default)",
        ]
    );
}

#[test]
fn a_view_has_bounds() {
    let mut features = String::new();
    for minutes in 1..=65 {
        features += &format!(
            "f{minutes} = {{ dtype = \"int64\", default = 0, aggregate = \"count\", window = \"{minutes}min\" }}\n"
        );
    }
    let all = of_features(&features);
    assert_eq!(
        all,
        [
            "views.v.features: folds 65 pairs of a field and a window, and a view may have 64: make two views of it"
        ]
    );
}

#[test]
fn a_ttl_is_the_longest_window_if_nobody_says() {
    let catalog = Catalog::parse(&format!(
        r#"{EVENTS}
        [views.v]
        entity = "card_id"
        events = "payment"
        features.n = {{ dtype = "int64", default = 0, aggregate = "count", window = "1h" }}
        features.m = {{ dtype = "int64", default = 0, aggregate = "count", window = "36h" }}
        [views.last]
        entity = "card_id"
        events = "payment"
        features.x = {{ dtype = "float32", default = 0.0, aggregate = "last", of = "amount" }}
        "#
    ))
    .unwrap();
    let ttl = |view: &str| catalog.window_view(view).unwrap().ttl();
    assert_eq!(ttl("v"), Some(std::time::Duration::from_secs(36 * 3600)));
    assert_eq!(ttl("last"), None);
    let views = catalog.event_type("payment").unwrap().views();
    let names: Vec<&str> = views.iter().map(|view| view.name()).collect();
    assert_eq!(names, ["last", "v"]);
}

/// A state is of whom and of what the definitions said when it was written.
#[test]
fn the_fingerprint_is_of_everything_that_says_what_is_counted() {
    const ONE: &str = r#"
        entities = { card_id = "string", device = "string" }
        [events.payment]
        id = "id"
        time = "t"
        lateness = "1h"
        [events.payment.fields]
        card_id = "string"
        device = "string"
        amount = { type = "float64", path = "payment.amount" }
        note = { type = "string", path = "payment.note" }
        [views.v]
        entity = "card_id"
        events = "payment"
        ttl = "90d"
        [views.v.features]
        sum = { dtype = "float64", default = 0.0, aggregate = "sum", of = "amount", window = "1h" }
        notes = { dtype = "int64", default = 0, aggregate = "distinct", of = "note", window = "1h" }
    "#;
    let changed = |old: &str, new: &str| {
        assert!(ONE.contains(old), "{old}");
        let catalog = Catalog::parse(&ONE.replace(old, new)).unwrap();
        catalog.view("v").unwrap().fingerprint
    };
    let one = changed("id = ", "id = ");
    for (old, new) in [
        (r#"entity = "card_id""#, r#"entity = "device""#),
        (r#"entity = "card_id""#, r#"entity = ["card_id", "device"]"#),
        (
            r#"card_id = "string"
        device"#,
            r#"card_id = { type = "string", path = "card.id" }
        device"#,
        ),
        (r#""payment.amount""#, r#""payment.fee""#),
        (r#""payment.note""#, r#""payment.memo""#),
        (r#"id = "id""#, r#"id = "uuid""#),
        (r#"id = "id""#, ""),
        (r#"time = "t""#, r#"time = "at""#),
        (r#"time = "t""#, "time = \"t\"\ntime_unit = \"ms\""),
    ] {
        assert_ne!(changed(old, new), one, "{new}");
    }
    // Another type of the key; the events' field has to have it as well.
    let int = ONE.replace(r#"card_id = "string""#, r#"card_id = "int64""#);
    assert_ne!(
        Catalog::parse(&int).unwrap().view("v").unwrap().fingerprint,
        one
    );
    // What is not counted, and how long a value is believed.
    for (old, new) in [
        (r#"ttl = "90d""#, r#"ttl = "30d""#),
        (r#"lateness = "1h""#, r#"lateness = "2h""#),
        (r#"default = 0.0"#, r#"default = 1.0"#),
        (
            r#"device = "string"
        amount"#,
            r#"device = { type = "string", path = "device.id" }
        amount"#,
        ),
    ] {
        assert_eq!(changed(old, new), one, "{new}");
    }
}
