//! The protocol's calls, answered from the models and their scripts.

use std::{future, time::Duration};

use tonic::{Code, Request, Response, Status};

use crate::{
    fake::{FakeTriton, Hosted},
    model::{FakeModel, ReceivedRequest, Spec, Tensor},
    proto::{
        DataType, ModelConfig, ModelConfigRequest, ModelConfigResponse, ModelInferRequest,
        ModelInferResponse, ModelInput, ModelInstanceGroup, ModelMetadataRequest,
        ModelMetadataResponse, ModelOutput, ModelParameter, ModelReadyRequest, ModelReadyResponse,
        ModelStatistics, ModelStatisticsRequest, ModelStatisticsResponse, ServerLiveRequest,
        ServerLiveResponse, ServerMetadataRequest, ServerMetadataResponse, ServerReadyRequest,
        ServerReadyResponse, grpc_inference_service_server::GrpcInferenceService,
        model_infer_response::InferOutputTensor, model_metadata_response::TensorMetadata,
    },
    step::Step,
};

/// How often a frozen call looks whether it may go on.
const THAW_POLL: Duration = Duration::from_millis(10);

pub(crate) struct Service(pub(crate) FakeTriton);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl GrpcInferenceService for Service {
    async fn model_infer(&self, request: Request<ModelInferRequest>) -> Answer<ModelInferResponse> {
        let name = request.get_ref().model_name.clone();
        let received = received(request);
        let (model, step) = self.hosted(&name, |hosted| {
            hosted.calls += 1;
            hosted.last = Some(received.clone());
            let version = &received.version;
            if !hosted.ready {
                let message =
                    format!("Request for unknown model: '{name}' has no available versions");
                return Err(Status::not_found(message));
            }
            if !version.is_empty() && !hosted.model.versions.contains(version) {
                let message =
                    format!("Request for unknown model: '{name}' version {version} is not found");
                return Err(Status::not_found(message));
            }
            let reaction = hosted.model.reaction.as_ref();
            let step = reaction.and_then(|reacts| reacts(&received));
            let step = step
                .or_else(|| hosted.script.pop_front())
                .unwrap_or_else(Step::now);
            Ok((hosted.model.clone(), step))
        })??;
        let mut abandoned = Abandoned {
            service: self,
            model: &name,
            answered: false,
        };
        let answer = self.perform(step, &model, &received).await;
        abandoned.answered = true;
        answer.map(Response::new)
    }

    async fn server_live(&self, _: Request<ServerLiveRequest>) -> Answer<ServerLiveResponse> {
        self.thawed().await;
        Ok(Response::new(ServerLiveResponse { live: true }))
    }

    async fn server_ready(&self, _: Request<ServerReadyRequest>) -> Answer<ServerReadyResponse> {
        self.thawed().await;
        let ready = self
            .0
            .shared
            .lock()
            .models
            .values()
            .all(|hosted| hosted.ready);
        Ok(Response::new(ServerReadyResponse { ready }))
    }

    async fn model_ready(&self, request: Request<ModelReadyRequest>) -> Answer<ModelReadyResponse> {
        self.thawed().await;
        let ready = self
            .hosted(&request.get_ref().name, |hosted| hosted.ready)
            .unwrap_or(false);
        Ok(Response::new(ModelReadyResponse { ready }))
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Answer<ServerMetadataResponse> {
        self.thawed().await;
        let version = self.0.shared.lock().version.clone();
        Ok(Response::new(ServerMetadataResponse {
            name: "triton".to_owned(),
            version: version.unwrap_or_else(|| "2.51.0".to_owned()),
            extensions: vec!["statistics".to_owned()],
        }))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Answer<ModelMetadataResponse> {
        self.thawed().await;
        let model = self.described(&request.get_ref().name)?;
        let batch = (model.max_batch_size > 0).then_some(-1);
        let tensor = |spec: &Spec| TensorMetadata {
            name: spec.name.clone(),
            datatype: spec.dtype.clone(),
            shape: batch.into_iter().chain(spec.dims.iter().copied()).collect(),
        };
        Ok(Response::new(ModelMetadataResponse {
            inputs: model.inputs.iter().map(tensor).collect(),
            outputs: model.outputs.iter().map(tensor).collect(),
            platform: "python".to_owned(),
            versions: model.versions,
            name: model.name,
        }))
    }

    async fn model_config(
        &self,
        request: Request<ModelConfigRequest>,
    ) -> Answer<ModelConfigResponse> {
        self.thawed().await;
        let model = self.described(&request.get_ref().name)?;
        Ok(Response::new(ModelConfigResponse {
            config: Some(config(model)),
        }))
    }

    async fn model_statistics(
        &self,
        request: Request<ModelStatisticsRequest>,
    ) -> Answer<ModelStatisticsResponse> {
        self.thawed().await;
        let wanted = &request.get_ref().name;
        let shared = self.0.shared.lock();
        let chosen = shared
            .models
            .iter()
            .filter(|(name, _)| wanted.is_empty() || *name == wanted);
        let model_stats = chosen.map(|(name, hosted)| ModelStatistics {
            name: name.clone(),
            version: hosted.model.versions.last().cloned().unwrap_or_default(),
            execution_count: hosted.calls as u64,
            ..ModelStatistics::default()
        });
        Ok(Response::new(ModelStatisticsResponse {
            model_stats: model_stats.collect(),
        }))
    }
}

impl Service {
    fn hosted<R>(&self, model: &str, look: impl FnOnce(&mut Hosted) -> R) -> Result<R, Status> {
        match self.0.shared.lock().models.get_mut(model) {
            Some(hosted) => Ok(look(hosted)),
            None => Err(Status::not_found(format!(
                "Request for unknown model: '{model}' is not found"
            ))),
        }
    }

    fn described(&self, model: &str) -> Result<FakeModel, Status> {
        self.hosted(model, |hosted| match hosted.ready {
            true => Ok(hosted.model.clone()),
            false => Err(Status::not_found(format!(
                "Request for unknown model: '{model}' has no available versions"
            ))),
        })?
    }

    async fn thawed(&self) {
        while self.0.shared.lock().frozen {
            tokio::time::sleep(THAW_POLL).await;
        }
    }

    async fn perform(
        &self,
        step: Step,
        model: &FakeModel,
        request: &ReceivedRequest,
    ) -> Result<ModelInferResponse, Status> {
        self.thawed().await;
        let outputs = match step {
            Step::Answer { after } => {
                tokio::time::sleep(after).await;
                // It may have been frozen meanwhile.
                self.thawed().await;
                model.outputs_for(request)
            }
            Step::Error {
                code,
                message,
                after,
            } => {
                tokio::time::sleep(after).await;
                return Err(Status::new(Code::from_i32(code), message));
            }
            Step::Hang => future::pending().await,
            Step::ZeroBytes => cut(model.outputs_for(request), 0),
            Step::Bytes(bytes) => cut(model.outputs_for(request), bytes),
            Step::NoOutputs => Vec::new(),
            Step::Die => {
                self.0.die();
                future::pending().await
            }
        };
        Ok(response(model, request, outputs))
    }
}

/// Counts a call whose future is dropped before its answer.
struct Abandoned<'a> {
    service: &'a Service,
    model: &'a str,
    answered: bool,
}

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        if !self.answered {
            let _ = self
                .service
                .hosted(self.model, |hosted| hosted.abandoned += 1);
        }
    }
}

