//! Events in a file: a line each (JSON), or each behind its length as a varint (protobuf, as
//! `writeDelimitedTo` writes it). What is too long is skipped, whatever its length.

use std::io::{self, BufRead};

use super::types::{Format, MAX_EVENT_BYTES};

/// What is kept of a payload that is too long, for its dead letter.
const KEPT_BYTES: usize = 64 * 1024;

/// One payload of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The payload; its beginning if it is too long.
    pub(crate) payload: Vec<u8>,
    /// Its whole length.
    pub(crate) size: u64,
    /// What it takes in the file, its length or its line end included.
    pub(crate) taken: u64,
    /// How it ends.
    pub(crate) end: End,
}

/// How a payload ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// As it should.
    Whole,
    /// Where the file does: inside a message, or without the end of a line.
    Cut,
    /// Nowhere: what stands there is no message's length.
    Unknown,
}

/// The next payload; `None` at the end of the file.
pub(crate) fn next(source: &mut impl BufRead, format: Format) -> io::Result<Option<Frame>> {
    match format {
        Format::Json => line(source),
        Format::Protobuf => delimited(source),
    }
}

/// A line; the last one may lack its end.
fn line(source: &mut impl BufRead) -> io::Result<Option<Frame>> {
    let mut frame = Frame {
        payload: Vec::new(),
        size: 0,
        taken: 0,
        end: End::Whole,
    };
    loop {
        let buffer = match source.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if buffer.is_empty() {
            frame.end = End::Cut;
            return Ok((frame.taken > 0).then_some(frame));
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let piece = &buffer[..end.unwrap_or(buffer.len())];
        keep(&mut frame.payload, piece);
        frame.size += piece.len() as u64;
        let consumed = piece.len() + usize::from(end.is_some());
        frame.taken += consumed as u64;
        source.consume(consumed);
        if end.is_some() {
            return Ok(Some(frame));
        }
    }
}

/// Keeps a whole payload as long as it may be an event, then its beginning alone.
fn keep(payload: &mut Vec<u8>, piece: &[u8]) {
    if payload.len() + piece.len() <= MAX_EVENT_BYTES {
        payload.extend_from_slice(piece);
    } else {
        let room = MAX_EVENT_BYTES.saturating_sub(payload.len());
        payload.extend_from_slice(&piece[..room.min(piece.len())]);
        payload.truncate(payload.len().min(MAX_EVENT_BYTES));
    }
}

fn delimited(source: &mut impl BufRead) -> io::Result<Option<Frame>> {
    let mut length = 0_u64;
    let mut taken = 0_u64;
    loop {
        let Some(byte) = byte(source)? else {
            return Ok((taken > 0).then(|| broken(Vec::new(), taken, End::Cut)));
        };
        taken += 1;
        length |= u64::from(byte & 0x7f) << (7 * (taken - 1));
        if byte & 0x80 == 0 {
            break;
        }
        if taken == 9 {
            // No message is as long: what follows can't be told apart.
            return Ok(Some(broken(Vec::new(), taken, End::Unknown)));
        }
    }
    let mut payload = Vec::new();
    let mut left = length;
    while left > 0 {
        let buffer = match source.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if buffer.is_empty() {
            let read = taken + (length - left);
            return Ok(Some(broken(payload, read, End::Cut)));
        }
        let piece = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        keep(&mut payload, &buffer[..piece]);
        source.consume(piece);
        left -= piece as u64;
    }
    if length > MAX_EVENT_BYTES as u64 {
        payload.truncate(KEPT_BYTES);
    }
    Ok(Some(Frame {
        payload,
        size: length,
        taken: taken + length,
        end: End::Whole,
    }))
}

fn broken(payload: Vec<u8>, taken: u64, end: End) -> Frame {
    Frame {
        size: payload.len() as u64,
        payload,
        taken,
        end,
    }
}

fn byte(source: &mut impl BufRead) -> io::Result<Option<u8>> {
    let mut byte = [0];
    match source.read_exact(&mut byte) {
        Ok(()) => Ok(Some(byte[0])),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use prost::encoding::encode_varint;

    use super::*;

    fn all(bytes: &[u8], format: Format) -> Vec<Frame> {
        // A small buffer, so that payloads span several.
        let mut source = BufReader::with_capacity(7, bytes);
        let mut frames = Vec::new();
        while let Some(frame) = next(&mut source, format).unwrap() {
            frames.push(frame);
        }
        frames
    }

    #[test]
    fn lines_are_told_apart_and_the_last_needs_no_end() {
        let frames = all(b"{\"a\":1}\n\n{\"b\":2}", Format::Json);
        let payloads: Vec<&[u8]> = frames.iter().map(|frame| &frame.payload[..]).collect();
        assert_eq!(payloads, [&b"{\"a\":1}"[..], b"", b"{\"b\":2}"]);
        let taken: Vec<u64> = frames.iter().map(|frame| frame.taken).collect();
        assert_eq!(taken, [8, 1, 7]);
        let ends: Vec<End> = frames.iter().map(|frame| frame.end).collect();
        assert_eq!(ends, [End::Whole, End::Whole, End::Cut]);
    }

    #[test]
    fn a_payload_of_five_megabytes_takes_one_of_memory_and_the_next_is_read() {
        let mut lines = vec![b'x'; 5 << 20];
        lines.extend_from_slice(b"\n{}\n");
        let frames = all(&lines, Format::Json);
        assert_eq!(frames[0].size, 5 << 20);
        assert!(frames[0].payload.len() <= MAX_EVENT_BYTES);
        assert_eq!(frames[1].payload, b"{}");

        let mut messages = Vec::new();
        encode_varint(5 << 20, &mut messages);
        messages.extend(std::iter::repeat_n(7, 5 << 20));
        messages.extend_from_slice(&[2, 8, 8]);
        let frames = all(&messages, Format::Protobuf);
        assert_eq!(frames[0].size, 5 << 20);
        assert_eq!(frames[1].payload, [8, 8]);
    }

    #[test]
    fn a_file_that_ends_inside_a_message_says_so() {
        let frames = all(&[2, 8, 8, 9, 1, 2], Format::Protobuf);
        assert_eq!(frames.len(), 2);
        assert_eq!((frames[0].end, frames[1].end), (End::Whole, End::Cut));
        assert_eq!(frames[1].payload, [1, 2]);
        assert!(
            all(&[0xff; 40], Format::Protobuf)
                .iter()
                .any(|frame| frame.end == End::Unknown)
        );
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_and_nothing_panics(payloads: Vec<Vec<u8>>, noise: Vec<u8>) {
            let mut bytes = Vec::new();
            for payload in &payloads {
                encode_varint(payload.len() as u64, &mut bytes);
                bytes.extend_from_slice(payload);
            }
            let read: Vec<Vec<u8>> = all(&bytes, Format::Protobuf).into_iter().map(|frame| frame.payload).collect();
            proptest::prop_assert_eq!(read, payloads);
            for format in [Format::Json, Format::Protobuf] {
                let taken: u64 = all(&noise, format).iter().map(|frame| frame.taken).sum();
                proptest::prop_assert_eq!(taken, noise.len() as u64);
            }
        }
    }
}
