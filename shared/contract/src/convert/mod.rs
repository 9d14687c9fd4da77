//! Conversions between the generated messages and the words of `model`, both ways.
//!
//! Reading is strict where it decides something: a missing or unknown value is an error, never a default.

mod command;
mod directory;
mod outcome;
mod plan;
mod step;

use std::str::FromStr;

use model::{Digest, IdError};

use crate::ContractError;

/// A field that must be there.
fn need<T>(value: Option<T>, field: &'static str) -> Result<T, ContractError> {
    value.ok_or(ContractError::Missing { field })
}

/// A text that must be an id.
fn id<T: FromStr<Err = IdError>>(text: &str, field: &'static str) -> Result<T, ContractError> {
    if text.is_empty() {
        return Err(ContractError::Missing { field });
    }
    text.parse().map_err(|source| ContractError::Id { field, source })
}

/// A text that must be an id if it is there.
fn id_if_any<T: FromStr<Err = IdError>>(
    text: Option<&String>,
    field: &'static str,
) -> Result<Option<T>, ContractError> {
    text.map(|text| id(text, field)).transpose()
}

/// Bytes of a fixed length.
fn bytes<const N: usize>(bytes: &[u8], field: &'static str) -> Result<[u8; N], ContractError> {
    bytes.try_into().map_err(|_| ContractError::Length { field, found: bytes.len(), wanted: N })
}

/// A digest.
fn digest(text: &[u8], field: &'static str) -> Result<Digest, ContractError> {
    bytes(text, field).map(Digest)
}

/// Every element.
fn each<W, M: TryFrom<W, Error = ContractError>>(values: Vec<W>) -> Result<Vec<M>, ContractError> {
    values.into_iter().map(M::try_from).collect()
}

/// An enum whose zero is UNSPECIFIED: what is sent, and what is read from a number that may be anything.
trait Word: Sized {
    fn number(self) -> i32;
    fn read(number: i32, field: &'static str) -> Result<Self, ContractError>;
}

/// Pairs the variants of an enum of `model` with those of the generated enum, which have the same names.
macro_rules! words {
    ($model:ty, $wire:ty, [$($variant:ident),+ $(,)?]) => {
        impl crate::convert::Word for $model {
            fn number(self) -> i32 {
                let wire = match self { $(<$model>::$variant => <$wire>::$variant),+ };
                wire.into()
            }

            fn read(number: i32, field: &'static str) -> Result<Self, crate::ContractError> {
                match <$wire>::try_from(number) {
                    $(Ok(<$wire>::$variant) => Ok(<$model>::$variant),)+
                    Ok(<$wire>::Unspecified) => Err(crate::ContractError::Missing { field }),
                    Err(_) => Err(crate::ContractError::UnknownValue { field, value: number }),
                }
            }
        }
    };
}
use words;
