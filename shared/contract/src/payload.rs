//! Messages as bytes.

use prost::Message;

use crate::{
    ContractError, DeadLetterNotice, DirectoryEvent, Verify,
    wire::{command, directory, plan},
};

/// Something that travels as one message.
pub trait Payload: Sized + Send + 'static {
    /// The message's name in `proto/`.
    const NAME: &'static str;

    /// The bytes to send. Equal values have equal bytes within a release.
    fn to_bytes(&self) -> Vec<u8>;

    /// Reads what this release or an older one wrote.
    ///
    /// # Errors
    /// When the bytes are something else, or hold a value that this release does not know.
    fn from_bytes(bytes: &[u8]) -> Result<Self, ContractError>;
}

macro_rules! payload {
    ($value:ty, $wire:ty, $name:literal) => {
        impl Payload for $value {
            const NAME: &'static str = $name;

            fn to_bytes(&self) -> Vec<u8> {
                <$wire>::from(self).encode_to_vec()
            }

            fn from_bytes(bytes: &[u8]) -> Result<Self, ContractError> {
                let wire = <$wire>::decode(bytes)
                    .map_err(|error| ContractError::Bytes { message: $name, reason: error.to_string() })?;
                Self::try_from(wire)
            }
        }
    };
}

payload!(DirectoryEvent, directory::DirectoryEvent, "rollcall.directory.v1.DirectoryEvent");
payload!(Verify, directory::Verify, "rollcall.directory.v1.Verify");
payload!(model::Command, command::Command, "rollcall.command.v1.Command");
payload!(model::Outcome, command::Outcome, "rollcall.command.v1.Outcome");
payload!(DeadLetterNotice, command::DeadLetterNotice, "rollcall.command.v1.DeadLetterNotice");
payload!(model::Plan, plan::Plan, "rollcall.plan.v1.Plan");
