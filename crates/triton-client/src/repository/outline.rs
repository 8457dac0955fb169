//! Where each field of a `config.pbtxt` stands, so that a finding can point at it.
//!
//! The parser that reads values ([`ModelConfig::parse_pbtxt`](crate::ModelConfig::parse_pbtxt))
//! gives places for what it refuses only. This one knows no schema and refuses nothing: it makes
//! a tree of whatever fields the text has.

use std::ops::Range;

use super::lex::{Kind, Token, tokens};
use super::path::{Index, Segment, segments};

/// Messages nested deeper are passed over. `ModelConfig` has about six levels.
const DEPTH_LIMIT: usize = 32;

/// Children that say which message of several it is, in the order of preference.
const NAMING: [&str; 3] = ["name", "key", "model_name"];

/// The fields of one text.
#[derive(Clone, Debug, Default)]
pub(super) struct Outline {
    fields: Vec<Field>,
}

#[derive(Clone, Debug)]
struct Field {
    name: String,
    name_span: Range<usize>,
    /// From the name to the end of the value.
    span: Range<usize>,
    value: Value,
}

#[derive(Clone, Debug)]
enum Value {
    Scalar(String),
    Message(Vec<Field>),
    List(Vec<Item>),
}

#[derive(Clone, Debug)]
struct Item {
    span: Range<usize>,
    value: Value,
}

/// One value of a possibly repeated field.
#[derive(Clone, Copy)]
struct Node<'a> {
    value: &'a Value,
    /// What to underline if the value is a message without a name.
    head: &'a Range<usize>,
    /// All of it.
    whole: &'a Range<usize>,
}

impl Outline {
    pub(super) fn of(text: &str) -> Self {
        let tokens = tokens(text);
        let mut parser = Parser {
            text,
            tokens: &tokens,
            at: 0,
        };
        let mut fields = Vec::new();
        while parser.at < tokens.len() {
            fields.append(&mut parser.fields(0));
            // A closing brace too many.
            parser.at += 1;
        }
        Self { fields }
    }

    /// The place of a field, such as `dynamic_batching.default_queue_policy`, `input[0].dims[1]`
    /// or `parameters["gavel.features.x"]`. Where that is not in the text, the place of the
    /// message that it is missing from; `None` if even that is not.
    ///
    /// A message is shown by its name if it has one, else by that of its field.
    pub(super) fn span(&self, path: &str) -> Option<Range<usize>> {
        let mut fields = self.fields.as_slice();
        let mut place = None;
        for segment in segments(path) {
            let Some((node, span)) = find(fields, &segment) else {
                break;
            };
            place = Some(span);
            fields = match node.value {
                Value::Message(fields) => fields,
                Value::Scalar(_) | Value::List(_) => &[],
            };
        }
        place
    }

    /// Whether the text has the field.
    pub(super) fn has(&self, path: &str) -> bool {
        let mut fields = self.fields.as_slice();
        for segment in segments(path) {
            let Some((node, _)) = find(fields, &segment) else {
                return false;
            };
            fields = match node.value {
                Value::Message(fields) => fields,
                Value::Scalar(_) | Value::List(_) => &[],
            };
        }
        true
    }

    /// The innermost field around `place`: its path and all of its bytes.
    pub(super) fn around(&self, place: &Range<usize>) -> Option<(String, Range<usize>)> {
        let mut fields = self.fields.as_slice();
        let mut found: Option<(String, Range<usize>)> = None;
        while let Some((path, node)) = around(fields, place) {
            let path = match &found {
                Some((parent, _)) => format!("{parent}.{path}"),
                None => path,
            };
            found = Some((path, node.whole.clone()));
            fields = match node.value {
                Value::Message(fields) => fields,
                Value::Scalar(_) | Value::List(_) => &[],
            };
        }
        found
    }
}

/// The child of `fields` with `place` in it.
fn around<'a>(fields: &'a [Field], place: &Range<usize>) -> Option<(String, Node<'a>)> {
    let holds = |span: &Range<usize>| span.start <= place.start && place.start < span.end;
    let field = fields.iter().find(|field| holds(&field.span))?;
    let repeated = fields.iter().filter(|other| other.name == field.name);
    let nodes: Vec<Node<'_>> = repeated.clone().flat_map(Field::nodes).collect();
    let is_message = |node: &Node<'_>| matches!(node.value, Value::Message(_));
    let inside = nodes
        .iter()
        .position(|node| is_message(node) && holds(node.whole));
    match inside {
        Some(index) if nodes.len() > 1 || field.is_list() => {
            Some((format!("{}[{index}]", field.name), nodes[index]))
        }
        _ => Some((field.name.clone(), field.node())),
    }
}

fn find<'a>(fields: &'a [Field], segment: &Segment<'_>) -> Option<(Node<'a>, Range<usize>)> {
    let mut named = fields.iter().filter(|field| field.name == segment.name);
    let node = match &segment.index {
        None => {
            let field = named.next()?;
            match &field.value {
                // `input [ … ]` without an index: the field itself.
                Value::List(items) if items.iter().any(|item| item.value.is_message()) => {
                    return Some((field.node(), field.name_span.clone()));
                }
                Value::List(_) | Value::Scalar(_) => {
                    return Some((field.node(), field.span.clone()));
                }
                Value::Message(_) => return Some((field.node(), field.name_span.clone())),
            }
        }
        Some(Index::At(index)) => named.flat_map(Field::nodes).nth(*index)?,
        Some(Index::Key(key)) => named
            .flat_map(Field::nodes)
            .find(|node| node.child_text("key") == Some(key))?,
    };
    Some((node, node.shown()))
}

