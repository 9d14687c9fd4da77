//! Streams on a small disk.
//!
//! A server promises each stream its cap and refuses one that it has no room for (code 10047), however little is in it.
//! So where the full caps do not fit, all streams begin as a sixty-fourth of them and grow together as far as the server
//! lets them: a small disk gets small streams, in which a burst waits sooner, instead of one large stream and none of
//! the others.

use async_nats::jetstream::{
    ErrorCode,
    context::CreateStreamErrorKind,
    stream::{self, Stream},
};
use tracing::warn;

use crate::{
    Bus, BusError,
    election::{outlast, stream_passes},
    topology::StreamName,
};

/// Parts of the full caps, the smallest first.
const PARTS: [i64; 4] = [SMALLEST, 16, 4, 1];
const SMALLEST: i64 = 64;

impl StreamName {
    /// The cap of this part of the full one.
    pub(crate) const fn bytes_of(self, part: i64) -> i64 {
        self.bytes() / part
    }

    /// What all streams need at least.
    pub(crate) fn least() -> i64 {
        Self::ALL.iter().map(|stream| stream.bytes_of(SMALLEST)).sum()
    }
}

impl Bus {
    /// Declares a stream of this cap if it is missing.
    pub(crate) async fn declare_of(&self, stream: StreamName, bytes: i64) -> Result<(), BusError> {
        let config = stream::Config { max_bytes: bytes, ..stream.config(self.options().replicas) };
        let replicas = self.options().replicas;
        let declared = outlast(
            || self.jetstream().get_or_create_stream(config.clone()),
            |error| stream_passes(&error.kind(), replicas),
        )
        .await;
        declared.map(|_| ()).map_err(|error| {
            let (name, reason) = (stream.as_str(), error.to_string());
            match error.kind() {
                // A cluster says it in words: no server of it has room.
                CreateStreamErrorKind::JetStream(why)
                    if why.error_code() == ErrorCode::STORAGE_RESOURCES_EXCEEDED
                        || reason.contains("insufficient storage") =>
                {
                    BusError::NoRoom { stream: name, needs: StreamName::least(), reason }
                }
                _ => BusError::NoStream { stream: name, reason },
            }
        })
    }

    /// Declares all streams as small as they may be, then lets them grow.
    pub(crate) async fn declare_small(&self) -> Result<(), BusError> {
        for stream in StreamName::ALL {
            self.shrink(stream).await;
        }
        for stream in StreamName::ALL {
            self.declare_of(stream, stream.bytes_of(SMALLEST)).await?;
        }
        let mut reached = SMALLEST;
        for part in PARTS.into_iter().skip(1) {
            for stream in StreamName::ALL {
                if !self.resize(stream, stream.bytes_of(part)).await {
                    warn!(
                        event.name = "rollcall.bus.small",
                        percent = 100 / reached,
                        "the disk of nats has no room for streams of their full size; a burst waits sooner"
                    );
                    return Ok(());
                }
            }
            reached = part;
        }
        Ok(())
    }

    /// Takes back what another of our processes may just have claimed in full. A cap that an operator chose is left.
    async fn shrink(&self, stream: StreamName) {
        let Ok(found) = self.jetstream().get_stream(stream.as_str()).await else { return };
        let held = i64::try_from(found.cached_info().state.bytes).unwrap_or(i64::MAX);
        let least = stream.bytes_of(SMALLEST);
        if is_ours(stream, &found) && held < least {
            self.resize(stream, least).await;
        }
    }

    /// Whether the stream now has this cap, or one that an operator chose.
    async fn resize(&self, stream: StreamName, bytes: i64) -> bool {
        let Ok(found) = self.jetstream().get_stream(stream.as_str()).await else { return false };
        if !is_ours(stream, &found) {
            return true;
        }
        let config = stream::Config { max_bytes: bytes, ..found.cached_info().config.clone() };
        self.jetstream().update_stream(config).await.is_ok()
    }
}

/// Whether the cap is one that we give.
fn is_ours(stream: StreamName, found: &Stream) -> bool {
    PARTS.iter().any(|part| stream.bytes_of(*part) == found.cached_info().config.max_bytes)
}
