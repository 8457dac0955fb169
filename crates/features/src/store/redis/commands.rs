//! The commands that read, and what their answers mean.

use deadpool_redis::redis::{Cmd, Pipeline, RedisError, Value, from_redis_value};

use crate::catalog::Field;
use crate::store::ask::{Ask, Reply, Values};

/// Room for a key or a field of ordinary length, in bytes.
const ARGUMENT: usize = 48;

/// Reads all rows.
pub(super) fn rows(ask: &Ask<'_>) -> Cmd {
    let mut command = Cmd::with_capacity(1 + ask.rows.len(), ARGUMENT * ask.rows.len());
    command.arg("MGET");
    for key in ask.rows.iter() {
        command.arg(key);
    }
    command
}

/// Reads fields of one hash.
pub(super) fn hash(key: &[u8], fields: &[Field]) -> Cmd {
    let mut command = Cmd::with_capacity(2 + fields.len(), ARGUMENT + 8 * fields.len());
    command.arg("HMGET").arg(key);
    for field in fields {
        command.arg(&**field);
    }
    command
}

/// Reads everything. An error of one command leaves the others their answers.
pub(super) fn pipeline(ask: &Ask<'_>) -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(1 + ask.hash_count());
    if ask.rows.len() > 0 {
        pipeline.add_command(rows(ask));
    }
    for (key, fields) in ask.hashes() {
        pipeline.add_command(hash(key, fields));
    }
    pipeline.ignore_errors();
    pipeline
}

/// The answers to [`pipeline`].
pub(super) fn unpack(ask: &Ask<'_>, answers: Vec<Value>) -> Result<Reply, RedisError> {
    let mut answers = answers.into_iter().map(checked);
    let rows = match ask.rows.len() {
        0 => Values::new(),
        _ => from_redis_value(answers.next().unwrap_or(Ok(Value::Nil))?)?,
    };
    let hashes = answers.map(hash_answer).collect::<Result<_, _>>()?;
    Ok(Reply { rows, hashes })
}

fn checked(answer: Value) -> Result<Value, RedisError> {
    match answer {
        Value::ServerError(error) => Err(error.into()),
        answer => Ok(answer),
    }
}

/// The answer to [`hash`]; `None` if the key holds something else.
pub(super) fn hash_answer(answer: Result<Value, RedisError>) -> Result<Option<Values>, RedisError> {
    match answer {
        Ok(values) => Ok(Some(from_redis_value(values)?)),
        Err(error) if error.code() == Some("WRONGTYPE") => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether every value that was asked for has its place in the reply.
pub(super) fn fits(ask: &Ask<'_>, reply: &Reply) -> bool {
    let fits = |((_, fields), values): ((_, &[Field]), &Option<Values>)| {
        values
            .as_ref()
            .is_none_or(|values| values.len() == fields.len())
    };
    reply.rows.len() == ask.rows.len()
        && reply.hashes.len() == ask.hash_count()
        && ask.hashes().zip(&reply.hashes).all(fits)
}
