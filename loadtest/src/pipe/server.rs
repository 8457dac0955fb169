//! HTTP/1.1 in front of the pipe: no router, no layers.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::{Pipe, PipeError};

/// Serves every connection until the process ends. Whatever is posted, to whatever path, is a
/// question.
///
/// # Errors
/// A connection cannot be accepted.
pub async fn serve(listener: TcpListener, pipe: Pipe) -> std::io::Result<Infallible> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let pipe = pipe.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| answer(&pipe, request));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A question without an answer ends its connection, and so does the caller.
            let _ = connection.await;
        });
    }
}

async fn answer(
    pipe: &Pipe,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, PipeError> {
    let question = request.into_body().collect().await?.to_bytes();
    let answer = pipe.answer(&question).await?;
    let mut response = Response::new(Full::new(answer));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}