fn received(request: Request<ModelInferRequest>) -> ReceivedRequest {
    let text = |value: &http::HeaderValue| value.to_str().map(str::to_owned).ok();
    let headers = request.metadata().clone().into_headers();
    let headers = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?)))
        .collect();
    let request = request.into_inner();
    let inputs = request.inputs.into_iter().zip(request.raw_input_contents);
    let tensor = |(input, data): (crate::proto::model_infer_request::InferInputTensor, _)| Tensor {
        name: input.name,
        dtype: input.datatype,
        shape: input.shape,
        data,
    };
    ReceivedRequest {
        version: request.model_version,
        id: request.id,
        inputs: inputs.map(tensor).collect(),
        outputs: request
            .outputs
            .into_iter()
            .map(|output| output.name)
            .collect(),
        headers,
    }
}

fn cut(mut outputs: Vec<Tensor>, bytes: usize) -> Vec<Tensor> {
    outputs
        .iter_mut()
        .for_each(|output| output.data = vec![0; bytes].into());
    outputs
}

fn response(
    model: &FakeModel,
    request: &ReceivedRequest,
    outputs: Vec<Tensor>,
) -> ModelInferResponse {
    let newest = model.versions.last().cloned().unwrap_or_default();
    let mut response = ModelInferResponse {
        model_name: model.name.clone(),
        model_version: if request.version.is_empty() {
            newest
        } else {
            request.version.clone()
        },
        id: request.id.clone(),
        ..ModelInferResponse::default()
    };
    for Tensor {
        name,
        dtype,
        shape,
        data,
    } in outputs
    {
        if request.outputs.is_empty() || request.outputs.contains(&name) {
            let output = InferOutputTensor {
                name,
                datatype: dtype,
                shape,
                ..Default::default()
            };
            response.outputs.push(output);
            response.raw_output_contents.push(data);
        }
    }
    response
}

fn config(model: FakeModel) -> ModelConfig {
    let input = |spec: Spec| ModelInput {
        name: spec.name,
        data_type: data_type(&spec.dtype),
        dims: spec.dims,
        ..ModelInput::default()
    };
    let output = |spec: Spec| ModelOutput {
        name: spec.name,
        data_type: data_type(&spec.dtype),
        dims: spec.dims,
        ..ModelOutput::default()
    };
    let parameter = |(key, string_value)| (key, ModelParameter { string_value });
    let group = ModelInstanceGroup {
        count: model.instances,
        ..ModelInstanceGroup::default()
    };
    ModelConfig {
        name: model.name,
        backend: "python".to_owned(),
        max_batch_size: model.max_batch_size,
        input: model.inputs.into_iter().map(input).collect(),
        output: model.outputs.into_iter().map(output).collect(),
        parameters: model.parameters.into_iter().map(parameter).collect(),
        instance_group: vec![group],
        ..ModelConfig::default()
    }
}

fn data_type(dtype: &str) -> i32 {
    let name = if dtype == "BYTES" { "STRING" } else { dtype };
    DataType::from_str_name(&format!("TYPE_{name}")).unwrap_or_default() as i32
}
