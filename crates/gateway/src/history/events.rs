//! Events out of tables.

use std::{borrow::Cow, path::PathBuf, sync::Arc, time::SystemTime};

use features::{
    Catalog, Given, History,
    events::{Event, EventType},
};
use tables::{Cell, Reader, Row, time};

use super::{Made, in_file};
use crate::{
    load::{Rejects, given, place, table},
    progress::Meter,
    serve::Failure,
};

/// Rejected rows of a file that are shown one by one.
const SHOWN: u64 = 20;

/// A file of events of one type.
#[derive(Debug)]
pub(super) struct Source {
    file: PathBuf,
    kind: Arc<EventType>,
}

/// The files with their types, each of which something is made from; and of each type that is needed
/// there is a file.
pub(super) fn sources(
    catalog: &Catalog,
    history: &History,
    files: &[(PathBuf, Option<String>)],
) -> Result<Vec<Source>, Failure> {
    let needed = history.event_types();
    let mut sources: Vec<Source> = Vec::with_capacity(files.len());
    for (file, named) in files {
        let name = match (named, needed.as_slice()) {
            (Some(name), _) => name,
            (None, [one]) => *one,
            (None, _) => {
                return Err(in_file(
                    file,
                    format!(
                        "say of which type its events are, as FILE=TYPE: {}",
                        needed.join(" or ")
                    ),
                ));
            }
        };
        let Some(kind) = catalog.event_type(name).filter(|_| needed.contains(&name)) else {
            return Err(in_file(
                file,
                format!(
                    "none of the features is made from events `{name}`, but from {}",
                    needed.join(" and ")
                ),
            ));
        };
        sources.push(Source {
            file: file.clone(),
            kind: Arc::clone(kind),
        });
    }
    let lacks = |name: &&&str| !sources.iter().any(|source| source.kind.name() == **name);
    match needed.iter().find(lacks) {
        None => Ok(sources),
        Some(name) => Err(Failure(format!(
            "features are made from events `{name}`, and no --events FILE={name} is given"
        ))),
    }
}

/// Reads the events of a file that happened before a moment and are about entities of the spine.
pub(super) fn read<'s>(
    source: &'s Source,
    history: &History,
    before_us: i64,
    past: &mut Vec<(&'s str, Event)>,
    made: &mut Made,
) -> Result<(), Failure> {
    let Source { file, kind } = source;
    let mut reader = Reader::open(file, None).map_err(table)?;
    if let Some(columns) = reader.columns()
        && !columns.iter().any(|column| holds_time(kind, column))
    {
        let why = format!(
            "no column is the time of events `{}`, as features.toml names it",
            kind.name()
        );
        return Err(in_file(file, why));
    }
    let now = SystemTime::now();
    let mut rejects = Rejects::beside(file);
    let mut shown = 0;
    let mut meter = Meter::new(
        format!("reading {}", file.display()),
        reader.progress().total,
    );
    while let Some(read) = reader.read().map_err(table)? {
        let (position, why) = match read {
            Ok(row) => {
                made.events += 1;
                match event(kind, &row, now) {
                    Ok(event) if !history.concerns(kind.name(), &event) => {
                        made.elsewhere += 1;
                        continue;
                    }
                    Ok(event) if event.time_us() >= before_us => {
                        made.after += 1;
                        continue;
                    }
                    Ok(event) => {
                        past.push((kind.name(), event));
                        meter.step(reader.progress().done, || format!("{} events", made.events));
                        continue;
                    }
                    Err(why) => {
                        made.rejected += 1;
                        rejects.row(file, &row, &why)?;
                        (row.position, why)
                    }
                }
            }
            Err(error) => {
                made.events += error.rows;
                made.rejected += error.rows;
                rejects.unread(file, &error)?;
                (error.position, error.why)
            }
        };
        shown += 1;
        if shown <= SHOWN {
            meter.say(&format!("{}: {why}", place(file, position)));
        }
    }
    made.rejects.extend(rejects.finish()?);
    Ok(())
}

/// Whether a column is the event's time, or the group in which it is.
fn holds_time(kind: &EventType, column: &str) -> bool {
    kind.is_time(column) || kind.is_time_in(column)
}

/// JSON lines are read as ingest reads them; rows of other tables by their columns.
fn event(kind: &EventType, row: &Row, now: SystemTime) -> Result<Event, String> {
    let event = match &row.line {
        Some(line) => kind.parse_json(line.as_bytes(), now),
        None => {
            let mut fields = Vec::with_capacity(row.fields.len());
            for (name, cell) in &row.fields {
                flatten(kind, Cow::Borrowed(name), cell, &mut fields);
            }
            let fields = fields.iter().map(|(name, given)| (&**name, given.clone()));
            kind.from_row(fields, now)
        }
    };
    event.map_err(|error| error.to_string())
}

/// Groups by the dotted paths of what is in them.
fn flatten<'r>(
    kind: &EventType,
    name: Cow<'r, str>,
    cell: &'r Cell,
    fields: &mut Vec<(Cow<'r, str>, Given<'r>)>,
) {
    match cell {
        Cell::Struct(inner) => {
            for (field, cell) in inner {
                flatten(kind, Cow::Owned(format!("{name}.{field}")), cell, fields);
            }
        }
        Cell::Text(text) | Cell::Untyped(text) if kind.is_time(&name) => {
            let moment = time::parse(text).map_or_else(|| given(cell), Given::Time);
            fields.push((name, moment));
        }
        _ => fields.push((name, given(cell))),
    }
}
