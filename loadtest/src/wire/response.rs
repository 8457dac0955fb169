//! An answer of HTTP/1.1, read from however many pieces it comes in.

/// Why bytes are no answer that we can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResponseError {
    #[error("the head is not one of HTTP/1.1")]
    Head,
    #[error("the head has no content-length")]
    NoLength,
}

/// A whole answer at the start of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Whether the server will close the connection.
    pub(crate) closes: bool,
    head_bytes: usize,
    body_bytes: usize,
}

impl Response {
    /// The answer that `buffer` begins with; `None` when more of it has to come.
    pub(crate) fn parse(buffer: &[u8]) -> Result<Option<Self>, ResponseError> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut head = httparse::Response::new(&mut headers);
        let head_bytes = match head.parse(buffer) {
            Ok(httparse::Status::Complete(bytes)) => bytes,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(ResponseError::Head),
        };
        let value = |name: &str| {
            let mut named = head.headers.iter();
            let header = named.find(|header| header.name.eq_ignore_ascii_case(name))?;
            std::str::from_utf8(header.value).ok()
        };
        let length = value("content-length").and_then(|length| length.parse().ok());
        let response = Self {
            status: head.code.ok_or(ResponseError::Head)?,
            closes: value("connection").is_some_and(|how| how.eq_ignore_ascii_case("close")),
            head_bytes,
            body_bytes: length.ok_or(ResponseError::NoLength)?,
        };
        Ok((buffer.len() >= response.bytes()).then_some(response))
    }

    /// Of head and body.
    pub(crate) fn bytes(&self) -> usize {
        self.head_bytes.saturating_add(self.body_bytes)
    }

    /// The body, in the buffer that was parsed.
    pub(crate) fn body<'b>(&self, buffer: &'b [u8]) -> &'b [u8] {
        buffer
            .get(self.head_bytes..self.bytes())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(status: u16, body: &[u8], name: &str) -> Vec<u8> {
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\ndate: now\r\n{name}: {length}\r\n\r\n");
        [head.as_bytes(), body].concat()
    }

    proptest! {
        /// Answers one after another, cut anywhere, are the same answers.
        #[test]
        fn arbitrary_splits_give_the_same_answers(
            answers in proptest::collection::vec(
                (100_u16..600, proptest::collection::vec(any::<u8>(), 0..40), any::<bool>()), 1..6),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let name = |upper| if upper { "Content-Length" } else { "content-length" };
            let stream: Vec<u8> = answers
                .iter()
                .flat_map(|(status, body, upper)| written(*status, body, name(*upper)))
                .collect();
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let (mut buffer, mut read) = (Vec::new(), Vec::new());
            for piece in cuts.windows(2) {
                buffer.extend_from_slice(&stream[piece[0]..piece[1]]);
                while let Some(response) = Response::parse(&buffer).unwrap() {
                    read.push((response.status, response.body(&buffer).to_vec()));
                    buffer.drain(..response.bytes());
                }
            }
            let sent: Vec<_> = answers.into_iter().map(|(status, body, _)| (status, body)).collect();
            prop_assert_eq!(read, sent);
            prop_assert!(buffer.is_empty());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            if let Ok(Some(response)) = Response::parse(&bytes) {
                response.body(&bytes);
            }
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        let parse = |text: &str| Response::parse(text.as_bytes());
        assert_eq!(
            parse("HTTP/1.1 200 OK\r\n\r\n"),
            Err(ResponseError::NoLength)
        );
        assert_eq!(
            parse("HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"),
            Err(ResponseError::NoLength)
        );
        assert_eq!(parse("SSH-2.0-x\r\n\r\n"), Err(ResponseError::Head));
        let closing = "HTTP/1.1 429 No\r\nConnection: Close\r\ncontent-length: 0\r\n\r\n";
        assert!(parse(closing).unwrap().unwrap().closes);
    }
}
