//! Events out of tables.

use std::{borrow::Cow, path::PathBuf, sync::Arc, time::SystemTime};

use features::{
    Catalog, Given, History,
    events::{Event, EventType},
};
use tables::{Cell, Reader, Row, time};

use super::{Made, in_file};
use crate::{
    ingest::Types,
    load::{Rejects, given, place, table},
    progress::Meter,
    serve::Failure,
};

/// Where an event says its type.
const LABEL: &str = "type";

/// Rejected rows of a file that are shown one by one.
const SHOWN: u64 = 20;

/// A file of events.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) file: PathBuf,
    /// The type that it holds; `None` where events say theirs.
    held: Option<Arc<EventType>>,
    /// The type of those that say none.
    otherwise: Option<Arc<EventType>>,
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
        let held = match (named, catalog.event_types()) {
            (Some(name), _) => {
                Some(held(catalog, name, &needed).map_err(|why| in_file(file, why))?)
            }
            (None, [only]) => Some(Arc::clone(only)),
            (None, _) => None,
        };
        let otherwise = match needed.as_slice() {
            [one] => catalog.event_type(one).cloned(),
            _ => None,
        };
        sources.push(Source {
            file: file.clone(),
            held,
            otherwise,
        });
    }
    let holds =
        |source: &Source, name: &str| source.held.as_ref().is_none_or(|kind| kind.name() == name);
    let lacks = |name: &&&str| !sources.iter().any(|source| holds(source, name));
    match needed.iter().find(lacks) {
        None => Ok(sources),
        Some(name) => Err(Failure(format!(
            "features are made from events `{name}`, and no --events FILE={name} is given"
        ))),
    }
}

fn held(catalog: &Catalog, name: &str, needed: &[&str]) -> Result<Arc<EventType>, String> {
    let kind = catalog.event_type(name).filter(|_| needed.contains(&name));
    kind.cloned().ok_or_else(|| {
        format!(
            "none of the features is made from events `{name}`, but from {}",
            needed.join(" and ")
        )
    })
}

/// Reads the events of a file that happened before a moment and are about entities of the spine.
pub(super) fn read<'s>(
    source: &'s Source,
    (types, history): (&'s Types, &History),
    before_us: i64,
    past: &mut Vec<(&'s str, Event)>,
    rejects: &mut Rejects,
    made: &mut Made,
) -> Result<(), Failure> {
    let file = &source.file;
    let needed = history.event_types();
    let mut reader = Reader::open(file, None).map_err(table)?;
    if let Some(columns) = reader.columns() {
        source.check(types, &needed, columns)?;
    }
    let now = SystemTime::now();
    let mut shown = 0;
    let mut meter = Meter::new(
        format!("reading {}", file.display()),
        reader.progress().total,
    );
    while let Some(read) = reader.read().map_err(table)? {
        let (position, why) = match read {
            Ok(row) => {
                made.events += 1;
                let read = source.kind(types, &row).and_then(|kind| {
                    let event = match needed.contains(&kind.name()) {
                        true => Some(event(kind, &row, now)?),
                        false => None,
                    };
                    Ok((kind, event))
                });
                match read {
                    Ok((_, None)) => {
                        made.others += 1;
                        continue;
                    }
                    Ok((kind, Some(event))) if !history.concerns(kind.name(), &event) => {
                        made.elsewhere += 1;
                        continue;
                    }
                    Ok((_, Some(event))) if event.time_us() >= before_us => {
                        made.after += 1;
                        continue;
                    }
                    Ok((kind, Some(event))) => {
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
    Ok(())
}

impl Source {
    /// Whether a table has the columns that every row needs.
    fn check(&self, types: &Types, needed: &[&str], columns: &[Arc<str>]) -> Result<(), Failure> {
        let told = self.held.as_ref().or(self.otherwise.as_ref());
        if told.is_none() && !columns.iter().any(|column| **column == *LABEL) {
            return Err(in_file(
                &self.file,
                format!(
                    "there is no column `{LABEL}`: say of which type its events are, as FILE=TYPE: {}",
                    needed.join(" or ")
                ),
            ));
        }
        let mut kinds = needed.iter().filter_map(|name| types.find(name).ok());
        let timed = match told {
            Some(kind) => columns.iter().any(|column| holds_time(kind, column)),
            None => kinds.any(|kind| columns.iter().any(|column| holds_time(kind, column))),
        };
        if timed {
            return Ok(());
        }
        let names = told.map_or_else(|| needed.join("` or `"), |kind| kind.name().to_owned());
        let why = format!("no column is the time of events `{names}`, as features.toml names it");
        Err(in_file(&self.file, why))
    }

    /// The type of an event: as ingest tells it, and without a label the one that is needed.
    fn kind<'k>(&'k self, types: &'k Types, row: &Row) -> Result<&'k Arc<EventType>, String> {
        let label = match (row.get(LABEL), &self.held) {
            (_, Some(held)) if held.reads_type() => None,
            (Some(Cell::Text(label) | Cell::Untyped(label)), _) if !label.is_empty() => {
                Some(label.as_str())
            }
            _ => None,
        };
        match (label, &self.held, &self.otherwise) {
            (None, None, Some(otherwise)) => Ok(otherwise),
            (label, held, _) => types
                .of_label(label, held.as_ref())
                .map_err(|poison| poison.why),
        }
    }
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
