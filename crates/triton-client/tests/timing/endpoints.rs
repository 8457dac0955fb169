//! Several endpoints: spreading, failing over, ejecting, coming and going.

use futures::future::join_all;

use super::{
    schedule::{doubled, row},
    *,
};

/// Endpoints `a`, `b`, … and a queue over them that merges up to 8 rows.
fn set(fakes: &[&FakeTriton]) -> Arc<Client> {
    let names = ["a", "b", "c", "d"];
    let connector = fakes[0].connector();
    let options = EndpointOptions::default();
    let set = EndpointSet::with_connector(names[0], move || connector(), options);
    for (name, fake) in names.iter().zip(fakes).skip(1) {
        let connector = fake.connector();
        set.add_with_connector(name, move || connector());
    }
    let batching = Batching {
        max_rows: 8,
        ..Batching::none()
    };
    Client::new(set, batching)
}

/// Asks one after the other; how many were answered.
async fn one_by_one(client: &Client, count: usize, budget: Duration) -> usize {
    let mut answered = 0;
    for _ in 0..count {
        answered += usize::from(infer(client, budget).await.is_ok());
        sleep(MS).await;
    }
    answered
}

#[tokio::test(start_paused = true)]
async fn equals_share_the_load() {
    let fakes = [fake(), fake(), fake()];
    for fake in &fakes {
        fake.push("m", vec![Step::after(MS * 5); 1000]);
    }
    let client = set(&[&fakes[0], &fakes[1], &fakes[2]]);
    assert_eq!(one_by_one(&client, 90, MS * 50).await, 90);
    let calls: Vec<usize> = fakes.iter().map(|fake| fake.calls("m")).collect();
    assert!(
        calls.iter().all(|calls| (20..=40).contains(calls)),
        "{calls:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_that_fails_is_made_once_more_elsewhere() {
    let (a, b) = (fake(), fake());
    let client = set(&[&a, &b]);
    for _ in 0..20 {
        a.push("m", [Step::error(UNAVAILABLE, "down")]);
        b.push("m", [Step::now()]);
        let waves = join_all((0..4_u8).map(|value| {
            let deadline = Instant::now() + MS * 50;
            let scheduler = &client.scheduler;
            async move {
                let answer = scheduler.infer(row(f32::from(value)), 0.0, deadline).await;
                doubled(&answer.expect("b answers what a does not"))
            }
        }));
        assert_eq!(waves.await, [0.0, 2.0, 4.0, 6.0]);
        sleep(MS * 50).await;
    }
    assert!(client.queues()[0].totals.retried > 0);
}

#[tokio::test(start_paused = true)]
async fn once_is_enough() {
    let (a, b) = (fake(), fake());
    let client = set(&[&a, &b]);
    a.push("m", [Step::error(UNAVAILABLE, "down")]);
    b.push("m", [Step::error(UNAVAILABLE, "down too")]);
    let answer = infer(&client, MS * 50).await;
    assert!(
        matches!(answer, Err(InferError::Server { .. })),
        "{answer:?}"
    );
    assert_eq!((a.calls("m"), b.calls("m")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn retries_are_bounded_when_everything_fails() {
    let (a, b) = (fake(), fake());
    let client = set(&[&a, &b]);
    let mut asked = 0;
    for _ in 0..200 {
        for fake in [&a, &b] {
            fake.clear_script("m");
            // Every fifth call succeeds, so that no breaker opens.
            fake.push("m", vec![Step::error(UNAVAILABLE, "down"); 4]);
            fake.push("m", [Step::now()]);
        }
        for _ in 0..8 {
            let _ = infer(&client, MS * 50).await;
            asked += 1;
        }
    }
    let retried = client.queues()[0].totals.retried;
    assert!(retried as usize <= asked / 5 + 110, "{retried} of {asked}");
    assert!(retried > 100, "{retried}");
}

#[tokio::test(start_paused = true)]
async fn one_that_is_frozen_costs_the_others_nothing() {
    let fakes = [fake(), fake()];
    let client = set(&[&fakes[0], &fakes[1]]);
    assert_eq!(one_by_one(&client, 20, MS * 50).await, 20);
    fakes[0].freeze();
    let answered = one_by_one(&client, 400, MS * 50).await;
    assert!(answered >= 390, "{answered}: two slots and a few probes");
    assert_eq!(client.states()[0].state, BreakerState::Open);
    assert_eq!(client.states()[1].state, BreakerState::Closed);
    fakes[0].thaw();
    sleep(Duration::from_secs(3)).await;
    assert_eq!(one_by_one(&client, 100, MS * 50).await, 100);
    assert_eq!(
        client.states()[0].state,
        BreakerState::Closed,
        "found well by itself"
    );
}

#[tokio::test(start_paused = true)]
async fn one_that_is_ten_times_slower_is_ejected_and_comes_back_slowly() {
    let fakes = [fake(), fake(), fake()];
    let pace = |slow: u32| {
        for (fake, ms) in fakes.iter().zip([4, 4, slow]) {
            fake.clear_script("m");
            fake.push("m", vec![Step::after(MS * ms); 10_000]);
        }
    };
    let client = set(&[&fakes[0], &fakes[1], &fakes[2]]);
    let load = async |seconds: u64| {
        let until = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < until {
            let wave = (0..60).map(|_| infer(&client, MS * 90));
            join_all(wave).await;
        }
    };
    pace(4);
    load(1).await;
    pace(40);
    load(3).await;
    let state = client.states()[2].clone();
    assert_eq!(state.state, BreakerState::Open, "{state:?}");
    assert!(state.why.expect("a reason").contains("others"));
    let ejected = client.states()[2].ejections;
    assert!(ejected >= 1);
    let before = fakes[2].calls("m");
    load(4).await;
    let probes = fakes[2].calls("m") - before;
    assert!(probes <= 6, "probes alone, which are too slow: {probes}");
    pace(4);
    load(4).await;
    assert_eq!(client.states()[2].state, BreakerState::Closed);
    let slots = client.queues()[0].lanes[2].slots;
    assert!(slots >= 2, "slow start is over: {slots}");
}

#[tokio::test(start_paused = true)]
async fn what_one_has_no_use_for_is_offered_to_another() {
    let (a, b) = (fake(), fake());
    let client = set(&[&a, &b]);
    a.push("m", vec![Step::after(MS * 5); 1000]);
    b.push("m", vec![Step::after(MS * 9); 1000]);
    for round in 0..20 {
        if round % 2 == 0 {
            // So that either of them is asked first.
            infer(&client, MS * 90).await.expect("there is time");
        }
        let relaxed = infer(&client, MS * 90);
        // The one with fewer calls out comes first, and b is too slow for it.
        let tight = async {
            sleep(MS).await;
            infer(&client, MS * 7).await
        };
        let (relaxed, tight) = tokio::join!(relaxed, tight);
        relaxed.expect("there is time");
        tight.expect("a has the time");
        sleep(MS).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_failed_at_one_is_not_offered_to_it_again() {
    let (a, b) = (fake(), fake());
    let client = set(&[&a, &b]);
    for _ in 0..10 {
        a.push("m", [Step::after(MS * 2)]);
        b.push("m", [Step::after(MS * 10)]);
        let both = [infer(&client, MS * 90), infer(&client, MS * 90)];
        assert!(join_all(both).await.iter().all(Result::is_ok));
        sleep(MS * 20).await;
    }
    a.clear_script("m");
    a.push("m", vec![Step::error(UNAVAILABLE, "down"); 3]);
    for _ in 0..3 {
        infer(&client, MS * 40)
            .await
            .expect("b is slower, but has the time");
        sleep(MS).await;
    }
}

#[tokio::test(start_paused = true)]
async fn many_that_are_dead_cost_nobody_an_answer() {
    let fakes = [fake(), fake(), fake(), fake()];
    for dead in &fakes[1..] {
        dead.die();
    }
    let client = set(&[&fakes[0], &fakes[1], &fakes[2], &fakes[3]]);
    let first = one_by_one(&client, 100, MS * 50).await;
    // Probes go on, and whoever was one is answered by the one that is well.
    let later = one_by_one(&client, 4000, MS * 50).await;
    assert!(first >= 85, "{first} of 100 before their breakers open");
    assert_eq!(later, 4000);
    let open = client.states()[1..]
        .iter()
        .all(|state| state.state != BreakerState::Closed);
    assert!(open, "{:?}", client.states());
}

#[tokio::test(start_paused = true)]
async fn one_that_is_slower_takes_nothing_from_what_the_other_can_do() {
    let (a, b) = (fake(), fake());
    let client = set(&[&a, &b]);
    a.push("m", vec![Step::after(MS * 5); 100]);
    b.push("m", vec![Step::after(MS * 45); 100]);
    for _ in 0..2 {
        join_all((0..32).map(|_| infer(&client, MS * 400))).await;
        sleep(MS * 50).await;
    }
    let shed = client.queues()[0].totals.shed;
    let (stuck, asked) = (0..4, 0..16);
    let stuck = join_all(stuck.map(|_| infer(&client, MS * 400)));
    let asked = async {
        sleep(MS).await;
        join_all(asked.map(|_| infer(&client, MS * 40))).await
    };
    let (stuck, asked) = tokio::join!(stuck, asked);
    assert!(stuck.iter().all(Result::is_ok));
    let answered = asked.iter().filter(|answer| answer.is_ok()).count();
    assert!(
        answered >= 15,
        "all but a trial of the slower one: {asked:?}"
    );
    assert_eq!(client.queues()[0].totals.shed, shed);
}

#[tokio::test(start_paused = true)]
async fn one_that_had_crashed_is_not_asked_to_be_as_fast_as_the_others() {
    let (a, b) = (fake(), fake());
    let client = set(&[&a, &b]);
    a.push("m", vec![Step::after(MS * 4); 10_000]);
    b.push("m", vec![Step::error(UNAVAILABLE, "down"); 5]);
    while client.states()[1].state == BreakerState::Closed {
        let _ = join_all((0..2).map(|_| infer(&client, MS * 90))).await;
    }
    b.push("m", vec![Step::after(MS * 30); 10_000]);
    sleep(MS * 250).await;
    one_by_one(&client, 60, MS * 90).await;
    assert_eq!(client.states()[1].state, BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn when_most_are_slow_it_is_the_load_and_nobody_is_ejected() {
    let fakes = [fake(), fake(), fake()];
    for (fake, ms) in fakes.iter().zip([4, 40, 40]) {
        fake.push("m", vec![Step::after(MS * ms); 10_000]);
    }
    let client = set(&[&fakes[0], &fakes[1], &fakes[2]]);
    for _ in 0..100 {
        join_all((0..30).map(|_| infer(&client, MS * 95))).await;
    }
    let ejected = client
        .states()
        .iter()
        .filter(|state| state.ejections > 0)
        .count();
    assert!(ejected <= 1, "{:?}", client.states());
}

#[tokio::test(start_paused = true)]
async fn one_that_lacks_the_model_attracts_nobody() {
    let (a, b) = (fake(), FakeTriton::new());
    a.push("m", vec![Step::after(MS * 5); 1000]);
    let client = set(&[&a, &b]);
    let answered = one_by_one(&client, 100, MS * 50).await;
    assert_eq!(
        answered, 100,
        "who is told that it is not there is sent elsewhere"
    );
    let lanes = client.queues().remove(0).lanes;
    assert!(
        lanes[1]
            .absent
            .as_ref()
            .expect("a reason")
            .contains("not found"),
        "{lanes:?}"
    );
    assert_eq!(
        client.states()[1].state,
        BreakerState::Closed,
        "it is not ill"
    );
}

#[tokio::test(start_paused = true)]
async fn endpoints_come_and_go_without_losing_anybody() {
    let fakes = [fake(), fake()];
    for fake in &fakes {
        fake.push("m", vec![Step::after(MS * 10); 10_000]);
    }
    let client = set(&[&fakes[0]]);
    let asking = |client: &Arc<Client>| {
        let client = Arc::clone(client);
        tokio::spawn(async move { one_by_one(&client, 300, MS * 100).await })
    };
    let callers: Vec<_> = (0..8).map(|_| asking(&client)).collect();
    sleep(MS * 500).await;
    let connector = fakes[1].connector();
    client.add_with_connector("b", move || connector());
    sleep(MS * 500).await;
    assert!(fakes[1].calls("m") > 10, "it is given calls");
    assert!(client.remove("a"));
    assert!(!client.remove("a"));
    sleep(MS * 20).await;
    let calls = fakes[0].calls("m");
    for caller in callers {
        assert_eq!(caller.await.expect("it ran"), 300);
    }
    assert_eq!(fakes[0].calls("m"), calls, "and the one that went is not");
    client.remove("b");
    let answer = infer(&client, MS * 50).await;
    assert!(
        answer
            .expect_err("nobody is left")
            .to_string()
            .contains("no endpoint")
    );
}
