//! Accepts connections: HTTP/1.1 and HTTP/2 on one socket, bounded in time and number, drained at the
//! end.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use axum::response::Response;
use futures::FutureExt;
use http::Request;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::peer::Peer;

/// Connections held at once, where the process may open so many files; one more waits in the
/// kernel's backlog.
const MAX_CONNECTIONS: usize = 10_000;
/// Files that are kept for everything else: the stores, Triton, models.
const OTHER_FILES: u64 = 256;
/// How long the first bytes of a connection may take, and a head that has begun.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an HTTP/1.1 connection may be idle. Longer than the pools of common clients and load
/// balancers, so that they close first and no request meets a connection that is being closed.
const KEEP_ALIVE: Duration = Duration::from_secs(100);
/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 1024;
/// What one HTTP/2 connection may have sent and nobody has read yet: all of it, and each request. And
/// what an answer may have buffered. Hyper's own sizes are 1 MiB and 400 KiB, times the connections.
const CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const SEND_BUFFER_BYTES: usize = 64 * 1024;
/// The most that is read of a head on HTTP/1.1, and of the headers on HTTP/2.
const MAX_HEAD_BYTES: usize = 64 * 1024;
const MAX_HEADER_LIST_BYTES: u32 = 16 * 1024;

/// Serves until `stop` is cancelled, then stops accepting and finishes what is in flight, for at most
/// `drain_timeout`. Returns whether everything finished.
pub async fn serve<S>(
    listener: TcpListener,
    service: S,
    stop: CancellationToken,
    drain_timeout: Duration,
) -> bool
where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    serve_at_most(max_connections(), listener, service, stop, drain_timeout).await
}

async fn serve_at_most<S>(
    connections: usize,
    listener: TcpListener,
    service: S,
    stop: CancellationToken,
    drain_timeout: Duration,
) -> bool
where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let service = TowerToHyperService::new(service);
    let builder = Arc::new(connection_builder());
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(connections));
    let hold = |(stream, place): (TcpStream, OwnedSemaphorePermit)| {
        // Without it small answers may wait for the peer's acknowledgement; an answer still leaves.
        let _ = stream.set_nodelay(true);
        let peer = TokioIo::new(Peer::new(stream, HEAD_TIMEOUT));
        let connection = builder.serve_connection(peer, service.clone());
        let watched = graceful.watch(connection.into_owned());
        tokio::spawn(async move {
            if let Err(error) = watched.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    };
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok(accepted) => hold(accepted),
            Err(error) => pause_after(&error).await,
        }
    }
    // Who has connected already, and waits in the backlog, is served too.
    while let Some(Ok(accepted)) = accept(&listener, &places).now_or_never() {
        hold(accepted);
    }
    drop(listener);
    time::timeout(drain_timeout, graceful.shutdown())
        .await
        .is_ok()
}

/// Bounded by the files that the process may open.
fn max_connections() -> usize {
    let files = rlimit::getrlimit(rlimit::Resource::NOFILE).map_or(1024, |(soft, _)| soft);
    let places = files.saturating_sub(OTHER_FILES).max(OTHER_FILES);
    usize::try_from(places).map_or(MAX_CONNECTIONS, |places| places.min(MAX_CONNECTIONS))
}

/// The next connection, once there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place.map_err(io::Error::other)?))
}

fn connection_builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(KEEP_ALIVE)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(64);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_header_list_size(MAX_HEADER_LIST_BYTES)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    builder
}

/// Out of file descriptors, say: accepting again at once would spin.
async fn pause_after(error: &io::Error) {
    tracing::warn!(%error, "cannot accept a connection");
    time::sleep(Duration::from_millis(50)).await;
}

#[cfg(test)]
mod tests {
    use axum::Router;

    use super::*;

    #[tokio::test]
    async fn a_server_whose_places_are_all_taken_can_be_stopped() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let routes = Router::new().into_service();
        let drain = Duration::from_secs(30);
        let serving = tokio::spawn(serve_at_most(1, listener, routes, stop.clone(), drain));
        let _idle = TcpStream::connect(address).await.unwrap();
        time::sleep(Duration::from_millis(50)).await;
        stop.cancel();
        let stopped = time::timeout(Duration::from_secs(10), serving).await;
        assert!(stopped.expect("it stops").unwrap(), "it drains");
    }
}
