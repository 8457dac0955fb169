//! One row to the primary model, one score back.

use std::time::Duration;

use bytes::Bytes;
use tonic::transport::{Channel, Endpoint};

use super::{FEATURES, PipeError};
use crate::proto::triton::{
    ModelInferRequest, grpc_inference_service_client::GrpcInferenceServiceClient,
    model_infer_request::InferInputTensor,
};

/// The fraud decision's primary model.
pub const MODEL: &str = "fraud_primary";
/// Its input.
pub const INPUT: &str = "features";

const CONNECT: Duration = Duration::from_secs(5);

/// One channel, shared by all requests.
pub(super) async fn connect(
    url: &str,
) -> Result<GrpcInferenceServiceClient<Channel>, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(url.to_owned())?
        .connect_timeout(CONNECT)
        .tcp_nodelay(true);
    Ok(GrpcInferenceServiceClient::new(endpoint.connect().await?))
}

/// `ModelInfer` of one row.
pub(super) async fn score(
    mut triton: GrpcInferenceServiceClient<Channel>,
    row: &[f32; FEATURES],
) -> Result<f32, PipeError> {
    let answer = triton
        .model_infer(score_request(String::new(), row))
        .await?;
    let outputs = answer.into_inner().raw_output_contents;
    let score = outputs
        .first()
        .and_then(|data| data.as_ref().try_into().ok());
    score.map(f32::from_le_bytes).ok_or(PipeError::NoScore)
}

/// The request for one row's score.
pub fn score_request(id: String, row: &[f32; FEATURES]) -> ModelInferRequest {
    ModelInferRequest {
        model_name: MODEL.to_owned(),
        id,
        inputs: vec![InferInputTensor {
            name: INPUT.to_owned(),
            datatype: "FP32".to_owned(),
            shape: vec![1, FEATURES as i64],
            ..Default::default()
        }],
        raw_input_contents: vec![raw(row)],
        ..Default::default()
    }
}

/// A row as Triton takes it: little-endian.
pub fn raw(row: &[f32; FEATURES]) -> Bytes {
    row.iter().flat_map(|value| value.to_le_bytes()).collect()
}
