//! Asking a cluster that is choosing its leaders.
//!
//! For some seconds after a server came or went, a cluster answers that nobody leads, that it has no peers to place a
//! stream on, or not at all. That passes by itself, so whoever asks for a stream or a consumer asks again.

use std::{fmt::Display, time::Duration};

use async_nats::jetstream::{ErrorCode, context::CreateStreamErrorKind, stream::ConsumerErrorKind};
use tracing::debug;

/// How long to wait before each further try. A try itself may take two seconds.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1600),
];

/// Asks again while `passes` says of the error that it will pass, for about ten seconds at most.
pub(crate) async fn outlast<T, E: Display, Asking: Future<Output = Result<T, E>>>(
    mut ask: impl FnMut() -> Asking,
    passes: impl Fn(&E) -> bool,
) -> Result<T, E> {
    for pause in PAUSES {
        match ask().await {
            Err(error) if passes(&error) => debug!(%error, "nats is choosing its leaders; asking again"),
            answer => return answer,
        }
        tokio::time::sleep(pause).await;
    }
    ask().await
}

/// Whether a stream that could not be declared may be declared in a moment.
pub(crate) fn stream_passes(kind: &CreateStreamErrorKind, replicas: usize) -> bool {
    match kind {
        CreateStreamErrorKind::TimedOut => true,
        // Said by a server without JetStream, too: that does not pass.
        CreateStreamErrorKind::JetStreamUnavailable => replicas > 1,
        CreateStreamErrorKind::JetStream(why) => code_passes(why.error_code()) && !why.to_string().contains("storage"),
        _ => false,
    }
}

/// Whether a consumer that could not be declared may be declared in a moment.
pub(crate) fn consumer_passes(kind: &ConsumerErrorKind) -> bool {
    match kind {
        ConsumerErrorKind::TimedOut => true,
        ConsumerErrorKind::JetStream(why) => code_passes(why.error_code()),
        _ => false,
    }
}

fn code_passes(code: ErrorCode) -> bool {
    [
        ErrorCode::CLUSTER_NO_PEERS,
        ErrorCode::CLUSTER_NOT_AVAILABLE,
        ErrorCode::CLUSTER_NOT_LEADER,
        ErrorCode::CLUSTER_NOT_ACTIVE,
        ErrorCode::STREAM_OFFLINE,
        ErrorCode::CONSUMER_OFFLINE,
    ]
    .contains(&code)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn refused(code: u64, text: &str) -> CreateStreamErrorKind {
        let error = json!({"code": 503, "err_code": code, "description": text});
        CreateStreamErrorKind::JetStream(serde_json::from_value(error).unwrap())
    }

    #[test]
    fn an_election_passes_and_a_full_disk_does_not() {
        assert!(stream_passes(&refused(10008, "JetStream system temporarily unavailable"), 1));
        assert!(stream_passes(&refused(10005, "no suitable peers for placement, peer offline"), 3));
        assert!(!stream_passes(&refused(10005, "no suitable peers for placement, insufficient storage"), 3));
        assert!(!stream_passes(&refused(10047, "insufficient storage resources available"), 1));
        assert!(!stream_passes(&CreateStreamErrorKind::JetStreamUnavailable, 1));
        assert!(stream_passes(&CreateStreamErrorKind::JetStreamUnavailable, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_asked_again_until_the_answer_is_another() {
        let mut left = 3;
        let answer = outlast(
            || {
                left -= 1;
                std::future::ready(if left > 0 { Err("nobody leads") } else { Ok(left) })
            },
            |error| *error == "nobody leads",
        );
        assert_eq!(answer.await, Ok(0));
        let mut asked = 0;
        let refusal = outlast(
            || {
                asked += 1;
                std::future::ready(Err::<(), _>("no room"))
            },
            |error| *error == "nobody leads",
        );
        assert_eq!(refusal.await, Err("no room"));
        assert_eq!(asked, 1, "what does not pass is asked once");
    }
}
