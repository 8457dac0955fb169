//! Protobuf over gRPC, with one difference to tonic's own codec: bytes that are no message are the
//! caller's fault (`INVALID_ARGUMENT`), not ours (`INTERNAL`).

use prost::Message;
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder},
};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

use crate::rejection::Rejection;

/// The codec of the contract's service; `build.rs` names it.
#[derive(Debug)]
pub(crate) struct ContractCodec<E, D>(ProstCodec<E, D>);

/// Reads messages.
#[derive(Debug)]
pub(crate) struct ContractDecoder<D>(ProstDecoder<D>);

impl<E, D> Default for ContractCodec<E, D> {
    fn default() -> Self {
        Self(ProstCodec::default())
    }
}

impl<E, D> Codec for ContractCodec<E, D>
where
    E: Message + Send + 'static,
    D: Message + Default + Send + 'static,
{
    type Encode = E;
    type Decode = D;
    type Encoder = ProstEncoder<E>;
    type Decoder = ContractDecoder<D>;

    fn encoder(&mut self) -> Self::Encoder {
        self.0.encoder()
    }

    fn decoder(&mut self) -> Self::Decoder {
        ContractDecoder(self.0.decoder())
    }
}

impl<D: Message + Default> Decoder for ContractDecoder<D> {
    type Item = D;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<D>, Status> {
        self.0.decode(buffer).map_err(|status| {
            Rejection::invalid(format!(
                "not a gavel.v1.DecideRequest: {}",
                status.message()
            ))
            .into()
        })
    }
}