impl Field {
    /// The values that the field adds to those of its name.
    fn nodes(&self) -> Vec<Node<'_>> {
        match &self.value {
            Value::List(items) => items
                .iter()
                .map(|item| Node {
                    value: &item.value,
                    head: &item.span,
                    whole: &item.span,
                })
                .collect(),
            _ => vec![self.node()],
        }
    }

    fn node(&self) -> Node<'_> {
        Node {
            value: &self.value,
            head: &self.name_span,
            whole: &self.span,
        }
    }

    fn is_list(&self) -> bool {
        matches!(self.value, Value::List(_))
    }
}

impl Value {
    fn is_message(&self) -> bool {
        matches!(self, Self::Message(_))
    }
}

impl<'a> Node<'a> {
    fn shown(&self) -> Range<usize> {
        let Value::Message(fields) = self.value else {
            return self.whole.clone();
        };
        let naming = NAMING
            .iter()
            .find_map(|name| fields.iter().find(|field| field.name == *name));
        match naming {
            Some(field) => field.span.clone(),
            // The brace that opens it, if it is an item of a list.
            None if self.head == self.whole => self.head.start..self.head.start + 1,
            None => self.head.clone(),
        }
    }

    fn child_text(&self, name: &str) -> Option<&'a str> {
        let Value::Message(fields) = self.value else {
            return None;
        };
        fields.iter().find_map(|field| match &field.value {
            Value::Scalar(text) if field.name == name => Some(text.as_str()),
            _ => None,
        })
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: &'a [Token],
    at: usize,
}

impl Parser<'_> {
    /// Fields up to a closing bracket, which is left, or the end.
    fn fields(&mut self, depth: usize) -> Vec<Field> {
        let mut fields = Vec::new();
        while let Some(token) = self.tokens.get(self.at) {
            match token.kind {
                Kind::Mark(b'}' | b'>') => break,
                Kind::Name => {
                    if let Some(field) = self.field(depth) {
                        fields.push(field);
                    }
                }
                _ => self.at += 1,
            }
        }
        fields
    }

    fn field(&mut self, depth: usize) -> Option<Field> {
        let name_span = self.tokens.get(self.at)?.span.clone();
        self.at += 1;
        self.skip(b':');
        let item = self.value(depth)?;
        Some(Field {
            name: self.text.get(name_span.clone())?.to_owned(),
            span: name_span.start..item.span.end,
            name_span,
            value: item.value,
        })
    }

    fn value(&mut self, depth: usize) -> Option<Item> {
        let first = self.tokens.get(self.at)?;
        let start = first.span.start;
        let value = match &first.kind {
            Kind::Mark(b'{' | b'<') if depth < DEPTH_LIMIT => {
                self.at += 1;
                let fields = self.fields(depth + 1);
                self.at += 1;
                Value::Message(fields)
            }
            Kind::Mark(b'[') if depth < DEPTH_LIMIT => {
                self.at += 1;
                Value::List(self.items(depth + 1))
            }
            Kind::Text(_) => Value::Scalar(self.strings()),
            Kind::Name | Kind::Number => {
                self.at += 1;
                Value::Scalar(self.text.get(first.span.clone())?.to_owned())
            }
            Kind::Mark(b'-') => {
                self.at += 1;
                if matches!(self.tokens.get(self.at), Some(next) if matches!(next.kind, Kind::Name | Kind::Number))
                {
                    self.at += 1;
                }
                Value::Scalar("-".to_owned())
            }
            Kind::Mark(_) => return None,
        };
        // An open bracket at the end of the text has nothing to close it.
        let last = self.at.min(self.tokens.len()).checked_sub(1)?;
        let end = self.tokens.get(last)?.span.end;
        Some(Item {
            span: start..end,
            value,
        })
    }

    fn items(&mut self, depth: usize) -> Vec<Item> {
        let mut items = Vec::new();
        while let Some(token) = self.tokens.get(self.at) {
            match token.kind {
                Kind::Mark(b']') => {
                    self.at += 1;
                    break;
                }
                Kind::Mark(b'}' | b'>') => break,
                Kind::Mark(b'{' | b'<' | b'[' | b'-')
                | Kind::Name
                | Kind::Number
                | Kind::Text(_) => {
                    let before = self.at;
                    items.extend(self.value(depth));
                    // Too deep: passed over.
                    self.at = self.at.max(before + 1);
                }
                Kind::Mark(_) => self.at += 1,
            }
        }
        items
    }

    /// Strings that stand side by side are one.
    fn strings(&mut self) -> String {
        let mut whole = String::new();
        while let Some(Token {
            kind: Kind::Text(part),
            ..
        }) = self.tokens.get(self.at)
        {
            whole.push_str(part);
            self.at += 1;
        }
        whole
    }

    fn skip(&mut self, mark: u8) {
        if matches!(self.tokens.get(self.at), Some(token) if token.kind == Kind::Mark(mark)) {
            self.at += 1;
        }
    }
}

#[cfg(test)]
#[path = "outline_tests.rs"]
mod tests;
