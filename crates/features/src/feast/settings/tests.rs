//! Settings as Feast reads them, and what is refused of them.

use super::*;

fn env(name: &str) -> Option<String> {
    match name {
        "HOST" => Some("redis.example:6380".to_owned()),
        "PW" => Some("s3cret".to_owned()),
        "SSL_CERT_FILE" => Some("/ca.pem".to_owned()),
        _ => None,
    }
}

fn read(text: &str) -> Result<Settings, Vec<String>> {
    parse(text, Path::new("/repo"), &env).map_err(|all| {
        let line = |(key, why)| format!("{key}: {why}");
        all.into_iter().map(line).collect()
    })
}

#[test]
fn what_feast_writes_at_the_start_of_a_project_is_read() {
    let settings = read(
        "project: my_project
# By default, the registry is a file
registry: data/registry.db
provider: local
online_store:
    type: redis
    connection_string: \"localhost:6379\"
entity_key_serialization_version: 3
auth:
    type: no_auth
",
    );
    assert_eq!(
        settings,
        Ok(Settings {
            project: "my_project".to_owned(),
            registry: PathBuf::from("/repo/data/registry.db"),
            versioned: false,
            refresh: Some(Duration::from_secs(600)),
            key_version: KeyVersion::V3,
            store_url: StoreUrl("redis://localhost:6379".to_owned()),
        })
    );
}

#[test]
fn everything_else_that_gavel_knows() {
    let settings = read(
        "project: p
registry:
  registry_type: file
  path: /elsewhere/registry.db
  cache_ttl_seconds: 60
  enable_online_feature_view_versioning: true
online_store: {type: redis, redis_type: redis_cluster, connection_string: '${HOST},b:1,password=$PW,ssl=true', key_ttl_seconds: 5}
entity_key_serialization_version: 2
",
    )
    .unwrap();
    assert_eq!(settings.registry, Path::new("/elsewhere/registry.db"));
    assert_eq!(settings.key_version, KeyVersion::V2);
    assert!(settings.versioned);
    assert_eq!(settings.refresh, Some(Duration::from_secs(60)));
    let url = "rediss-cluster://:s3cret@redis.example:6380,b:1";
    assert_eq!(settings.store_url.as_str(), url);
    assert_eq!(
        format!("{:?}", settings.store_url),
        "…redis.example:6380,b:1"
    );

    let settings = read("project: p\nonline_store: redis").unwrap();
    assert_eq!(settings.registry, Path::new("/repo/data/registry.db"));
    assert_eq!(settings.store_url.as_str(), "redis://localhost:6379");

    let settings = read(
        "project: p
registry: {path: r.db, cache_ttl_seconds: 0}
online_store: {type: redis, redis_type: redis_sentinel, sentinel_master: a.b, connection_string: 'a:1,b:2,password=$PW,username=u,db=4'}
",
    )
    .unwrap();
    assert_eq!(settings.refresh, None);
    let url = "redis-sentinel://u:s3cret@a:1,b:2/a.b/4";
    assert_eq!(settings.store_url.as_str(), url);
}

#[test]
fn everything_wrong_is_said_at_once() {
    let wrong = read(
        "registry: {registry_type: sql, path: 'postgresql://u:s3cret@h/db'}
online_store: {type: dynamodb}
entity_key_serialization_version: 1
",
    )
    .unwrap_err();
    assert_eq!(wrong.len(), 4, "{wrong:#?}");
    assert_eq!(wrong[0], "project: is missing");
    assert!(wrong[1].starts_with("registry: registry_type \"sql\" is not a file. Gavel reads"));
    assert!(wrong[2].contains("online_store: is \"dynamodb\": Gavel reads Feast's Redis"));
    assert!(wrong[3].contains("is neither 2 nor 3"));
    assert!(!wrong.concat().contains("s3cret"));
}

#[test]
fn each_thing_that_gavel_does_not_do_has_its_sentence() {
    for (text, why) in [
        (
            "project: p\nonline_store: {type: redis, redis_type: redis_sentinel, sentinel_master: a/1}",
            "online_store.sentinel_master: is no name of a master",
        ),
        (
            "project: p\nonline_store: {type: redis, redis_type: none}",
            "is to be redis, redis_cluster or redis_sentinel",
        ),
        (
            "project: p\nonline_store: {type: redis, connection_string: 'h:1,ssl=False'}",
            "online_store.connection_string: has ssl=False",
        ),
        (
            "project: p\nonline_store: {type: redis, connection_string: '${NOT_SET}:6379'}",
            "uses ${NOT_SET}, which is not set",
        ),
        (
            "project: p\nonline_store: {type: redis, connection_string: 5}",
            "online_store.connection_string: is not a text",
        ),
        (
            "project: p\nonline_store: redis\nregistry: s3://b/registry.db",
            "registry: is not a file on this machine",
        ),
        (
            "project: p\nonline_store: redis\nregistry: {path: gs://b/r.db}",
            "registry.path: is not a file on this machine",
        ),
        (
            "project: p\nonline_store: redis\nregistry: {registry_type: remote, path: 'h:80'}",
            "registry: registry_type \"remote\"",
        ),
        (
            "project: p\nonline_store: redis\nregistry: {cache_ttl_seconds: 1}",
            "registry.path: is missing",
        ),
        (
            "project: p\nonline_store: redis\nregistry: {path: r.db, enable_online_feature_view_versioning: maybe}",
            "is neither true nor false",
        ),
        (
            "project: p\nonline_store: redis\nregistry: {path: r.db, cache_ttl_seconds: 1.5}",
            "registry.cache_ttl_seconds: is not a whole number",
        ),
        ("project: p", "online_store: is nothing"),
        (
            "project: [1]\nonline_store: redis",
            "project: is not a text",
        ),
        (
            "project: p\nonline_store: {type: redis",
            ": is not the YAML",
        ),
        ("- a list", ": is not the YAML"),
        ("", "project: is missing"),
    ] {
        let wrong = read(text).expect_err(text);
        assert!(
            wrong.iter().any(|line| line.contains(why)),
            "{text}: {wrong:#?}"
        );
    }
}

#[test]
fn a_broken_file_is_not_quoted() {
    let wrong =
        read("project: p\nonline_store:\n  connection_string: 'h:1,password=$PW\n").unwrap_err();
    assert!(!wrong.concat().contains("s3cret"), "{wrong:?}");
}

#[test]
fn variables_are_replaced_as_python_does() {
    let expanded = |text| expand(text, &env).0;
    assert_eq!(expanded("a $PW/${HOST}$"), "a s3cret/redis.example:6380$");
    assert_eq!(
        expanded("$PWx ${PWx} $$PW ${PW $PW ${}"),
        "$PWx ${PWx} $s3cret ${PW $PW ${}"
    );
    assert_eq!(expanded("€$PW€"), "€s3cret€");
    assert_eq!(expand("$A ${B}", &env).1, ["${B}"]);
}
