//! One connection: HTTP/2 over any stream, in one task, so that ending the task ends it.

use std::{pin::pin, sync::Arc};

use hyper::server::conn::http2;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    fake::FakeTriton, proto::grpc_inference_service_server::GrpcInferenceServiceServer,
    service::Service,
};

/// Larger than any tensor of a test, in bytes.
const MAX_MESSAGE_BYTES: usize = 256 << 20;

pub(crate) async fn serve<S>(fake: FakeTriton, stream: S)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let goes_away = Arc::clone(&fake.goes_away);
    let service = GrpcInferenceServiceServer::new(Service(fake))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = pin!(connection);
    loop {
        tokio::select! {
            // How a connection ends is the client's affair.
            _ = connection.as_mut() => return,
            () = goes_away.notified() => connection.as_mut().graceful_shutdown(),
        }
    }
}
