//! Tokens of protobuf's text format, with their places. Total: any text has tokens; what is
//! none (a stray character, an open string) is skipped or ends where its line does.
//!
//! The format: <https://protobuf.dev/reference/protobuf/textformat-spec/>.

use std::ops::Range;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Bytes of the text.
    pub(super) span: Range<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name: letters, digits and underscores.
    Name,
    /// A number, or what looks like one.
    Number,
    /// A quoted string, without its quotes and escapes.
    Text(String),
    /// One of `{}[]<>:,;-/`.
    Mark(u8),
}

/// All tokens of `text`; comments and white space are left out.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        at = match byte {
            b'#' => line_end(bytes, at),
            b'"' | b'\'' => {
                let (kind, end) = quoted(text, at);
                found.push(Token {
                    kind,
                    span: start..end,
                });
                end
            }
            b'{' | b'}' | b'[' | b']' | b'<' | b'>' | b':' | b',' | b';' | b'-' | b'/' => {
                found.push(Token {
                    kind: Kind::Mark(byte),
                    span: start..start + 1,
                });
                start + 1
            }
            _ if is_word(byte) => {
                let end = word_end(bytes, at);
                let number = matches!(byte, b'0'..=b'9' | b'.');
                found.push(Token {
                    kind: if number { Kind::Number } else { Kind::Name },
                    span: start..end,
                });
                end
            }
            _ => start + 1,
        };
    }
    found
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.'
}

fn word_end(bytes: &[u8], start: usize) -> usize {
    let name = !matches!(bytes[start], b'0'..=b'9' | b'.');
    let mut end = start + 1;
    while let Some(&byte) = bytes.get(end) {
        let belongs = if name {
            byte.is_ascii_alphanumeric() || byte == b'_'
        } else {
            let exponent = matches!(bytes[end - 1], b'e' | b'E');
            is_word(byte) || (exponent && matches!(byte, b'+' | b'-'))
        };
        if !belongs {
            break;
        }
        end += 1;
    }
    end
}

fn line_end(bytes: &[u8], start: usize) -> usize {
    bytes[start..]
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(bytes.len(), |length| start + length)
}

/// The string whose opening quote is at `start`, and where it ends.
fn quoted(text: &str, start: usize) -> (Kind, usize) {
    let bytes = text.as_bytes();
    let quote = bytes[start];
    let mut content = Vec::new();
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            _ if byte == quote => {
                at += 1;
                break;
            }
            b'\n' => break,
            // Only what may stand in a name matters here: other escapes stay as they are.
            b'\\' if bytes.get(at + 1).is_some_and(|next| *next != b'\n') => {
                let next = bytes[at + 1];
                if !matches!(next, b'"' | b'\'' | b'\\' | b'?') {
                    content.push(b'\\');
                }
                content.push(next);
                at += 2;
            }
            _ => {
                content.push(byte);
                at += 1;
            }
        }
    }
    let content = String::from_utf8_lossy(&content).into_owned();
    (Kind::Text(content), at)
}
