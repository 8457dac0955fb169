//! The kit's own promises: servers answer, freeze, die and come back on the same port.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use testkit::{Redis, RedisCluster};

fn ping(redis: &Redis) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", redis.port()))?;
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    stream.write_all(b"PING\r\n")?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn redis_freezes_dies_and_comes_back() {
    let mut redis = Redis::start();
    assert_eq!(ping(&redis).expect("an answer"), "+PONG\r\n");
    redis.stop();
    let silence = ping(&redis).expect_err("it is frozen").kind();
    assert!(
        matches!(silence, ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{silence:?}"
    );
    redis.cont();
    assert_eq!(ping(&redis).expect("an answer"), "+PONG\r\n");
    redis.kill();
    assert!(ping(&redis).is_err());
    redis.restart();
    assert_eq!(ping(&redis).expect("an answer"), "+PONG\r\n");
}

#[test]
fn redis_with_tls_gives_an_authority_to_trust() {
    let redis = Redis::start_tls();
    assert!(redis.url().starts_with("rediss://localhost:"));
    let authority = redis.certificate_authority().expect("a certificate");
    let pem = std::fs::read_to_string(authority).expect("it can be read");
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----"));
}

#[test]
fn a_cluster_forms() {
    let cluster = RedisCluster::start();
    assert_eq!(cluster.nodes.len(), 3);
    assert!(cluster.url().starts_with("redis-cluster://127.0.0.1:"));
}

#[test]
fn a_replica_takes_the_place_of_a_master_that_dies() {
    let mut cluster = RedisCluster::start_with_replicas();
    assert_eq!(cluster.nodes.len(), 6);
    cluster.nodes[0].kill();
    cluster.wait_for_failover(0);
    for node in &cluster.nodes[1..] {
        assert_eq!(ping(node).expect("an answer"), "+PONG\r\n");
    }
}
