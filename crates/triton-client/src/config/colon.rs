//! `input [ { … } ]`: protobuf lets the colon before a list of messages be left out, and every
//! `config.pbtxt` in the world does; the parser underneath insists on it. So it is put in, and
//! places in the result are led back to the text as it was written.
//!
//! Before a list of anything else (`dims [ 1 ]`) protobuf wants the colon too, and none is put in.

use std::ops::Range;

/// A text with the colons that were left out.
#[derive(Debug)]
pub(super) struct WithColons {
    pub(super) text: String,
    /// Where colons were put in, as places in `text`.
    inserted: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Previous {
    Colon,
    /// A word that may name a field: it does not follow a colon.
    Name,
    Other,
}

impl WithColons {
    pub(super) fn new(source: &str) -> Self {
        let mut inserted = Vec::new();
        let mut text = String::with_capacity(source.len() + 16);
        let mut previous = Previous::Other;
        let mut at = 0;
        while let Some((token, length)) = token(&source[at..]) {
            let end = at + length;
            previous = match token {
                Token::Space => previous,
                Token::Word if previous == Previous::Colon => Previous::Other,
                Token::Word => Previous::Name,
                Token::Char(':') => Previous::Colon,
                Token::Char('[')
                    if previous == Previous::Name && holds_messages(&source[end..]) =>
                {
                    inserted.push(text.len());
                    text.push(':');
                    Previous::Other
                }
                Token::Char(_) | Token::String => Previous::Other,
            };
            text.push_str(&source[at..end]);
            at = end;
        }
        Self { text, inserted }
    }

    /// Where a place in [`Self::text`] is in the source.
    pub(super) fn source_span(&self, span: Range<usize>) -> Range<usize> {
        let source = |at: usize| {
            at - self
                .inserted
                .iter()
                .take_while(|colon| **colon < at)
                .count()
        };
        source(span.start)..source(span.end)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// White space or a comment.
    Space,
    /// A name or a number.
    Word,
    /// A quoted string, or what there is of it up to the end of its line.
    String,
    Char(char),
}

/// The first token and its length in bytes; `None` at the end.
fn token(text: &str) -> Option<(Token, usize)> {
    let first = text.chars().next()?;
    let until = |end: fn(char) -> bool| text.find(end).unwrap_or(text.len());
    Some(match first {
        '#' => (Token::Space, until(|c| c == '\n')),
        c if c.is_whitespace() => (Token::Space, until(|c| !c.is_whitespace())),
        c if is_word(c) => (Token::Word, until(|c| !is_word(c))),
        '"' | '\'' => (Token::String, string_length(text, first)),
        c => (Token::Char(c), c.len_utf8()),
    })
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn string_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\n' => return at,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Whether what follows the bracket is a list of messages, or an empty one.
fn holds_messages(mut rest: &str) -> bool {
    loop {
        match token(rest) {
            Some((Token::Space, length)) => rest = &rest[length..],
            Some((Token::Char('{' | '<' | ']'), _)) => return true,
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn puts_colons_before_lists_of_messages_alone() {
        for (source, text) in [
            ("input [ { } ]", "input :[ { } ]"),
            ("input[{}]", "input:[{}]"),
            ("input # [\n [ # {\n <> ]", "input # [\n :[ # {\n <> ]"),
            ("input []", "input :[]"),
            ("input: [ {} ]", "input: [ {} ]"),
            ("dims [ 1 ]", "dims [ 1 ]"),
            ("name: \"a [ {\"", "name: \"a [ {\""),
            ("name: 'it\\'s' input [{}]", "name: 'it\\'s' input :[{}]"),
            ("kind: KIND_CPU [{}]", "kind: KIND_CPU [{}]"),
            ("é [ {", "é [ {"),
        ] {
            assert_eq!(WithColons::new(source).text, text);
        }
    }

    proptest! {
        #[test]
        fn places_lead_back_to_the_source(source in "[ab\\[\\]{}:#\"\\\\ \né]{0,40}") {
            let with = WithColons::new(&source);
            for (at, c) in with.text.char_indices() {
                if !with.inserted.contains(&at) {
                    let span = with.source_span(at..at + c.len_utf8());
                    prop_assert_eq!(source.get(span).and_then(|s| s.chars().next()), Some(c));
                }
            }
        }
    }
}
