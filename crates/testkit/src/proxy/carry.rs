//! One connection through a proxy: both ways, under rules that change meanwhile.

use std::{future::pending, io};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    net::{TcpStream, UnixStream},
    select,
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout_at},
};

use super::{
    Target,
    rules::{Fault, Rules},
};

/// What one read takes at most.
const CHUNK_BYTES: usize = 16 * 1024;
/// How many chunks may be under way each way; then the sender is not read from.
const CHUNKS: usize = 256;

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Both ends are told, in order.
    Close,
    /// Both ends get RST.
    Reset,
}

/// Carries a connection, which was taken under the rules `born`, to its end.
pub(super) async fn connection(
    mut client: TcpStream,
    target: &Target,
    born: Rules,
    rules: watch::Receiver<Rules>,
) {
    let ending = match target {
        Target::Tcp(address) => match TcpStream::connect(address).await {
            Ok(mut server) => {
                // Without delays of our own: what one end sends at once arrives at once.
                let prompt = server
                    .set_nodelay(true)
                    .and_then(|()| client.set_nodelay(true));
                let ending = match prompt {
                    Ok(()) => between(&mut client, &mut server, born, rules).await,
                    Err(_) => Ending::Reset,
                };
                reset_if(ending, &server);
                ending
            }
            Err(_) => Ending::Reset,
        },
        Target::Unix(path) => match UnixStream::connect(path).await {
            Ok(mut server) => between(&mut client, &mut server, born, rules).await,
            Err(_) => Ending::Reset,
        },
    };
    reset_if(ending, &client);
}

/// Makes the close that follows a reset.
fn reset_if(ending: Ending, stream: &TcpStream) {
    if ending == Ending::Reset {
        // It fails where the connection has gone already.
        let _ = stream.set_zero_linger();
    }
}

async fn between(
    client: &mut (impl AsyncRead + AsyncWrite + Unpin),
    server: &mut (impl AsyncRead + AsyncWrite + Unpin),
    born: Rules,
    rules: watch::Receiver<Rules>,
) -> Ending {
    let (from_client, to_client) = split(client);
    let (from_server, to_server) = split(server);
    let both_ways = async {
        let there = one_way(from_client, to_server, rules.clone());
        let back = one_way(from_server, to_client, rules.clone());
        match tokio::try_join!(there, back) {
            Ok(_) => Ending::Close,
            Err(ending) => ending,
        }
    };
    select! {
        // A reset or a silence comes before bytes that arrive at the same moment.
        biased;
        () = when(rules.clone(), |now| now.resets > born.resets) => Ending::Reset,
        () = when(rules.clone(), |now| born.silent || now.silences > born.silences) => {
            when(rules.clone(), |now| now.resets > born.resets).await;
            Ending::Reset
        }
        ending = both_ways => ending,
    }
}

/// Waits until the rules are so.
async fn when(mut rules: watch::Receiver<Rules>, so: impl FnMut(&Rules) -> bool) {
    if rules.wait_for(so).await.is_err() {
        // The proxy is being dropped, and its tasks with it.
        pending::<()>().await;
    }
}

/// Carries bytes one way until their sender ends the stream. An error ends the connection.
async fn one_way(
    mut from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin,
    rules: watch::Receiver<Rules>,
) -> Result<(), Ending> {
    let (chunks, arriving) = mpsc::channel(CHUNKS);
    let reading = async move {
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            let length = from.read(&mut buffer).await.map_err(broken)?;
            let chunk = Chunk {
                sent_at: Instant::now(),
                bytes: buffer[..length].to_vec(),
            };
            if chunks.send(chunk).await.is_err() || length == 0 {
                return Ok(());
            }
        }
    };
    let counted_since = rules.borrow().faults;
    let writer = Writer {
        to,
        counted_since,
        rules,
        passed_bytes: 0,
    };
    tokio::try_join!(reading, writer.run(arriving)).map(|_| ())
}

fn broken(_: io::Error) -> Ending {
    Ending::Reset
}

/// Bytes on their way; none mean that the sender has ended the stream.
struct Chunk {
    sent_at: Instant,
    bytes: Vec<u8>,
}

/// The far end of one way.
struct Writer<W> {
    to: W,
    rules: watch::Receiver<Rules>,
    /// Bytes that passed since the fault began that `counted_since` names.
    passed_bytes: usize,
    counted_since: u64,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    async fn run(mut self, mut arriving: mpsc::Receiver<Chunk>) -> Result<(), Ending> {
        while let Some(chunk) = arriving.recv().await {
            self.deliver(&chunk).await?;
        }
        Ok(())
    }

    async fn deliver(&mut self, chunk: &Chunk) -> Result<(), Ending> {
        let mut rest = &chunk.bytes[..];
        loop {
            let now = *self.rules.borrow_and_update();
            if now.faults != self.counted_since {
                self.counted_since = now.faults;
                self.passed_bytes = 0;
            }
            let length = match now.fault {
                Fault::None => rest.len(),
                Fault::Delay(by) => {
                    let due = chunk.sent_at + by;
                    if Instant::now() < due {
                        // Either it is due now, or the rules are others.
                        let _ = timeout_at(due, self.changed()).await;
                        continue;
                    }
                    rest.len()
                }
                Fault::Trickle { bytes, .. } => rest.len().min(bytes),
                Fault::CutAfter(bytes) => rest.len().min(bytes - self.passed_bytes.min(bytes)),
            };
            let (first, others) = rest.split_at(length);
            self.to.write_all(first).await.map_err(broken)?;
            self.passed_bytes += length;
            rest = others;
            match now.fault {
                Fault::CutAfter(bytes) if self.passed_bytes >= bytes => return Err(Ending::Close),
                Fault::Trickle { every, .. } => {
                    select! {
                        () = sleep(every) => {}
                        () = self.changed() => {}
                    }
                }
                _ => {}
            }
            if rest.is_empty() {
                break;
            }
        }
        if chunk.bytes.is_empty() {
            self.to.shutdown().await.map_err(broken)?;
        }
        Ok(())
    }

    async fn changed(&mut self) {
        if self.rules.changed().await.is_err() {
            pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests;
